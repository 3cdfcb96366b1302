#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/nn/conv2d.h"
#include "ops/nn/depthwise_loops.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {

Tensor ops::DepthwiseConv2D(const Tensor& input, const Tensor& filter, const Window& window) {
  constexpr char kOp[] = "DepthwiseConv2dNative";
  return Execute1(kOp, {input, filter},
                  {{"strides", FourOf(kOp, "strides", window.strides)},
                   {"dilations", FourOf(kOp, "dilations", window.dilations)},
                   {"padding", window.padding}});
}

namespace {

// filter: [height, width, in, multiplier].
int64_t OutChannels(const Shape& filter) {
  if (filter.unknown_rank() || filter[2] < 0 || filter[3] < 0) return Shape::kUnknownDim;
  return filter[2] * filter[3];
}

Shape OutShape(InferenceContext& c, const Shape& image, const Shape& filter) {
  const WindowGeometry g = ConvWindow(c.op(), c.attrs(), image, filter);
  return {g.batch, g.out_h, g.out_w, OutChannels(filter)};
}

void BackpropInputShape(InferenceContext& c) {
  const Shape image = ops::ShapeFromInput(c, 0);
  ops::MergeShapes(c, OutShape(c, image, c.shape(1)), c.shape(2));
  c.set_output(0, image.unknown_rank() ? Shape{-1, -1, -1, -1} : image);
}

void BackpropFilterShape(InferenceContext& c) {
  const Shape filter = ops::ShapeFromInput(c, 1);
  ops::MergeShapes(c, OutShape(c, c.shape(0), filter), c.shape(2));
  c.set_output(0, filter.unknown_rank() ? Shape{-1, -1, -1, -1} : filter);
}

DepthwiseSpec SpecOf(PrepareContext& c, const Shape& image, const Shape& filter) {
  const DepthwiseSpec spec{ConvWindow(c.op(), c.attrs(), image, filter), filter[3]};
  c.set_scratch_bytes(DepthwiseScratch(spec));
  return spec;
}

const float* In(const LaunchArgs& args, int i) { return static_cast<const float*>(args.in[i]); }
float* Out(const LaunchArgs& args) { return static_cast<float*>(args.out[0]); }

std::unique_ptr<Kernel> MakeForward(PrepareContext& c) {
  return MakeKernel([s = SpecOf(c, c.in_shape(0), c.in_shape(1))](const LaunchArgs& args) {
    DepthwiseForward(s, In(args, 0), In(args, 1), Out(args), args.scratch);
  });
}

std::unique_ptr<Kernel> MakeBackpropInput(PrepareContext& c) {
  return MakeKernel([s = SpecOf(c, c.out_shape(0), c.in_shape(1))](const LaunchArgs& args) {
    DepthwiseBackpropInput(s, In(args, 1), In(args, 2), Out(args), args.scratch);
  });
}

std::unique_ptr<Kernel> MakeBackpropFilter(PrepareContext& c) {
  return MakeKernel([s = SpecOf(c, c.in_shape(0), c.out_shape(0))](const LaunchArgs& args) {
    DepthwiseBackpropFilter(s, In(args, 0), In(args, 2), Out(args), args.scratch);
  });
}

Tensor InputGrad(const GradContext& g, const Tensor& image, const Tensor& filter,
                 const Tensor& out) {
  return Execute1("DepthwiseConv2dNativeBackpropInput", {ops::ShapeOf(image), filter, out},
                  ConvWindowAttrs(g.attrs()));
}
Tensor FilterGrad(const GradContext& g, const Tensor& image, const Tensor& filter,
                  const Tensor& out) {
  return Execute1("DepthwiseConv2dNativeBackpropFilter", {image, ops::ShapeOf(filter), out},
                  ConvWindowAttrs(g.attrs()));
}
Tensor Convolved(const GradContext& g, const Tensor& image, const Tensor& filter) {
  return Execute1("DepthwiseConv2dNative", {image, filter}, ConvWindowAttrs(g.attrs()));
}

AttrMap SampleAttrs(int64_t stride, int64_t dilation, const char* padding) {
  return {{"strides", std::vector<int64_t>{1, stride, stride, 1}},
          {"dilations", std::vector<int64_t>{1, dilation, dilation, 1}},
          {"padding", padding}};
}

Tensor Sizes(const std::vector<int32_t>& sizes) { return Tensor::FromVector<int32_t>(sizes); }

REGISTER_OP("DepthwiseConv2dNative")
    .Input("input: T").Input("filter: T").Output("output: T")
    .Attr("T: {float32, float64}").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("dilations: list(int) = [1, 1, 1, 1]")
    .Shape([](InferenceContext& c) { c.set_output(0, OutShape(c, c.shape(0), c.shape(1))); })
    .Gradient([](const GradContext& g) -> Grads {
      return {InputGrad(g, g.input(0), g.input(1), g.grad()),
              FilterGrad(g, g.input(0), g.input(1), g.grad())};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({2, 5, 5, 3}, 0.7f), Wave({3, 3, 3, 1}, 0.3f)}, SampleAttrs(1, 1, "VALID")},
          {{Wave({1, 5, 6, 2}, 0.7f), Wave({3, 2, 2, 3}, 0.3f)}, SampleAttrs(2, 1, "SAME")},
          {{Wave({1, 4, 4, 18}, 0.7f), Wave({2, 3, 18, 1}, 0.3f)}, SampleAttrs(1, 1, "SAME")},
          {{Wave({1, 6, 6, 1}, 0.7f), Wave({2, 2, 1, 2}, 0.3f)}, SampleAttrs(1, 2, "SAME")},
          {{Wave({0, 4, 4, 2}, 0.7f), Wave({2, 2, 2, 1}, 0.3f)}, SampleAttrs(1, 1, "SAME")}};
    });
