// RandomUniform, RandomStandardNormal, TruncatedNormal, RandomUniformInt: streams that
// advance with every run.

#include <mutex>
#include <random>

#include "core/base/philox.h"
#include "core/runtime/eager_state.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/random/philox_loops.h"
#include "ops/random_ops.h"

namespace tributary {
namespace {

// Without seeds every stream is another.
PhiloxState StartOf(PrepareContext& c) {
  const uint64_t seed = c.attr<int64_t>("seed"), seed2 = c.attr<int64_t>("seed2");
  if (seed || seed2) return {seed, {0, seed2}};
  static const uint64_t process = (uint64_t{std::random_device()()} << 32) ^ std::random_device()();
  static std::atomic<uint64_t> streams{0};
  return {process, {0, MixSeed(process, ++streams)}};
}

class Stream {
 public:
  explicit Stream(const PhiloxState& start) : next_(start) {}
  // Where the next `blocks` begin, which are then used up.
  PhiloxState Take(uint64_t blocks) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const PhiloxState state = next_;
    next_ = Advanced(state, blocks);
    return state;
  }

 private:
  std::mutex mutex_;
  PhiloxState next_;
};

// A stream of the kernel's own in a plan; one for all eager calls with these attributes.
std::shared_ptr<Stream> StreamOf(PrepareContext& c) {
  const auto make = [&c] { return std::make_shared<Stream>(StartOf(c)); };
  const std::shared_ptr<void> shared = SharedEagerState(make);
  return shared ? std::static_pointer_cast<Stream>(shared) : make();
}

template <Distribution kDistribution>
std::unique_ptr<Kernel> MakeRandom(PrepareContext& c) {
  const int64_t count = c.out_shape(0).NumElements();
  const DType dtype = c.out_dtype(0);
  return MakeKernel([stream = StreamOf(c), count, dtype](const LaunchArgs& args) {
    const PhiloxState state = stream->Take(PhiloxBlocks(kDistribution, dtype, count));
    FillRandom(kDistribution, state, dtype, args.out[0], count);
  });
}

std::unique_ptr<Kernel> MakeRandomInt(PrepareContext& c) {
  const int64_t count = c.out_shape(0).NumElements();
  const DType dtype = c.out_dtype(0);
  return MakeKernel([stream = StreamOf(c), count, dtype](const LaunchArgs& args) {
    const auto value = [&](int i) {
      return dtype == DType::kInt64 ? *static_cast<const int64_t*>(args.in[i])
                                    : *static_cast<const int32_t*>(args.in[i]);
    };
    if (value(1) >= value(2)) {
      throw InvalidArgumentError("[RandomUniformInt] minval {} must be below maxval {}",
                                 value(1), value(2));
    }
    const PhiloxState state = stream->Take(PhiloxBlocks(Distribution::kUniform, dtype, count));
    FillRandomInts(state, dtype, value(1), value(2), args.out[0], count);
  });
}

std::vector<OpSample> RandomSamples() {
  return {{{Tensor::FromVector<int32_t>({3, 5})}, {{"seed", 7}, {"dtype", DType::kFloat32}}},
          {{Tensor::FromVector<int64_t>({0})}, {{"seed2", 7}, {"dtype", DType::kFloat64}}}};
}

}  // namespace

#define TRB_RANDOM(Name, distribution)                                                      \
  REGISTER_OP(#Name)                                                                        \
      .Input("shape: T")                                                                    \
      .Output("output: dtype")                                                              \
      .Attr("seed: int = 0")                                                                \
      .Attr("seed2: int = 0")                                                               \
      .Attr("dtype: {float32, float64, float16, bfloat16}")                                 \
      .Attr("T: {int32, int64}")                                                            \
      .Shape([](InferenceContext& c) { c.set_output(0, ops::ShapeFromInput(c, 0)); })       \
      .NotDifferentiable()                                                                  \
      .Stateful()                                                                           \
      .Samples(RandomSamples);                                                              \
  REGISTER_KERNEL(#Name, DeviceType::kCpu, {}, MakeRandom<Distribution::distribution>);     \
  Tensor ops::Name(const IntList& shape, DType dtype, int64_t seed, int64_t seed2) {        \
    return Execute1(#Name, {shape.tensor()},                                                \
                    {{"dtype", dtype}, {"seed", seed}, {"seed2", seed2}});                  \
  }

TRB_RANDOM(RandomUniform, kUniform)
TRB_RANDOM(RandomStandardNormal, kNormal)
TRB_RANDOM(TruncatedNormal, kTruncatedNormal)

REGISTER_OP("RandomUniformInt")
    .Input("shape: T")
    .Input("minval: Tout")
    .Input("maxval: Tout")
    .Output("output: Tout")
    .Attr("seed: int = 0")
    .Attr("seed2: int = 0")
    .Attr("Tout: {int32, int64}")
    .Attr("T: {int32, int64}")
    .Shape([](InferenceContext& c) {
      ops::RequireScalar(c, 1, "minval");
      ops::RequireScalar(c, 2, "maxval");
      c.set_output(0, ops::ShapeFromInput(c, 0));
    })
    .NotDifferentiable()
    .Stateful()
    .Samples([] {
      return std::vector<OpSample>{
          {{Tensor::FromVector<int32_t>({4}), Tensor(-3), Tensor(9)}, {{"seed", 7}}}};
    });
REGISTER_KERNEL("RandomUniformInt", DeviceType::kCpu, {}, MakeRandomInt);

Tensor ops::RandomUniformInt(const IntList& shape, const Tensor& minval, const Tensor& maxval,
                             int64_t seed, int64_t seed2) {
  return Execute1("RandomUniformInt", {shape.tensor(), minval, maxval},
                  {{"seed", seed}, {"seed2", seed2}});
}

}  // namespace tributary
