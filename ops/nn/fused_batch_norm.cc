#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn/column_affine.h"
#include "ops/nn/column_sums.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

std::vector<Tensor> FusedBatchNorm(const Tensor& x, const Tensor& scale, const Tensor& offset,
                                   const Tensor& mean, const Tensor& variance, float epsilon,
                                   bool is_training, float exponential_avg_factor) {
  return Execute("FusedBatchNormV3", {x, scale, offset, mean, variance},
                 {{"epsilon", epsilon},
                  {"is_training", is_training},
                  {"exponential_avg_factor", exponential_avg_factor}});
}

}  // namespace ops

namespace {

Shape ChannelShape(InferenceContext& c, int image, std::initializer_list<int> vectors) {
  if (c.shape(image).rank() >= 0 && c.shape(image).rank() < 2) {
    throw InvalidArgumentError("[{}] x must have rank 2 or more, got shape {}", c.op(),
                               c.shape(image).ToString());
  }
  Shape channels{c.shape(image).unknown_rank() ? Shape::kUnknownDim : c.shape(image).dim(-1)};
  for (const int i : vectors) channels = ops::MergeShapes(c, channels, c.shape(i));
  return channels;
}

void BatchNormShape(InferenceContext& c) {
  const bool blends =
      !c.attr<bool>("is_training") || c.attr<float>("exponential_avg_factor") != 1.0f;
  const Shape channels =
      blends ? ChannelShape(c, 0, {1, 2, 3, 4}) : ChannelShape(c, 0, {1, 2});
  c.set_output(0, c.shape(0));
  for (int i = 1; i < 5; ++i) c.set_output(i, channels);
  c.set_output(5, Shape{0});
}

void BatchNormGradShape(InferenceContext& c) {
  const Shape channels = ChannelShape(c, 1, {2, 3, 4});
  c.set_output(0, ops::MergeShapes(c, c.shape(0), c.shape(1)));
  c.set_output(1, channels);
  c.set_output(2, channels);
  c.set_output(3, Shape{0});
  c.set_output(4, Shape{0});
}

const float* In(const LaunchArgs& args, int i) { return static_cast<const float*>(args.in[i]); }
float* Out(const LaunchArgs& args, int i) { return static_cast<float*>(args.out[i]); }

struct BatchNormSizes {
  int64_t rows, channels;
  float epsilon;
  bool training;
};

BatchNormSizes SizesOf(const PrepareContext& c, int image) {
  const int64_t channels = c.in_shape(image).dim(-1);
  return {channels ? c.in_shape(image).NumElements() / channels : 0, channels,
          c.attr<float>("epsilon"), c.attr<bool>("is_training")};
}

// Scratch: a and b of y = x a + b, then that of the sums.
class BatchNorm final : public Kernel {
 public:
  explicit BatchNorm(PrepareContext& c)
      : s_(SizesOf(c, 0)), sums_(s_.rows, s_.channels),
        factor_(c.attr<float>("exponential_avg_factor")) {
    c.set_scratch_bytes(2 * s_.channels * sizeof(float) + sums_.scratch_bytes());
  }

  void Launch(const LaunchArgs& args) override {
    float* a = static_cast<float*>(args.scratch);
    float* b = a + s_.channels;
    const float* mean = In(args, 3);
    const float* variance = In(args, 4);
    if (s_.training) {
      Moments(args, b + s_.channels);
      mean = Out(args, 3);
      variance = Out(args, 4);
    } else {
      for (const int i : {1, 3}) std::copy_n(mean, s_.channels, Out(args, i));
      for (const int i : {2, 4}) std::copy_n(variance, s_.channels, Out(args, i));
    }
    for (int64_t j = 0; j < s_.channels; ++j) {
      a[j] = In(args, 1)[j] / std::sqrt(variance[j] + s_.epsilon);
      b[j] = In(args, 2)[j] - mean[j] * a[j];
    }
    ColumnAffine(In(args, 0), a, nullptr, nullptr, b, Out(args, 0), s_.rows, s_.channels);
  }

