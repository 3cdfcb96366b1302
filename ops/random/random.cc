// RandomUniform, RandomStandardNormal, TruncatedNormal, RandomUniformInt: ops with
// a counter of their own (tensorflow/core/kernels/random_op.cc).

#include "core/base/philox.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/random/philox_fill.h"
#include "ops/random_ops.h"

namespace tributary {
namespace {

void ShapeOfRandom(InferenceContext& c) { c.set_output(0, ops::ShapeFromInput(c, 0)); }

// The stream of an op; each of its runs draws another one from it.
uint64_t KeyOf(PrepareContext& c) {
  const int64_t seed = c.attr<int64_t>("seed");
  const int64_t seed2 = c.attr<int64_t>("seed2");
  if (seed != 0 || seed2 != 0) return MixSeed(seed, seed2);
  static std::atomic<uint64_t> fresh{0};
  return MixSeed(0x7269627574617279ull, fresh++);
}

std::vector<OpSample> Samples() {
  return {{{Tensor::FromVector<int32_t>({3, 5})}, {{"dtype", DType::kFloat32}, {"seed", 7}}},
          {{Tensor::FromVector<int64_t>({0})}, {{"dtype", DType::kFloat64}, {"seed", 7}}}};
}

KernelFactory Make(Distribution distribution) {
  return [distribution](PrepareContext& c) {
    const DType dtype = c.out_dtype(0);
    const int64_t count = c.out_shape(0).NumElements();
    return MakeKernel([distribution, dtype, count, key = KeyOf(c),
                       run = uint64_t{0}](const LaunchArgs& args) mutable {
      FillRandom(distribution, dtype, {key, 0, run++}, args.out[0], count);
    });
  };
}

// One line an op: the table of continuous distributions.
#define TRB_RANDOM(name, distribution)                                                   \
  REGISTER_OP(name)                                                                      \
      .Input("shape: T")                                                                 \
      .Output("output: dtype")                                                           \
      .Attr("T: {int32, int64}")                                                         \
      .Attr("seed: int = 0")                                                             \
      .Attr("seed2: int = 0")                                                            \
      .Attr("dtype: {float32, float64, float16, bfloat16}")                              \
      .Shape(ShapeOfRandom)                                                              \
      .Stateful()                                                                        \
      .NotDifferentiable()                                                               \
      .Samples(Samples);                                                                 \
  REGISTER_KERNEL(name, DeviceType::kCpu, {}, Make(distribution))
TRB_RANDOM("RandomUniform", Distribution::kUniform);
TRB_RANDOM("RandomStandardNormal", Distribution::kNormal);
TRB_RANDOM("TruncatedNormal", Distribution::kTruncatedNormal);
#undef TRB_RANDOM

int64_t ReadInt(DType dtype, const void* value) {
  return dtype == DType::kInt64 ? *static_cast<const int64_t*>(value)
                                : *static_cast<const int32_t*>(value);
}

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
      ShapeOfRandom(c);
    })
    .Stateful()
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{
          {{Tensor::FromVector<int32_t>({4}), Tensor(int64_t{-3}), Tensor(int64_t{9})},
           {{"seed", 3}}}};
    });
REGISTER_KERNEL("RandomUniformInt", DeviceType::kCpu, {}, [](PrepareContext& c) {
  const DType dtype = c.out_dtype(0);
  const int64_t count = c.out_shape(0).NumElements();
  return MakeKernel(
      [dtype, count, key = KeyOf(c), run = uint64_t{0}](const LaunchArgs& args) mutable {
        const int64_t low = ReadInt(dtype, args.in[1]);
        const int64_t high = ReadInt(dtype, args.in[2]);
        if (low >= high) {
          throw InvalidArgumentError("[RandomUniformInt] minval {} must be below maxval {}",
                                     low, high);
        }
        FillRandomInt(dtype, {key, 0, run++}, low, high, args.out[0], count);
      });
});

}  // namespace

namespace ops {
namespace {

Tensor Random(const char* op, const IntList& shape, DType dtype, int64_t seed, int64_t seed2) {
  return Execute1(op, {shape.tensor()}, {{"dtype", dtype}, {"seed", seed}, {"seed2", seed2}});
}

}  // namespace

Tensor RandomUniform(const IntList& shape, DType dtype, int64_t seed, int64_t seed2) {
  return Random("RandomUniform", shape, dtype, seed, seed2);
}
Tensor RandomStandardNormal(const IntList& shape, DType dtype, int64_t seed, int64_t seed2) {
  return Random("RandomStandardNormal", shape, dtype, seed, seed2);
}
Tensor TruncatedNormal(const IntList& shape, DType dtype, int64_t seed, int64_t seed2) {
  return Random("TruncatedNormal", shape, dtype, seed, seed2);
}
Tensor RandomUniformInt(const IntList& shape, const Tensor& minval, const Tensor& maxval,
                        int64_t seed, int64_t seed2) {
  return Execute1("RandomUniformInt", {shape.tensor(), minval, maxval},
                  {{"seed", seed}, {"seed2", seed2}});
}

}  // namespace ops
}  // namespace tributary
