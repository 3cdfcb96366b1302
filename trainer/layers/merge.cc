// Layers of several inputs: Add and Concatenate (keras.layers).

#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

class Merge : public Layer {
 public:
  using Layer::Layer;

 protected:
  void CheckInputCount(size_t count) const override {
    if (count < 2) {
      throw InvalidArgumentError("[{}] layer '{}' takes two or more inputs, got {}",
                                 class_name(), name(), count);
    }
  }
};

class AddLayer final : public Merge {
 public:
  explicit AddLayer(const Options& o) : Merge(o) {}

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    Shape shape = inputs[0];
    for (const Shape& other : inputs) shape = BroadcastShapes(shape, other, "Add");
    return shape;
  }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    Tensor sum = inputs[0];
    for (size_t i = 1; i < inputs.size(); ++i) sum = ops::Add(sum, inputs[i]);
    return sum;
  }
};

class Concatenate final : public Merge {
 public:
  explicit Concatenate(const Options& o) : Merge(o), axis_(o.Int("axis")) {}
  bool IsRowFunction() const override { return axis_ != 0; }

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    const int axis = NormalizeAxis(axis_, inputs[0].rank(), "Concatenate");
    Shape shape = inputs[0];
    int64_t size = 0;
    for (Shape other : inputs) {
      const int64_t dim = other.rank() == shape.rank() ? other[axis] : 0;
      size = size < 0 || dim < 0 ? Shape::kUnknownDim : size + dim;
      if (other.rank() == shape.rank()) other.set_dim(axis, shape[axis]);
      if (!other.IsCompatibleWith(shape)) {
        throw InvalidArgumentError(
            "[Concatenate] layer '{}': inputs {} and {} differ outside axis {}", name(),
            inputs[0].ToString(), other.ToString(), axis_);
      }
    }
    shape.set_dim(axis, size);
    return shape;
  }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    return ops::Concat(inputs, axis_);
  }

 private:
  int64_t axis_;
};

REGISTER_LAYER(LayerTable("Add", "The sum of its inputs.", {}),
               [](const Options& o) { return std::make_shared<AddLayer>(o); });
REGISTER_LAYER(LayerTable("Concatenate", "Its inputs side by side.",
                          {Opt("axis").Int().Default(-1)}),
               [](const Options& o) { return std::make_shared<Concatenate>(o); });

}  // namespace
}  // namespace tributary
