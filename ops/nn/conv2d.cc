#include "ops/nn/conv2d.h"

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {
namespace {

AttrMap ConvAttrs(const std::string& op, const Window& window) {
  return {{"strides", FourOf(op, "strides", window.strides)},
          {"dilations", FourOf(op, "dilations", window.dilations)},
          {"padding", window.padding}};
}

}  // namespace

Tensor Conv2D(const Tensor& input, const Tensor& filter, const Window& window) {
  return Execute1("Conv2D", {input, filter}, ConvAttrs("Conv2D", window));
}

Tensor Conv2DBackpropInput(const IntList& input_sizes, const Tensor& filter,
                           const Tensor& out_backprop, const Window& window) {
  return Execute1("Conv2DBackpropInput", {input_sizes.tensor(), filter, out_backprop},
                  ConvAttrs("Conv2DBackpropInput", window));
}

Tensor Conv2DBackpropFilter(const Tensor& input, const IntList& filter_sizes,
                            const Tensor& out_backprop, const Window& window) {
  return Execute1("Conv2DBackpropFilter", {input, filter_sizes.tensor(), out_backprop},
                  ConvAttrs("Conv2DBackpropFilter", window));
}

}  // namespace ops

WindowGeometry ConvWindow(const std::string& op, const AttrMap& attrs, const Shape& image,
                          const Shape& filter) {
  if (!filter.unknown_rank() && filter.rank() != 4) {
    throw InvalidArgumentError(
        "[{}] the filter must be [height, width, in, out], got shape {}", op, filter.ToString());
  }
  const auto dim = [&](int i) { return filter.unknown_rank() ? Shape::kUnknownDim : filter[i]; };
  const WindowGeometry g = MakeWindow(op, attrs, image, dim(0), dim(1));
  if (g.channels >= 0 && dim(2) >= 0 && g.channels != dim(2)) {
    throw InvalidArgumentError(
        "[{}] the image has {} channels, the filter {} expects {}", op, g.channels,
        filter.ToString(), dim(2));
  }
  return g;
}

AttrMap ConvWindowAttrs(const AttrMap& attrs) {
  return {{"strides", *attrs.Find("strides")},
          {"dilations", *attrs.Find("dilations")},
          {"padding", *attrs.Find("padding")}};
}

ConvSpec ConvSpecOf(const PrepareContext& c, const Shape& image, const Shape& filter) {
  return {ConvWindow(c.op(), c.attrs(), image, filter), filter[3]};
}

void Conv2DShape(InferenceContext& c) {
  const WindowGeometry g = ConvWindow(c.op(), c.attrs(), c.shape(0), c.shape(1));
  const int64_t filters = c.shape(1).unknown_rank() ? Shape::kUnknownDim : c.shape(1)[3];
  c.set_output(0, Shape{g.batch, g.out_h, g.out_w, filters});
}

void Conv2DBackpropInputShape(InferenceContext& c) {
  const Shape image = ops::ShapeFromInput(c, 0);
  const WindowGeometry g = ConvWindow(c.op(), c.attrs(), image, c.shape(1));
  const int64_t filters = c.shape(1).unknown_rank() ? Shape::kUnknownDim : c.shape(1)[3];
  ops::MergeShapes(c, Shape{g.batch, g.out_h, g.out_w, filters}, c.shape(2));
  c.set_output(0, Shape{g.batch, g.in_h, g.in_w, g.channels});
}

void Conv2DBackpropFilterShape(InferenceContext& c) {
  const Shape filter = ops::ShapeFromInput(c, 1);
  const WindowGeometry g = ConvWindow(c.op(), c.attrs(), c.shape(0), filter);
  const int64_t filters = filter.unknown_rank() ? Shape::kUnknownDim : filter[3];
  ops::MergeShapes(c, Shape{g.batch, g.out_h, g.out_w, filters}, c.shape(2));
  c.set_output(0, filter.unknown_rank() ? Shape{-1, -1, -1, -1} : filter);
}

