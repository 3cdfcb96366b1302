#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn/layer_norm_rows.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

Tensor LayerNorm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float epsilon) {
  return Execute1("_LayerNorm", {x, gamma, beta}, {{"epsilon", epsilon}});
}

}  // namespace ops

namespace {

Shape RowsShape(const Shape& x) {
  if (x.unknown_rank()) return x;
  return Shape(std::vector<int64_t>(x.dims().begin(), x.dims().end() - 1));
}

Shape ColumnsShape(InferenceContext& c, int x, std::initializer_list<int> vectors) {
  if (c.shape(x).rank() == 0) {
    throw InvalidArgumentError("[{}] x must have rank 1 or more, got a scalar", c.op());
  }
  Shape columns{c.shape(x).unknown_rank() ? Shape::kUnknownDim : c.shape(x).dim(-1)};
  for (const int i : vectors) columns = ops::MergeShapes(c, columns, c.shape(i));
  return columns;
}

void LayerNormShape(InferenceContext& c) {
  ColumnsShape(c, 0, {1, 2});
  c.set_output(0, c.shape(0));
  c.set_output(1, RowsShape(c.shape(0)));
  c.set_output(2, RowsShape(c.shape(0)));
}

void LayerNormGradShape(InferenceContext& c) {
  const Shape columns = ColumnsShape(c, 1, {2});
  for (const int i : {3, 4}) ops::MergeShapes(c, RowsShape(c.shape(1)), c.shape(i));
  c.set_output(0, ops::MergeShapes(c, c.shape(0), c.shape(1)));
  c.set_output(1, columns);
  c.set_output(2, columns);
}

const float* In(const LaunchArgs& args, int i) { return static_cast<const float*>(args.in[i]); }
float* Out(const LaunchArgs& args, int i) { return static_cast<float*>(args.out[i]); }

std::unique_ptr<Kernel> MakeLayerNorm(PrepareContext& c) {
  const int64_t columns = c.in_shape(1)[0];
  const int64_t rows = columns ? c.in_shape(0).NumElements() / columns : 0;
  return MakeKernel([rows, columns, epsilon = c.attr<float>("epsilon")](const LaunchArgs& args) {
    LayerNormRows(In(args, 0), In(args, 1), In(args, 2), epsilon, Out(args, 0), Out(args, 1),
                  Out(args, 2), rows, columns);
  });
}

std::unique_ptr<Kernel> MakeLayerNormGrad(PrepareContext& c) {
  const int64_t columns = c.in_shape(2)[0];
  const int64_t rows = columns ? c.in_shape(1).NumElements() / columns : 0;
  c.set_scratch_bytes(LayerNormGradScratch(rows, columns));
  return MakeKernel([rows, columns](const LaunchArgs& args) {
    LayerNormGradRows(In(args, 0), In(args, 1), In(args, 2), In(args, 3), In(args, 4),
                      Out(args, 0), Out(args, 1), Out(args, 2), rows, columns, args.scratch);
  });
}

// The gradient of the gradient. With n = (x - mean) i, i the inverse deviation, g = dy
// gamma, E the mean of a row and sums over rows, the op computes
//   dx = i (g - E[g] - n E[g n]), dgamma = sum dy n, dbeta = sum dy.
// u, s, o are the gradients of its outputs. What goes through mean and i is x's.
Grads LayerNormGradGradient(const GradContext& c) {
  using namespace ops;
  const Tensor &dy = c.input(0), &x = c.input(1), &gamma = c.input(2);
  const Tensor &u = c.grad(0), &s = c.grad(1), &o = c.grad(2);
  const Tensor i = ExpandDims(c.input(4), -1);
  const Tensor n = Mul(Sub(x, ExpandDims(c.input(3), -1)), i);
  const Tensor g = Mul(dy, gamma);
  const auto average = [](const Tensor& t) { return Mean(t, {-1}, true); };
  const auto centre = [&](const Tensor& t) {
    return Sub(Sub(t, average(t)), Mul(n, average(Mul(t, n))));
  };
  const Tensor by_g = Mul(i, centre(u));
  const Tensor of_dy = Add(Add(Mul(gamma, by_g), Mul(n, s)), o);
  const Tensor along_u = average(Mul(u, n)), along_g = average(Mul(g, n));
  const Tensor by_n = Sub(Mul(s, dy), Mul(i, Add(Mul(u, along_g), Mul(g, along_u))));
  const Tensor by_i = average(Mul(u, centre(g)));
  const Tensor of_x = Sub(Mul(i, centre(by_n)), Mul(Mul(by_i, Square(i)), n));
  return {of_dy, of_x, BiasAddGrad(Mul(dy, by_g)), Grad(), Grad()};
}

REGISTER_OP("_LayerNorm")
    .Input("x: T").Input("gamma: T").Input("beta: T")
    .Output("y: T").Output("mean: T").Output("inverse_deviation: T")
    .Attr("T: {float32}").Attr("epsilon: float = 0.001")
    .Shape(LayerNormShape)
    .Gradient([](const GradContext& g) -> Grads {
      const std::vector<Tensor> grads =
          Execute("_LayerNormGrad",
                  {g.grad(0), g.input(0), g.input(1), g.output(1), g.output(2)});
      return {grads[0], grads[1], grads[2]};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({4, 5}, 0.7f), Wave({5}, 0.4f, 1.0f, 1.5f), Wave({5}, 0.9f)}, {}},
          {{Wave({2, 3, 18}, 0.7f), Wave({18}, 0.4f, 1.0f, 1.5f), Wave({18}, 0.9f)}, {}}};
    });
REGISTER_KERNEL("_LayerNorm", DeviceType::kCpu, {DType::kFloat32}, MakeLayerNorm);

REGISTER_OP("_LayerNormGrad")
    .Input("dy: T").Input("x: T").Input("gamma: T").Input("mean: T")
    .Input("inverse_deviation: T")
    .Output("dx: T").Output("dgamma: T").Output("dbeta: T")
    .Attr("T: {float32}")
    .Shape(LayerNormGradShape)
    .Gradient(LayerNormGradGradient)
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({4, 5}, 0.3f), Wave({4, 5}, 0.7f), Wave({5}, 0.4f, 1.0f, 1.5f),
            Wave({4}, 0.5f, 0.1f), Wave({4}, 0.6f, 0.2f, 1.5f)},
           {},
           {0, 2}}};
    });
REGISTER_KERNEL("_LayerNormGrad", DeviceType::kCpu, {DType::kFloat32}, MakeLayerNormGrad);

}  // namespace
}  // namespace tributary