REGISTER_KERNEL("DepthwiseConv2dNative", DeviceType::kCpu, {DType::kFloat32}, MakeForward);

// As with Conv2D, each of the three is linear in two of image, filter and output.
REGISTER_OP("DepthwiseConv2dNativeBackpropInput")
    .Input("input_sizes: int32").Input("filter: T").Input("out_backprop: T").Output("output: T")
    .Attr("T: {float32, float64}").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("dilations: list(int) = [1, 1, 1, 1]")
    .Shape(BackpropInputShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {Grad(), FilterGrad(g, g.grad(), g.input(1), g.input(2)),
              Convolved(g, g.grad(), g.input(1))};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Sizes({2, 5, 5, 3}), Wave({3, 3, 3, 1}, 0.3f), Wave({2, 3, 3, 3}, 0.7f)},
           SampleAttrs(1, 1, "VALID")},
          {{Sizes({1, 5, 6, 2}), Wave({3, 2, 2, 3}, 0.3f), Wave({1, 3, 3, 6}, 0.7f)},
           SampleAttrs(2, 1, "SAME")}};
    });
REGISTER_KERNEL("DepthwiseConv2dNativeBackpropInput", DeviceType::kCpu, {DType::kFloat32},
                MakeBackpropInput);

REGISTER_OP("DepthwiseConv2dNativeBackpropFilter")
    .Input("input: T").Input("filter_sizes: int32").Input("out_backprop: T").Output("output: T")
    .Attr("T: {float32, float64}").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("dilations: list(int) = [1, 1, 1, 1]")
    .Shape(BackpropFilterShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {InputGrad(g, g.input(0), g.grad(), g.input(2)), Grad(),
              Convolved(g, g.input(0), g.grad())};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({2, 5, 5, 3}, 0.3f), Sizes({3, 3, 3, 1}), Wave({2, 3, 3, 3}, 0.7f)},
           SampleAttrs(1, 1, "VALID")},
          {{Wave({1, 5, 6, 2}, 0.3f), Sizes({3, 2, 2, 3}), Wave({1, 3, 3, 6}, 0.7f)},
           SampleAttrs(2, 1, "SAME")}};
    });
REGISTER_KERNEL("DepthwiseConv2dNativeBackpropFilter", DeviceType::kCpu, {DType::kFloat32},
                MakeBackpropFilter);

}  // namespace
}  // namespace tributary
