// StatelessRandomUniformV2, StatelessRandomNormalV2, StatelessTruncatedNormalV2: values
// that depend on key and counter alone. Those are uint64 in TensorFlow; here their bits
// are int64.

#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/random/philox_loops.h"
#include "ops/random_ops.h"

namespace tributary {
namespace {

constexpr int32_t kPhilox = 1;  // tf.random.Algorithm.PHILOX

void StatelessShape(InferenceContext& c) {
  for (const auto& [input, size, what] :
       {std::tuple(1, int64_t{1}, "the length of key"), {2, int64_t{2}, "the length of counter"}}) {
    c.RequireRank(input, 1, what);
    if (!c.shape(input).unknown_rank()) ops::MergeDims(c, c.shape(input)[0], size, what);
  }
  ops::RequireScalar(c, 3, "alg");
  c.set_output(0, ops::ShapeFromInput(c, 0));
}

template <Distribution kDistribution>
std::unique_ptr<Kernel> MakeStateless(PrepareContext& c) {
  const int64_t count = c.out_shape(0).NumElements();
  const DType dtype = c.out_dtype(0);
  return MakeKernel([count, dtype](const LaunchArgs& args) {
    const auto* key = static_cast<const int64_t*>(args.in[1]);
    const auto* counter = static_cast<const int64_t*>(args.in[2]);
    if (*static_cast<const int32_t*>(args.in[3]) != kPhilox) {
      throw UnimplementedError("[stateless random] alg is {}; only Philox (1) exists",
                               *static_cast<const int32_t*>(args.in[3]));
    }
    const PhiloxState state{static_cast<uint64_t>(key[0]),
                            {static_cast<uint64_t>(counter[0]), static_cast<uint64_t>(counter[1])}};
    FillRandom(kDistribution, state, dtype, args.out[0], count);
  });
}

std::vector<OpSample> StatelessSamples() {
  const Tensor key = Tensor::FromVector<int64_t>({42});
  const Tensor counter = Tensor::FromVector<int64_t>({1, 2});
  return {{{Tensor::FromVector<int32_t>({3, 5}), key, counter, Tensor(kPhilox)}},
          {{Tensor::FromVector<int32_t>({7}), key, counter, Tensor(kPhilox)},
           {{"dtype", DType::kFloat64}}},
          {{Tensor::FromVector<int64_t>({0}), key, counter, Tensor(kPhilox)},
           {{"dtype", DType::kHalf}}}};
}

}  // namespace

#define TRB_STATELESS(Name, distribution)                                                   \
  REGISTER_OP(#Name)                                                                        \
      .Input("shape: Tshape")                                                               \
      .Input("key: int64")                                                                  \
      .Input("counter: int64")                                                              \
      .Input("alg: int32")                                                                  \
      .Output("output: dtype")                                                              \
      .Attr("dtype: {float32, float64, float16, bfloat16} = float32")                       \
      .Attr("Tshape: {int32, int64} = int32")                                               \
      .Attr("_uint64_inputs: list(int) = [1, 2]")                                           \
      .Shape(StatelessShape)                                                                \
      .NotDifferentiable()                                                                  \
      .Samples(StatelessSamples);                                                           \
  REGISTER_KERNEL(#Name, DeviceType::kCpu, {}, MakeStateless<Distribution::distribution>);  \
  Tensor ops::Name(const IntList& shape, const Tensor& key, const Tensor& counter,          \
                   DType dtype) {                                                           \
    return Execute1(#Name, {shape.tensor(), key, counter, Tensor(kPhilox)},                 \
                    {{"dtype", dtype}});                                                    \
  }

TRB_STATELESS(StatelessRandomUniformV2, kUniform)
TRB_STATELESS(StatelessRandomNormalV2, kNormal)
TRB_STATELESS(StatelessTruncatedNormalV2, kTruncatedNormal)

}  // namespace tributary
