// _FusedElementwise: several elementwise float32 ops in one pass over memory. Plans
// put it in place of chains (elementwise_chain.cc).

#include "core/graph/kernel.h"
#include "ops/fusion/elementwise_program.h"

namespace tributary {

REGISTER_OP("_FusedElementwise")
    .Input("inputs: N * T")
    .Output("output: T")
    .Attr("N: int >= 1")
    .Attr("T: {float32}")
    .Attr("ops: list(string)")
    .Attr("args: list(int)")
    .Shape([](InferenceContext& c) {
      Shape result = c.shape(0);
      for (int i = 1; i < c.num_inputs(); ++i) {
        result = BroadcastShapes(result, c.shape(i), c.op());
      }
      c.set_output(0, result);
    })
    .Samples([] {
      // relu(x * row + 2) - x
      const Tensor x = Tensor::FromVector<float>({-3, 1, 2, 4, -1, 0.5f}, {2, 3});
      const Tensor row = Tensor::FromVector<float>({2, -1, 0.5f});
      return std::vector<OpSample>{
          {{x, row, Tensor(2.0f)},
           {{"ops", std::vector<std::string>{"Mul", "AddV2", "Relu", "Sub"}},
            {"args", std::vector<int64_t>{0, 1, 3, 2, 4, -1, 5, 0}}}}};
    });

namespace {

std::unique_ptr<Kernel> MakeFused(PrepareContext& c) {
  std::vector<Shape> shapes;
  for (int i = 0; i < c.num_inputs(); ++i) {
    shapes.push_back(c.in_shape(i));
    if (c.in_shape(i) == c.out_shape(0)) c.allow_in_place(0, i);
  }
  ElementwiseProgram program(c.attr<std::vector<std::string>>("ops"),
                             c.attr<std::vector<int64_t>>("args"), shapes, c.out_shape(0));
  c.set_scratch_bytes(program.scratch_bytes());
  return MakeKernel([program = std::move(program)](const LaunchArgs& args) {
    program.Run(args.in, static_cast<float*>(args.out[0]), static_cast<float*>(args.scratch));
  });
}

REGISTER_KERNEL("_FusedElementwise", DeviceType::kCpu, {DType::kFloat32}, MakeFused);

}  // namespace
}  // namespace tributary
