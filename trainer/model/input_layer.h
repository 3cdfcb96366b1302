#pragma once
// InputLayer: the place where a model is fed. Users call Input().

#include "trainer/model/model.h"

namespace tributary {

class InputLayer final : public Layer {
 public:
  explicit InputLayer(const Options& options);

  // With an open batch in front.
  const Shape& batch_shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  TensorSpec spec() const { return {dtype_, shape_, DType::kInvalid}; }
  KerasTensor Symbolic();

  Shape ComputeOutputShape(const std::vector<Shape>&) const override { return shape_; }
  DType ComputeOutputDType(const std::vector<DType>&) const override { return dtype_; }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext& context) override;
  void CheckInputCount(size_t count) const override;

 private:
  Shape shape_;
  DType dtype_;
};

}  // namespace tributary