namespace {

const float* In(const LaunchArgs& args, int i) { return static_cast<const float*>(args.in[i]); }
float* Out(const LaunchArgs& args, int i) { return static_cast<float*>(args.out[i]); }

std::unique_ptr<Kernel> MakeConv2D(PrepareContext& c) {
  const ConvForward conv(ConvSpecOf(c, c.in_shape(0), c.in_shape(1)));
  c.set_scratch_bytes(conv.scratch_bytes());
  return MakeKernel([conv](const LaunchArgs& args) {
    conv.Run(In(args, 0), In(args, 1), nullptr, Out(args, 0), args.scratch);
  });
}

std::unique_ptr<Kernel> MakeConv2DBackpropInput(PrepareContext& c) {
  const ConvBackpropInput conv(ConvSpecOf(c, c.out_shape(0), c.in_shape(1)));
  c.set_scratch_bytes(conv.scratch_bytes());
  return MakeKernel([conv](const LaunchArgs& args) {
    conv.Run(In(args, 1), In(args, 2), nullptr, Out(args, 0), args.scratch);
  });
}

std::unique_ptr<Kernel> MakeConv2DBackpropFilter(PrepareContext& c) {
  const ConvBackpropFilter conv(ConvSpecOf(c, c.in_shape(0), c.out_shape(0)));
  c.set_scratch_bytes(conv.scratch_bytes());
  return MakeKernel([conv](const LaunchArgs& args) {
    conv.Run(In(args, 0), In(args, 2), Out(args, 0), nullptr, args.scratch);
  });
}

// Each is linear in the image, the filter and the output's gradient, so the gradients
// of the three ops are made of each other.
Grads Conv2DGradient(const GradContext& g) {
  const AttrMap attrs = ConvWindowAttrs(g.attrs());
  return {Execute1("Conv2DBackpropInput", {ops::ShapeOf(g.input(0)), g.input(1), g.grad()},
                   attrs),
          Execute1("Conv2DBackpropFilter", {g.input(0), ops::ShapeOf(g.input(1)), g.grad()},
                   attrs)};
}

Grads Conv2DBackpropInputGradient(const GradContext& g) {
  const AttrMap attrs = ConvWindowAttrs(g.attrs());
  return {Grad(),
          Execute1("Conv2DBackpropFilter", {g.grad(), ops::ShapeOf(g.input(1)), g.input(2)},
                   attrs),
          Execute1("Conv2D", {g.grad(), g.input(1)}, attrs)};
}

Grads Conv2DBackpropFilterGradient(const GradContext& g) {
  const AttrMap attrs = ConvWindowAttrs(g.attrs());
  return {Execute1("Conv2DBackpropInput", {ops::ShapeOf(g.input(0)), g.grad(), g.input(2)},
                   attrs),
          Grad(), Execute1("Conv2D", {g.input(0), g.grad()}, attrs)};
}

AttrMap SampleAttrs(int64_t stride, int64_t dilation, const char* padding) {
  return {{"strides", std::vector<int64_t>{1, stride, stride, 1}},
          {"dilations", std::vector<int64_t>{1, dilation, dilation, 1}},
          {"padding", padding}};
}

REGISTER_OP("Conv2D")
    .Input("input: T").Input("filter: T").Output("output: T")
    .Attr("T: {float32, float64}").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("dilations: list(int) = [1, 1, 1, 1]")
    .Shape(Conv2DShape)
    .Gradient(Conv2DGradient)
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({2, 5, 5, 2}, 0.7f), Wave({3, 3, 2, 3}, 0.3f)}, SampleAttrs(1, 1, "VALID")},
          {{Wave({1, 5, 6, 2}, 0.7f), Wave({3, 2, 2, 3}, 0.3f)}, SampleAttrs(2, 1, "SAME")},
          {{Wave({1, 6, 6, 1}, 0.7f), Wave({2, 2, 1, 18}, 0.3f)}, SampleAttrs(1, 2, "SAME")},
          {{Wave({2, 3, 3, 3}, 0.7f), Wave({1, 1, 3, 4}, 0.3f)}, SampleAttrs(1, 1, "VALID")}};
    });
REGISTER_KERNEL("Conv2D", DeviceType::kCpu, {DType::kFloat32}, MakeConv2D);

REGISTER_OP("Conv2DBackpropInput")
    .Input("input_sizes: int32").Input("filter: T").Input("out_backprop: T").Output("output: T")
    .Attr("T: {float32, float64}").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("dilations: list(int) = [1, 1, 1, 1]")
    .Shape(Conv2DBackpropInputShape)
    .Gradient(Conv2DBackpropInputGradient)
    .Samples([] {
      return std::vector<OpSample>{{{Tensor::FromVector<int32_t>({2, 5, 5, 2}),
                                     Wave({3, 3, 2, 3}, 0.3f), Wave({2, 3, 3, 3}, 0.7f)},
                                    SampleAttrs(1, 1, "VALID")},
                                   {{Tensor::FromVector<int32_t>({1, 5, 6, 2}),
                                     Wave({3, 2, 2, 3}, 0.3f), Wave({1, 3, 3, 3}, 0.7f)},
                                    SampleAttrs(2, 1, "SAME")}};
    });
REGISTER_KERNEL("Conv2DBackpropInput", DeviceType::kCpu, {DType::kFloat32},
                MakeConv2DBackpropInput);

REGISTER_OP("Conv2DBackpropFilter")
    .Input("input: T").Input("filter_sizes: int32").Input("out_backprop: T").Output("output: T")
    .Attr("T: {float32, float64}").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("dilations: list(int) = [1, 1, 1, 1]")
    .Shape(Conv2DBackpropFilterShape)
    .Gradient(Conv2DBackpropFilterGradient)
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({2, 5, 5, 2}, 0.3f), Tensor::FromVector<int32_t>({3, 3, 2, 3}),
            Wave({2, 3, 3, 3}, 0.7f)},
           SampleAttrs(1, 1, "VALID")},
          {{Wave({1, 5, 6, 2}, 0.3f), Tensor::FromVector<int32_t>({3, 2, 2, 3}),
            Wave({1, 3, 3, 3}, 0.7f)},
           SampleAttrs(2, 1, "SAME")}};
    });
REGISTER_KERNEL("Conv2DBackpropFilter", DeviceType::kCpu, {DType::kFloat32},
                MakeConv2DBackpropFilter);

}  // namespace
}  // namespace tributary
