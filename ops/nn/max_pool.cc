#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn/pool_loops.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {
namespace {

AttrMap PoolAttrs(const std::string& op, const std::vector<int64_t>& size,
                  const std::vector<int64_t>& strides, const std::string& padding) {
  return {{"ksize", FourOf(op, "size", size)},
          {"strides", FourOf(op, "strides", strides)},
          {"padding", padding}};
}

}  // namespace

Tensor MaxPool(const Tensor& input, const std::vector<int64_t>& size,
               const std::vector<int64_t>& strides, const std::string& padding) {
  return Execute1("MaxPool", {input}, PoolAttrs("MaxPool", size, strides, padding));
}

Tensor MaxPoolGrad(const Tensor& input, const Tensor& output, const Tensor& grad,
                   const std::vector<int64_t>& size, const std::vector<int64_t>& strides,
                   const std::string& padding) {
  return Execute1("MaxPoolGrad", {input, output, grad},
                  PoolAttrs("MaxPoolGrad", size, strides, padding));
}

}  // namespace ops

namespace {

void MaxPoolShape(InferenceContext& c) {
  const WindowGeometry g = MakePoolWindow(c.op(), c.attrs(), c.shape(0));
  c.set_output(0, Shape{g.batch, g.out_h, g.out_w, g.channels});
}

void MaxPoolGradShape(InferenceContext& c) {
  const WindowGeometry g = MakePoolWindow(c.op(), c.attrs(), c.shape(0));
  const Shape out{g.batch, g.out_h, g.out_w, g.channels};
  ops::MergeShapes(c, ops::MergeShapes(c, out, c.shape(1)), c.shape(2));
  c.set_output(0, c.shape(0));
}

void MaxPoolGradGradShape(InferenceContext& c) {
  const Shape image = ops::MergeShapes(c, c.shape(0), c.shape(2));
  const WindowGeometry g = MakePoolWindow(c.op(), c.attrs(), image);
  c.set_output(0, ops::MergeShapes(c, Shape{g.batch, g.out_h, g.out_w, g.channels}, c.shape(1)));
}

std::unique_ptr<Kernel> MakeMaxPool(PrepareContext& c) {
  const WindowGeometry g = MakePoolWindow(c.op(), c.attrs(), c.in_shape(0));
  return MakeKernel([g](const LaunchArgs& args) {
    MaxPoolForward(g, static_cast<const float*>(args.in[0]), static_cast<float*>(args.out[0]));
  });
}

std::unique_ptr<Kernel> MakeMaxPoolGrad(PrepareContext& c) {
  const WindowGeometry g = MakePoolWindow(c.op(), c.attrs(), c.in_shape(0));
  const bool relu = c.attr<bool>("_relu");
  return MakeKernel([g, relu](const LaunchArgs& args) {
    MaxPoolBackward(g, static_cast<const float*>(args.in[0]),
                    static_cast<const float*>(args.in[1]),
                    static_cast<const float*>(args.in[2]), static_cast<float*>(args.out[0]),
                    relu);
  });
}

std::unique_ptr<Kernel> MakeMaxPoolGradGrad(PrepareContext& c) {
  const WindowGeometry g = MakePoolWindow(c.op(), c.attrs(), c.in_shape(0));
  return MakeKernel([g](const LaunchArgs& args) {
    MaxPoolPick(g, static_cast<const float*>(args.in[0]), static_cast<const float*>(args.in[1]),
                static_cast<const float*>(args.in[2]), static_cast<float*>(args.out[0]));
  });
}

AttrMap WindowAttrs(const GradContext& g) {
  return {{"ksize", *g.attrs().Find("ksize")},
          {"strides", *g.attrs().Find("strides")},
          {"padding", *g.attrs().Find("padding")}};
}

AttrMap SampleAttrs(int64_t size, int64_t stride, const char* padding) {
  return {{"ksize", std::vector<int64_t>{1, size, size, 1}},
          {"strides", std::vector<int64_t>{1, stride, stride, 1}},
          {"padding", padding}};
}

// An image, its pooled form, and a gradient of `which` of the two.
std::vector<OpSample> GradSamples(int which) {
  std::vector<OpSample> samples;
  const auto add = [&](const Shape& shape, const AttrMap& attrs) {
    const Tensor x = Scattered(shape);
    const Tensor y = Execute1("MaxPool", {x}, attrs);
    samples.push_back({{x, y, Wave(which == 0 ? x.shape() : y.shape(), 0.7f)}, attrs, {2}});
  };
  add({2, 4, 4, 3}, SampleAttrs(2, 2, "VALID"));
  add({1, 5, 5, 2}, SampleAttrs(3, 2, "SAME"));
  add({1, 5, 5, 17}, SampleAttrs(2, 2, "VALID"));
  return samples;
}

REGISTER_OP("MaxPool")
    .Input("input: T").Output("output: T")
    .Attr("T: {float32} = float32").Attr("ksize: list(int)").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Shape(MaxPoolShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {Execute1("MaxPoolGrad", {g.input(0), g.output(), g.grad()}, WindowAttrs(g))};
    })
    .Samples([] {
      return std::vector<OpSample>{{{Scattered({2, 4, 4, 3})}, SampleAttrs(2, 2, "VALID")},
                                   {{Scattered({1, 5, 5, 17})}, SampleAttrs(2, 2, "VALID")},
                                   {{Scattered({1, 5, 5, 2})}, SampleAttrs(3, 2, "SAME")},
                                   {{Scattered({1, 5, 4, 2})}, SampleAttrs(3, 1, "VALID")}};
    });
REGISTER_KERNEL("MaxPool", DeviceType::kCpu, {DType::kFloat32}, MakeMaxPool);

// _relu: also the gradient of a Relu that made orig_input (set by fusion).
REGISTER_OP("MaxPoolGrad")
    .Input("orig_input: T").Input("orig_output: T").Input("grad: T").Output("output: T")
    .Attr("T: {float32} = float32").Attr("ksize: list(int)").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("_relu: bool = false")
    .Shape(MaxPoolGradShape)
    .Gradient([](const GradContext& g) -> Grads {
      // Linear in the gradient; the place of a maximum has no derivative.
      return {Grad(), Grad(),
              Execute1("MaxPoolGradGrad", {g.input(0), g.input(1), g.grad()}, WindowAttrs(g))};
    })
    .Samples([] { return GradSamples(1); });
REGISTER_KERNEL("MaxPoolGrad", DeviceType::kCpu, {DType::kFloat32}, MakeMaxPoolGrad);

// Picks `grad` (of the image's shape) at the place of each maximum.
REGISTER_OP("MaxPoolGradGrad")
    .Input("orig_input: T").Input("orig_output: T").Input("grad: T").Output("output: T")
    .Attr("T: {float32} = float32").Attr("ksize: list(int)").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Shape(MaxPoolGradGradShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {Grad(), Grad(),
              Execute1("MaxPoolGrad", {g.input(0), g.input(1), g.grad()}, WindowAttrs(g))};
    })
    .Samples([] { return GradSamples(0); });
REGISTER_KERNEL("MaxPoolGradGrad", DeviceType::kCpu, {DType::kFloat32}, MakeMaxPoolGradGrad);

}  // namespace
}  // namespace tributary
