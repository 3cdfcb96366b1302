#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/nn/pool_loops.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

Tensor AvgPool(const Tensor& value, const std::vector<int64_t>& size,
               const std::vector<int64_t>& strides, const std::string& padding) {
  return Execute1("AvgPool", {value},
                  {{"ksize", FourOf("AvgPool", "size", size)},
                   {"strides", FourOf("AvgPool", "strides", strides)},
                   {"padding", padding}});
}

Tensor AvgPoolGrad(const IntList& input_sizes, const Tensor& grad,
                   const std::vector<int64_t>& size, const std::vector<int64_t>& strides,
                   const std::string& padding) {
  return Execute1("AvgPoolGrad", {input_sizes.tensor(), grad},
                  {{"ksize", FourOf("AvgPoolGrad", "size", size)},
                   {"strides", FourOf("AvgPoolGrad", "strides", strides)},
                   {"padding", padding}});
}

}  // namespace ops

namespace {

AttrMap WindowAttrs(const GradContext& g) {
  return {{"ksize", *g.attrs().Find("ksize")},
          {"strides", *g.attrs().Find("strides")},
          {"padding", *g.attrs().Find("padding")}};
}

void AvgPoolShape(InferenceContext& c) {
  const WindowGeometry g = MakePoolWindow(c.op(), c.attrs(), c.shape(0));
  c.set_output(0, Shape{g.batch, g.out_h, g.out_w, g.channels});
}

void AvgPoolGradShape(InferenceContext& c) {
  const Shape image = ops::ShapeFromInput(c, 0);
  const WindowGeometry g = MakePoolWindow(c.op(), c.attrs(), image);
  ops::MergeShapes(c, Shape{g.batch, g.out_h, g.out_w, g.channels}, c.shape(1));
  c.set_output(0, Shape{g.batch, g.in_h, g.in_w, g.channels});
}

std::unique_ptr<Kernel> MakeAvgPool(PrepareContext& c) {
  const WindowGeometry g = MakePoolWindow(c.op(), c.attrs(), c.in_shape(0));
  return MakeKernel([g](const LaunchArgs& args) {
    AvgPoolForward(g, static_cast<const float*>(args.in[0]), static_cast<float*>(args.out[0]));
  });
}

std::unique_ptr<Kernel> MakeAvgPoolGrad(PrepareContext& c) {
  const WindowGeometry g = MakePoolWindow(c.op(), c.attrs(), c.out_shape(0));
  return MakeKernel([g](const LaunchArgs& args) {
    AvgPoolBackward(g, static_cast<const float*>(args.in[1]), static_cast<float*>(args.out[0]));
  });
}

AttrMap SampleAttrs(int64_t size, int64_t stride, const char* padding) {
  return {{"ksize", std::vector<int64_t>{1, size, size, 1}},
          {"strides", std::vector<int64_t>{1, stride, stride, 1}},
          {"padding", padding}};
}

REGISTER_OP("AvgPool")
    .Input("value: T").Output("output: T")
    .Attr("ksize: list(int)").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("T: {float32}")
    .Shape(AvgPoolShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {Execute1("AvgPoolGrad", {ops::ShapeOf(g.input(0)), g.grad()}, WindowAttrs(g))};
    })
    .Samples([] {
      return std::vector<OpSample>{{{Wave({2, 4, 4, 3}, 0.7f)}, SampleAttrs(2, 2, "VALID")},
                                   {{Wave({1, 5, 5, 17}, 0.7f)}, SampleAttrs(3, 2, "SAME")},
                                   {{Wave({1, 5, 4, 2}, 0.7f)}, SampleAttrs(3, 1, "VALID")}};
    });
REGISTER_KERNEL("AvgPool", DeviceType::kCpu, {DType::kFloat32}, MakeAvgPool);

REGISTER_OP("AvgPoolGrad")
    .Input("orig_input_shape: int32").Input("grad: T").Output("output: T")
    .Attr("ksize: list(int)").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("T: {float32}")
    .Shape(AvgPoolGradShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {Grad(), Execute1("AvgPool", {g.grad()}, WindowAttrs(g))};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Tensor::FromVector<int32_t>({2, 4, 4, 3}), Wave({2, 2, 2, 3}, 0.7f)},
           SampleAttrs(2, 2, "VALID")},
          {{Tensor::FromVector<int32_t>({1, 5, 5, 2}), Wave({1, 3, 3, 2}, 0.7f)},
           SampleAttrs(3, 2, "SAME")}};
    });
REGISTER_KERNEL("AvgPoolGrad", DeviceType::kCpu, {DType::kFloat32}, MakeAvgPoolGrad);

}  // namespace
}  // namespace tributary
