// DotInteraction and FactorizationMachine: how the embeddings of an example's features
// meet.

#include "ops/array_ops.h"
#include "ops/feature_ops.h"
#include "ops/math_ops.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

using namespace layers;

class DotInteraction final : public Layer {
 public:
  explicit DotInteraction(const Options& o) : Layer(o) {}
  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    RequireRank(*this, inputs[0], 3);
    const int64_t features = inputs[0][1];
    return {inputs[0][0], features < 0 ? Shape::kUnknownDim : features * (features - 1) / 2};
  }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    return ops::DotInteraction(inputs[0]);
  }
};

// The sum of the dot products of every two features, by the square of the sum less the
// sum of the squares (Rendle 2010).
class FactorizationMachine final : public Layer {
 public:
  explicit FactorizationMachine(const Options& o) : Layer(o) {}
  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    RequireRank(*this, inputs[0], 3);
    return {inputs[0][0], 1};
  }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    const Tensor& x = inputs[0];
    const Tensor apart =
        ops::Sub(ops::Square(ops::Sum(x, {1})), ops::Sum(ops::Square(x), {1}));
    return ops::Mul(ops::Sum(apart, {1}, true), ops::ScalarLike(x, 0.5));
  }
};

REGISTER_LAYER(LayerTable("DotInteraction",
                          "Dot products of every two of [batch, features, width].", {}),
               [](const Options& o) { return std::make_shared<DotInteraction>(o); });
REGISTER_LAYER(LayerTable("FactorizationMachine",
                          "The sum of those products, one number an example.", {}),
               [](const Options& o) { return std::make_shared<FactorizationMachine>(o); });

}  // namespace
}  // namespace tributary
