#include "ops/math/elementwise.h"

namespace tributary {

std::unique_ptr<Kernel> MakeUnaryKernel(PrepareContext& c, simd::UnaryFn loop) {
  constexpr int64_t kGrain = 1 << 14;
  const int64_t count = c.out_shape(0).NumElements();
  const size_t element = DTypeSize(c.in_dtype(0));
  const size_t out_element = DTypeSize(c.out_dtype(0));
  if (element == out_element) c.allow_in_place(0, 0);
  return MakeKernel([=](const LaunchArgs& args) {
    const char* x = static_cast<const char*>(args.in[0]);
    char* y = static_cast<char*>(args.out[0]);
    ParallelFor(count, kGrain, [=](int64_t begin, int64_t end) {
      loop(x + begin * element, y + begin * out_element, end - begin);
    });
  });
}

}  // namespace tributary