 private:
  // Mean and (biased) variance of the batch as outputs 3 and 4; what a moving average
  // takes as outputs 1 and 2.
  void Moments(const LaunchArgs& args, float* scratch) const {
    float* mean = Out(args, 3);
    float* variance = Out(args, 4);
    const float count = static_cast<float>(std::max<int64_t>(1, s_.rows));
    sums_.Sum(In(args, 0), mean, scratch);
    for (int64_t j = 0; j < s_.channels; ++j) mean[j] /= count;
    sums_.Squares(In(args, 0), mean, variance, scratch);
    const float bessel = count / std::max(1.0f, count - 1);
    for (int64_t j = 0; j < s_.channels; ++j) {
      variance[j] /= count;
      Out(args, 1)[j] = mean[j];
      Out(args, 2)[j] = variance[j] * bessel;
      if (factor_ == 1.0f) continue;
      Out(args, 1)[j] = (1 - factor_) * In(args, 3)[j] + factor_ * Out(args, 1)[j];
      Out(args, 2)[j] = (1 - factor_) * In(args, 4)[j] + factor_ * Out(args, 2)[j];
    }
  }

  const BatchNormSizes s_;
  const ColumnSums sums_;
  const float factor_;
};

// Scratch: a, b, c of dx = dy a + x b + c, then that of the sums.
class BatchNormGrad final : public Kernel {
 public:
  explicit BatchNormGrad(PrepareContext& c)
      : s_(SizesOf(c, 1)), sums_(s_.rows, s_.channels, 2) {
    c.set_scratch_bytes(3 * s_.channels * sizeof(float) + sums_.scratch_bytes());
  }

  void Launch(const LaunchArgs& args) override {
    float* a = static_cast<float*>(args.scratch);
    float* b = a + s_.channels;
    float* c = b + s_.channels;
    const float* mean = In(args, 3);
    float* dscale = Out(args, 1);
    const float* doffset = Out(args, 2);
    sums_.Products(In(args, 0), In(args, 1), mean, Out(args, 2), dscale, c + s_.channels);
    const float count = static_cast<float>(std::max<int64_t>(1, s_.rows));
    for (int64_t j = 0; j < s_.channels; ++j) {
      const float inverse = 1.0f / std::sqrt(In(args, 4)[j] + s_.epsilon);
      a[j] = In(args, 2)[j] * inverse;
      b[j] = s_.training ? -a[j] * inverse * inverse * dscale[j] / count : 0.0f;
      c[j] = s_.training ? -a[j] * doffset[j] / count - b[j] * mean[j] : 0.0f;
      dscale[j] *= inverse;
    }
    ColumnAffine(In(args, 0), a, In(args, 1), b, c, Out(args, 0), s_.rows, s_.channels);
  }

