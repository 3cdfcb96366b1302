// L2Loss: half the sum of squares.

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/math/number.h"
#include "ops/math/samples.h"
#include "ops/math_ops.h"
#include "ops/simd/float_loops.h"

namespace tributary {
namespace {

constexpr int64_t kPiece = 8192;

template <typename T>
ComputeType<T> SquaresOf(const T* x, int64_t n) {
  if constexpr (std::is_same_v<T, float>) {
    return simd::Reductions().sum_of_squares(x, n);
  } else {
    ComputeType<T> sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += Load(x[i]) * Load(x[i]);
    return sum;
  }
}

// Pieces of fixed size, joined in order: the same bits for any number of threads.
std::unique_ptr<Kernel> MakeL2Loss(PrepareContext& c) {
  const int64_t count = c.in_shape(0).NumElements();
  const int64_t pieces = (count + kPiece - 1) / kPiece;
  return DispatchFloat(c.in_dtype(0), "L2Loss", [&](auto zero) {
    using T = decltype(zero);
    using Acc = ComputeType<T>;
    c.set_scratch_bytes(pieces * sizeof(Acc));
    return std::unique_ptr<Kernel>(MakeKernel([=](const LaunchArgs& args) {
      const T* x = static_cast<const T*>(args.in[0]);
      Acc* parts = static_cast<Acc*>(args.scratch);
      ParallelFor(pieces, 4, [=](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
          parts[p] = SquaresOf(x + p * kPiece, std::min(kPiece, count - p * kPiece));
        }
      });
      Acc sum = 0;
      for (int64_t p = 0; p < pieces; ++p) sum += parts[p];
      *static_cast<T*>(args.out[0]) = T(sum / 2);
    }));
  });
}

}  // namespace

REGISTER_OP("L2Loss")
    .Input("t: T")
    .Output("output: T")
    .Attr("T: {float32, float64, float16, bfloat16}")
    .Shape(ops::ScalarShape)
    .Gradient([](const GradContext& g) -> Grads { return {ops::Mul(g.input(0), g.grad())}; })
    .Samples([] { return UnarySamples(AnySample()); });
REGISTER_KERNEL("L2Loss", DeviceType::kCpu, FloatTypes(), MakeL2Loss);

Tensor ops::L2Loss(const Tensor& t) { return Execute1("L2Loss", {t}); }

}  // namespace tributary
