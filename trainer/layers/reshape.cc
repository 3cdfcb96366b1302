// Flatten and Reshape (keras.layers).

#include "ops/array_ops.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

// Elements of one row, or -1.
int64_t RowElements(const Shape& shape) {
  int64_t count = 1;
  for (int axis = 1; axis < shape.rank(); ++axis) {
    if (shape[axis] < 0) return -1;
    count *= shape[axis];
  }
  return count;
}

// As an argument of ops::Reshape: an open batch is -1.
Tensor ReshapeTo(const Tensor& x, const Shape& shape) {
  return ops::Reshape(x, shape.dims());
}

class Flatten final : public Layer {
 public:
  explicit Flatten(const Options& o) : Layer(o) {}
  bool IsRowFunction() const override { return true; }

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    return {inputs[0].dim(0), RowElements(inputs[0])};
  }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    if (inputs[0].rank() == 2) return inputs[0];
    return ReshapeTo(inputs[0], ComputeOutputShape({inputs[0].shape()}));
  }
};

class Reshape final : public Layer {
 public:
  explicit Reshape(const Options& o) : Layer(o), target_(o.Ints("target_shape")) {}
  bool IsRowFunction() const override { return true; }

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    const int64_t total = RowElements(inputs[0]);
    int64_t known = 1;
    int open = 0;
    for (const int64_t dim : target_) dim < 0 ? void(++open) : void(known *= dim);
    const bool fits = total < 0 || (open == 0 ? known == total : known > 0 && total % known == 0);
    if (open > 1 || !fits) {
      throw InvalidArgumentError("[Reshape] layer '{}' can't make {} of rows of {}", name(),
                                 tributary::Shape(target_).ToString(), inputs[0].ToString());
    }
    tributary::Shape shape{inputs[0].dim(0)};
    for (const int64_t dim : target_) shape.AddDim(dim < 0 && total >= 0 ? total / known : dim);
    return shape;
  }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    return ReshapeTo(inputs[0], ComputeOutputShape({inputs[0].shape()}));
  }

 private:
  std::vector<int64_t> target_;
};

REGISTER_LAYER(LayerTable("Flatten", "All axes but the batch in one.", {}),
               [](const Options& o) { return std::make_shared<Flatten>(o); });
REGISTER_LAYER(LayerTable("Reshape", "Another shape for each row.",
                          {Opt("target_shape").Int().Min(-1).List().Required().Doc(
                              "without the batch; one dimension may be -1")}),
               [](const Options& o) { return std::make_shared<Reshape>(o); });

}  // namespace
}  // namespace tributary
