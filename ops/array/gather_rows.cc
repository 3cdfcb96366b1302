#include "ops/array/gather_rows.h"

#include "core/base/parallel.h"
#include "ops/math/number.h"

namespace tributary {

void ThrowIndexOutOfRange(const char* op, int64_t position, int64_t index, int64_t limit) {
  throw InvalidArgumentError("[{}] indices[{}] = {} is not in [0, {})", op, position, index,
                             limit);
}

std::unique_ptr<Kernel> MakeGatherRows(const GatherRows& rows, DType index_dtype) {
  return DispatchIndex(index_dtype, rows.op, [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([rows](const LaunchArgs& args) {
      const T* indices = static_cast<const T*>(args.in[1]);
      for (int64_t i = 0; i < rows.batch * rows.count; ++i) {
        if (indices[i] < 0 || indices[i] >= rows.limit) {
          ThrowIndexOutOfRange(rows.op, i, indices[i], rows.limit);
        }
      }
      const int64_t grain = 1 + (1 << 16) / (rows.row_bytes + 16);
      const auto copy = [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t block = i / rows.count;  // batch * outer
          const int64_t at = indices[block / rows.outer * rows.count + i % rows.count];
          std::memcpy(static_cast<char*>(args.out[0]) + i * rows.row_bytes,
                      static_cast<const char*>(args.in[0]) +
                          (block * rows.limit + at) * rows.row_bytes,
                      rows.row_bytes);
        }
      };
      if (rows.row_bytes) ParallelFor(rows.batch * rows.outer * rows.count, grain, copy);
    }));
  });
}

}  // namespace tributary
