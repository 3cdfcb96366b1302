#include "core/base/philox.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/nn/dropout_loop.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

Tensor Dropout(const Tensor& x, const Tensor& step, const Tensor& offset, float rate,
               int64_t seed, int64_t seed2) {
  return Execute1("_Dropout", {x, step, offset},
                  {{"rate", rate}, {"seed", seed}, {"seed2", seed2}});
}

}  // namespace ops

namespace {

void DropoutShape(InferenceContext& c) {
  const float rate = c.attr<float>("rate");
  if (!(rate >= 0.0f && rate < 1.0f)) {
    throw InvalidArgumentError("[_Dropout] rate must be in [0, 1), got {}", rate);
  }
  ops::RequireScalar(c, 1, "step");
  ops::RequireScalar(c, 2, "offset");
  c.set_output(0, c.shape(0));
}

std::unique_ptr<Kernel> MakeDropout(PrepareContext& c) {
  const float rate = c.attr<float>("rate");
  const uint64_t seed = MixSeed(c.attr<int64_t>("seed"), c.attr<int64_t>("seed2"));
  const int64_t count = c.out_shape(0).NumElements();
  c.allow_in_place(0, 0);
  return MakeKernel([rate, seed, count](const LaunchArgs& args) {
    const auto number = [&](int i) {
      return static_cast<uint64_t>(*static_cast<const int64_t*>(args.in[i]));
    };
    RunDropout({seed, number(1), number(2)}, rate, static_cast<const float*>(args.in[0]),
               static_cast<float*>(args.out[0]), count);
  });
}

REGISTER_OP("_Dropout")
    .Input("x: T").Input("step: int64").Input("offset: int64").Output("y: T")
    .Attr("T: {float32}").Attr("rate: float").Attr("seed: int = 0").Attr("seed2: int = 0")
    .Shape(DropoutShape)
    .Gradient([](const GradContext& g) -> Grads {
      // Linear in x: the same mask and scale.
      return {ops::Dropout(g.grad(), g.input(1), g.input(2), g.attr<float>("rate"),
                           g.attr<int64_t>("seed"), g.attr<int64_t>("seed2")),
              Grad(), Grad()};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({5, 31}, 0.7f), Tensor::Scalar<int64_t>(3), Tensor::Scalar<int64_t>(6)},
           {{"rate", 0.4f}, {"seed", 7}}}};
    });
REGISTER_KERNEL("_Dropout", DeviceType::kCpu, {DType::kFloat32}, MakeDropout);

}  // namespace
}  // namespace tributary
