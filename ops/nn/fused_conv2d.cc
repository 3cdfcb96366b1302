// What fusion makes of convolutions and the ops beside them.
//
//   _FusedConv2D (TensorFlow's grappler): fused_ops is [BiasAdd] or [BiasAdd,
//     <activation>], args: bias.
//   _FusedConv2DBackpropInput: Conv2DBackpropInput and 0 where features <= 0 (the
//     ReluGrad after it).
//   _FusedConv2DBackpropFilter: Conv2DBackpropFilter and the BiasAddGrad of the same
//     gradient.

#include "core/graph/kernel.h"
#include "ops/array/shape_rules.h"
#include "ops/nn/conv2d.h"
#include "ops/nn/fused_activation.h"
#include "ops/nn/sample_tensors.h"

namespace tributary {
namespace {

const float* In(const LaunchArgs& args, int i) { return static_cast<const float*>(args.in[i]); }
float* Out(const LaunchArgs& args, int i) { return static_cast<float*>(args.out[i]); }

void FusedConv2DShape(InferenceContext& c) {
  if (ParseFusedOps(c.op(), c.attrs()).mask) {
    throw InvalidArgumentError("[_FusedConv2D] fused_ops [ReluGrad] is not supported");
  }
  Conv2DShape(c);
  c.RequireRank(2, 1, "bias");
  ops::MergeShapes(c, Shape{c.outputs()[0].shape[3]}, c.shape(2));
}

void FusedBackpropInputShape(InferenceContext& c) {
  Conv2DBackpropInputShape(c);
  c.set_output(0, ops::MergeShapes(c, c.outputs()[0].shape, c.shape(3)));
}

void FusedBackpropFilterShape(InferenceContext& c) {
  Conv2DBackpropFilterShape(c);
  c.set_output(1, Shape{c.outputs()[0].shape[3]});
}

std::unique_ptr<Kernel> MakeFusedConv2D(PrepareContext& c) {
  const FusedActivation fused = ParseFusedOps(c.op(), c.attrs());
  const bool relu = fused.activation == ActivationLoop::kRelu;
  const ConvForward conv(ConvSpecOf(c, c.in_shape(0), c.in_shape(1)), relu);
  c.set_scratch_bytes(conv.scratch_bytes());
  const auto after = relu ? std::nullopt : fused.activation;
  const int64_t count = c.out_shape(0).NumElements();
  return MakeKernel([conv, after, count, alpha = fused.alpha](const LaunchArgs& args) {
    conv.Run(In(args, 0), In(args, 1), In(args, 2), Out(args, 0), args.scratch);
    if (after) RunActivation(*after, Out(args, 0), nullptr, Out(args, 0), count, alpha);
  });
}

std::unique_ptr<Kernel> MakeFusedBackpropInput(PrepareContext& c) {
  const ConvBackpropInput conv(ConvSpecOf(c, c.out_shape(0), c.in_shape(1)));
  c.set_scratch_bytes(conv.scratch_bytes());
  return MakeKernel([conv](const LaunchArgs& args) {
    conv.Run(In(args, 1), In(args, 2), In(args, 3), Out(args, 0), args.scratch);
  });
}

std::unique_ptr<Kernel> MakeFusedBackpropFilter(PrepareContext& c) {
  const ConvBackpropFilter conv(ConvSpecOf(c, c.in_shape(0), c.out_shape(0)));
  c.set_scratch_bytes(conv.scratch_bytes());
  return MakeKernel([conv](const LaunchArgs& args) {
    conv.Run(In(args, 0), In(args, 2), Out(args, 0), Out(args, 1), args.scratch);
  });
}

AttrMap SampleAttrs() {
  return {{"strides", std::vector<int64_t>{1, 1, 1, 1}}, {"padding", "VALID"}};
}

REGISTER_OP("_FusedConv2D")
    .Input("input: T").Input("filter: T").Input("args: num_args * T").Output("output: T")
    .Attr("T: {float32}").Attr("num_args: int >= 1").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("dilations: list(int) = [1, 1, 1, 1]").Attr("fused_ops: list(string)")
    .Attr("leakyrelu_alpha: float = 0.2")
    .Shape(FusedConv2DShape)
    .NotDifferentiable()
    .Samples([] {
      AttrMap attrs = SampleAttrs();
      attrs.Set("fused_ops", std::vector<std::string>{"BiasAdd", "Relu"});
      return std::vector<OpSample>{
          {{Wave({2, 5, 5, 2}, 0.7f), Wave({3, 3, 2, 3}, 0.3f), Wave({3}, 0.9f)}, attrs}};
    });
REGISTER_KERNEL("_FusedConv2D", DeviceType::kCpu, {DType::kFloat32}, MakeFusedConv2D);

REGISTER_OP("_FusedConv2DBackpropInput")
    .Input("input_sizes: int32").Input("filter: T").Input("out_backprop: T")
    .Input("features: T").Output("output: T")
    .Attr("T: {float32}").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("dilations: list(int) = [1, 1, 1, 1]")
    .Shape(FusedBackpropInputShape)
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{{{Tensor::FromVector<int32_t>({2, 5, 5, 2}),
                                     Wave({3, 3, 2, 3}, 0.3f), Wave({2, 3, 3, 3}, 0.7f),
                                     Wave({2, 5, 5, 2}, 0.9f)},
                                    SampleAttrs()}};
    });
REGISTER_KERNEL("_FusedConv2DBackpropInput", DeviceType::kCpu, {DType::kFloat32},
                MakeFusedBackpropInput);

REGISTER_OP("_FusedConv2DBackpropFilter")
    .Input("input: T").Input("filter_sizes: int32").Input("out_backprop: T")
    .Output("output: T").Output("bias_backprop: T")
    .Attr("T: {float32}").Attr("strides: list(int)")
    .Attr("padding: {'SAME', 'VALID'}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("dilations: list(int) = [1, 1, 1, 1]")
    .Shape(FusedBackpropFilterShape)
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{{{Wave({2, 5, 5, 2}, 0.3f),
                                     Tensor::FromVector<int32_t>({3, 3, 2, 3}),
                                     Wave({2, 3, 3, 3}, 0.7f)},
                                    SampleAttrs()}};
    });
REGISTER_KERNEL("_FusedConv2DBackpropFilter", DeviceType::kCpu, {DType::kFloat32},
                MakeFusedBackpropFilter);

}  // namespace
}  // namespace tributary