 private:
  const BatchNormSizes s_;
  const ColumnSums sums_;
};

// The gradient of the gradient. With n = (x - mean) i, i = 1 / sqrt(variance + epsilon)
// and E the mean over all axes but the last, the op computes
//   dx = scale i (dy - E[dy] - n E[dy n]), dscale = sum dy n, doffset = sum dy
// (not training: dx = scale i dy). u, s, o are the gradients of its outputs.
Grads BatchNormGradGradient(const GradContext& g) {
  using namespace ops;
  const Tensor &dy = g.input(0), &x = g.input(1), &scale = g.input(2), &mean = g.input(3);
  const Tensor &u = g.grad(0), &s = g.grad(1), &o = g.grad(2);
  if (x.shape().unknown_rank()) {
    throw UnimplementedError("[FusedBatchNormGradV3] its gradient needs the rank of x");
  }
  std::vector<int64_t> axes;
  for (int i = 0; i + 1 < x.rank(); ++i) axes.push_back(i);
  const auto sum = [&](const Tensor& t) { return Sum(t, axes); };
  const auto average = [&](const Tensor& t) { return Mean(t, axes); };
  const Tensor i = Rsqrt(Add(g.input(4), ScalarLike(x, g.attr<float>("epsilon"))));
  const Tensor n = Mul(Sub(x, mean), i);
  const Tensor factor = Mul(scale, i);
  if (!g.attr<bool>("is_training")) {
    return {Add(Add(Mul(u, factor), Mul(n, s)), o), Mul(Mul(dy, i), s),
            sum(Mul(Mul(u, dy), i)), Grad(), Grad(), Grad()};
  }
  const auto centre = [&](const Tensor& t) {
    return Sub(Sub(t, average(t)), Mul(n, average(Mul(t, n))));
  };
  const Tensor along_u = average(Mul(u, n)), along_dy = average(Mul(dy, n));
  const Tensor of_dy = Add(Add(Mul(factor, centre(u)), Mul(n, s)), o);
  const Tensor of_scale = Mul(i, sum(Mul(u, centre(dy))));
  // Through n, and through i.
  const Tensor by_n = Sub(Mul(s, dy), Mul(factor, Add(Mul(u, along_dy), Mul(dy, along_u))));
  const Tensor by_i = Mul(scale, average(Mul(u, centre(dy))));
  const Tensor of_x = Sub(Mul(i, centre(by_n)), Mul(Mul(by_i, Square(i)), n));
  return {of_dy, of_x, of_scale, Grad(), Grad(), Grad()};
}

REGISTER_OP("FusedBatchNormV3")
    .Input("x: T").Input("scale: U").Input("offset: U").Input("mean: U").Input("variance: U")
    .Output("y: T").Output("batch_mean: U").Output("batch_variance: U")
    .Output("reserve_space_1: U").Output("reserve_space_2: U").Output("reserve_space_3: U")
    .Attr("T: {float32}").Attr("U: {float32}").Attr("epsilon: float = 0.0001")
    .Attr("exponential_avg_factor: float = 1.0").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Attr("is_training: bool = true")
    .Shape(BatchNormShape)
    .Gradient([](const GradContext& g) -> Grads {
      const bool training = g.attr<bool>("is_training");
      const std::vector<Tensor> grads =
          Execute("FusedBatchNormGradV3",
                  {g.grad(0), g.input(0), g.input(1), training ? g.output(3) : g.input(3),
                   training ? g.output(4) : g.input(4), g.output(5)},
                  {{"epsilon", *g.attrs().Find("epsilon")}, {"is_training", training}});
      return {grads[0], grads[1], grads[2], Grad(), Grad()};
    })
    .Samples([] {
      const Tensor x = Wave({3, 2, 2, 5}, 0.7f), scale = Wave({5}, 0.4f, 1.0f, 1.5f);
      const Tensor offset = Wave({5}, 0.9f), mean = Wave({5}, 0.2f);
      const Tensor variance = Wave({5}, 0.3f, 0.5f, 1.0f);
      return std::vector<OpSample>{
          {{x, scale, offset, mean, variance}, {{"epsilon", 0.001f}, {"is_training", false}},
           {0, 1, 2}}};
    });
REGISTER_KERNEL("FusedBatchNormV3", DeviceType::kCpu, {DType::kFloat32},
                [](PrepareContext& c) { return std::make_unique<BatchNorm>(c); });

REGISTER_OP("FusedBatchNormGradV3")
    .Input("y_backprop: T").Input("x: T").Input("scale: float32").Input("reserve_space_1: U")
    .Input("reserve_space_2: U").Input("reserve_space_3: U")
    .Output("x_backprop: T").Output("scale_backprop: U").Output("offset_backprop: U")
    .Output("reserve_space_4: U").Output("reserve_space_5: U")
    .Attr("T: {float32}").Attr("U: {float32}").Attr("epsilon: float = 0.0001")
    .Attr("data_format: {'NHWC'} = 'NHWC'").Attr("is_training: bool = true")
    .Shape(BatchNormGradShape)
    .Gradient(BatchNormGradGradient)
    .Samples([] {
      const Tensor dy = Wave({3, 2, 2, 5}, 0.3f), x = Wave({3, 2, 2, 5}, 0.7f);
      const Tensor scale = Wave({5}, 0.4f, 1.0f, 1.5f), mean = ops::Mean(x, {0, 1, 2});
      const Tensor variance = ops::Mean(ops::SquaredDifference(x, mean), {0, 1, 2});
      const Tensor none = Tensor::Zeros(DType::kFloat32, {0});
      return std::vector<OpSample>{
          {{dy, x, scale, mean, variance, none}, {{"is_training", true}}, {0, 2}},
          {{dy, x, scale, mean, variance, none}, {{"is_training", false}}, {0, 2}}};
    });
REGISTER_KERNEL("FusedBatchNormGradV3", DeviceType::kCpu, {DType::kFloat32},
                [](PrepareContext& c) { return std::make_unique<BatchNormGrad>(c); });

}  // namespace
}  // namespace tributary
