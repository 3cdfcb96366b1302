#pragma once
// FeatureIds and FeatureTable: the embeddings of several features in one table. Each
// feature has a range of rows, so that one lookup, one sparse gradient and one update
// serve all of them.

#include <memory>
#include <vector>

#include "trainer/layers/feature_column.h"

namespace tributary {

// The ids of features side by side, int64 [batch, all their lengths], each moved to its
// feature's range. Made by code: reads the features' ids in order.
class FeatureIds final : public Layer {
 public:
  FeatureIds(const std::string& name, const std::vector<Feature>& features);

  bool IsRowFunction() const override { return true; }
  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override;

  // Rows of all ranges. Throws FailedPreconditionError before the features have learnt.
  int64_t num_ids() const;
  // Ids of an example, feature by feature.
  const std::vector<int64_t>& lengths() const { return lengths_; }

 protected:
  void CheckInputCount(size_t count) const override;
  Tensor Call(const std::vector<Tensor>& inputs, CallContext& context) override;

 private:
  std::vector<std::shared_ptr<const Categorical>> categories_;
  std::vector<std::string> names_;
  std::vector<int64_t> lengths_;
};

// Rows of a trainable table [ids->num_ids(), width] for the output of `ids`: a row for
// each feature, [batch, features, width], or, `joined`, the sum of all, [batch, width].
class FeatureTable final : public Layer {
 public:
  // `combiner` joins the values of one feature; `initializer` may be null (Keras's
  // default for embeddings).
  FeatureTable(const std::string& name, std::shared_ptr<FeatureIds> ids, int64_t width,
               bool joined, const std::string& combiner,
               std::shared_ptr<Initializer> initializer = nullptr);

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override;
  DType ComputeOutputDType(const std::vector<DType>&) const override { return DType::kFloat32; }

 protected:
  void Build(const std::vector<Shape>& inputs) override;
  Tensor Call(const std::vector<Tensor>& inputs, CallContext& context) override;

 private:
  std::shared_ptr<FeatureIds> ids_;
  int64_t width_;
  bool joined_;
  std::string combiner_;
  std::shared_ptr<Initializer> initializer_;
  TableWeight table_;
};

}  // namespace tributary
