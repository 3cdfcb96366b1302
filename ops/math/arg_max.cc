// ArgMax, ArgMin: where the largest or smallest element along an axis is.

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/math/number.h"
#include "ops/math/samples.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

void ArgShape(InferenceContext& c) {
  const Shape& shape = c.shape(0);
  const auto axis = ops::ConstantInt(c, 1);
  if (!axis || shape.unknown_rank()) return;
  const int at = NormalizeAxis(*axis, shape.rank(), c.op());
  if (shape[at] == 0) {
    throw InvalidArgumentError("[{}] dimension {} of shape {} is empty", c.op(), at,
                               shape.ToString());
  }
  std::vector<int64_t> dims = shape.dims();
  dims.erase(dims.begin() + at);
  c.set_output(0, Shape(dims));
}

// NaN counts as the extreme, as in NumPy.
template <bool kMax, typename T>
int64_t FindExtreme(const T* x, int64_t n, int64_t stride) {
  int64_t best = 0;
  auto value = Load(x[0]);
  for (int64_t i = 1; i < n && value == value; ++i) {
    const auto v = Load(x[i * stride]);
    if (v != v || (kMax ? v > value : v < value)) {
      best = i;
      value = v;
    }
  }
  return best;
}

template <bool kMax>
std::unique_ptr<Kernel> MakeArg(PrepareContext& c) {
  const Shape& shape = c.in_shape(0);
  const int axis = NormalizeAxis(c.constant_ints(1)[0], shape.rank(), c.op());
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (i < axis) outer *= shape[i];
    if (i > axis) inner *= shape[i];
  }
  const int64_t n = shape[axis];
  return DispatchNumber(c.in_dtype(0), c.op().c_str(), [&](auto zero) {
    return DispatchIndex(c.out_dtype(0), c.op().c_str(), [&](auto index) {
      using T = decltype(zero);
      using Index = decltype(index);
      return std::unique_ptr<Kernel>(MakeKernel([=](const LaunchArgs& args) {
        ParallelFor(outer * inner, 1 + 16384 / n, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const T* x = static_cast<const T*>(args.in[0]) + i / inner * n * inner + i % inner;
            static_cast<Index*>(args.out[0])[i] =
                static_cast<Index>(FindExtreme<kMax>(x, n, inner));
          }
        });
      }));
    });
  });
}

std::vector<OpSample> ArgSamples() {
  const Tensor x = Tensor::FromVector<double>({1, 5, 3, 5, 2, 5, -1, 0, 9}, {3, 3});
  return {{{x, Tensor(0)}},
          {{SampleAs(x, DType::kFloat32), Tensor(-1)}, {{"output_type", DType::kInt32}}}};
}

}  // namespace

#define TRB_ARG(Name, kMax)                                                                 \
  REGISTER_OP(#Name)                                                                        \
      .Input("input: T")                                                                    \
      .Input("dimension: Tidx")                                                             \
      .Output("output: output_type")                                                        \
      .Attr("T: {float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8}")   \
      .Attr("Tidx: {int32, int64} = int32")                                                 \
      .Attr("output_type: {int32, int64} = int64")                                          \
      .Shape(ArgShape)                                                                      \
      .NotDifferentiable()                                                                  \
      .Samples(ArgSamples);                                                                 \
  REGISTER_KERNEL(#Name, DeviceType::kCpu, NumberTypes(), MakeArg<kMax>);                   \
  Tensor ops::Name(const Tensor& input, int64_t axis, DType output_type) {                  \
    return Execute1(#Name, {input, Tensor(static_cast<int32_t>(axis))},                     \
                    {{"output_type", output_type}});                                        \
  }

TRB_ARG(ArgMax, true)
TRB_ARG(ArgMin, false)

}  // namespace tributary
