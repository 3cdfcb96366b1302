// ResourceScatterAdd, ResourceScatterSub, ResourceScatterUpdate: rows of a variable
// changed in place.

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "core/runtime/variable.h"
#include "ops/array/gather_rows.h"
#include "ops/array/shape_rules.h"
#include "ops/math/number.h"
#include "ops/state_ops.h"

namespace tributary {
namespace {

enum class Scatter { kAdd, kSub, kUpdate };

void ScatterShape(InferenceContext& c) {
  const Shape& table = c.shape(0);
  const Shape& indices = c.shape(1);
  const Shape& updates = c.shape(2);
  if (table.unknown_rank() || indices.unknown_rank() || updates.unknown_rank()) return;
  if (table.rank() < 1) {
    throw InvalidArgumentError("[{}] the variable must have rows, it is a scalar", c.op());
  }
  if (updates.rank() == 0) return;
  Shape expected = indices;
  for (int i = 1; i < table.rank(); ++i) expected.AddDim(table[i]);
  if (!expected.IsCompatibleWith(updates)) {
    throw InvalidArgumentError("[{}] updates have shape {}, expected {} (indices {} and rows of "
                               "{})",
                               c.op(), updates.ToString(), expected.ToString(),
                               indices.ToString(), table.ToString());
  }
}

// One row: `step` 0 spreads a scalar.
using ApplyFn = void (*)(void* to, const void* from, int64_t step, int64_t row);

template <Scatter kKind, typename T>
void Apply(void* row_of_table, const void* update, int64_t step, int64_t row) {
  T* to = static_cast<T*>(row_of_table);
  const T* from = static_cast<const T*>(update);
  for (int64_t k = 0; k < row; ++k) {
    if constexpr (kKind == Scatter::kAdd) {
      to[k] = Add(to[k], from[k * step]);
    } else if constexpr (kKind == Scatter::kSub) {
      to[k] = Sub(to[k], from[k * step]);
    } else {
      to[k] = from[k * step];
    }
  }
}

// Rows of either index type.
struct Indices {
  const void* data;
  bool wide;

  int64_t operator[](int64_t k) const {
    return wide ? static_cast<const int64_t*>(data)[k] : static_cast<const int32_t*>(data)[k];
  }
};

template <Scatter kKind>
std::unique_ptr<Kernel> MakeScatter(PrepareContext& c) {
  const Shape& table = c.in_shape(0);
  const int64_t limit = table[0];
  const int64_t n = c.in_shape(1).NumElements();
  int64_t row = 1;
  for (int i = 1; i < table.rank(); ++i) row *= table[i];
  const int64_t step = c.in_shape(2).rank() == 0 ? 0 : 1;
  const auto size = static_cast<int64_t>(DTypeSize(c.in_dtype(0)));
  const bool wide = c.in_dtype(1) == DType::kInt64;
  const std::string op = c.op();
  const ApplyFn apply = DispatchNumber(c.in_dtype(0), op.c_str(), [](auto t) -> ApplyFn {
    return &Apply<kKind, decltype(t)>;
  });
  return MakeKernel([=](const LaunchArgs& args) {
    char* data = static_cast<char*>(args.in[0]);
    const Indices indices{args.in[1], wide};
    const char* updates = static_cast<const char*>(args.in[2]);
    for (int64_t k = 0; k < n; ++k) {
      if (indices[k] < 0 || indices[k] >= limit) {
        ThrowIndexOutOfRange(op.c_str(), k, indices[k], limit);
      }
    }
    // Each range of rows belongs to one thread: the order of updates is kept.
    const int64_t grain = limit * row * n < (1 << 16) ? limit : 1 + (limit >> 4);
    ParallelFor(limit, grain, [=](int64_t begin, int64_t end) {
      for (int64_t k = 0; k < n; ++k) {
        if (indices[k] < begin || indices[k] >= end) continue;
        apply(data + indices[k] * row * size, updates + k * row * step * size, step, row);
      }
    });
  });
}

std::vector<OpSample> ScatterSamples() {
  const auto table =
      Variable::Create("table", Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {3, 2}));
  return {{{table->handle(), Tensor::FromVector<int32_t>({2, 0}),
            Tensor::FromVector<double>({1, 2, 3, 4}, {2, 2})}},
          {{table->handle(), Tensor::FromVector<int64_t>({1}), Tensor(0.5)}}};
}

}  // namespace

#define REGISTER_SCATTER_OP(op, kind)         \
  REGISTER_OP(op)                             \
      .Input("resource: resource")            \
      .Input("indices: Tindices")             \
      .Input("updates: dtype")                \
      .Attr("dtype: type")                    \
      .Attr("Tindices: {int32, int64}")       \
      .Shape(ScatterShape)                    \
      .NotDifferentiable()                    \
      .Stateful()                             \
      .Samples(ScatterSamples);               \
  REGISTER_KERNEL(op, DeviceType::kCpu, NumberTypes(), MakeScatter<kind>)

REGISTER_SCATTER_OP("ResourceScatterAdd", Scatter::kAdd);
REGISTER_SCATTER_OP("ResourceScatterSub", Scatter::kSub);
REGISTER_SCATTER_OP("ResourceScatterUpdate", Scatter::kUpdate);

namespace ops {

void ResourceScatterAdd(const Tensor& resource, const Tensor& indices, const Tensor& updates) {
  Execute("ResourceScatterAdd", {resource, indices, updates});
}

void ResourceScatterSub(const Tensor& resource, const Tensor& indices, const Tensor& updates) {
  Execute("ResourceScatterSub", {resource, indices, updates});
}

void ResourceScatterUpdate(const Tensor& resource, const Tensor& indices,
                           const Tensor& updates) {
  Execute("ResourceScatterUpdate", {resource, indices, updates});
}

}  // namespace ops
}  // namespace tributary
