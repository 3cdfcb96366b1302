#include "trainer/layers/feature_tables.h"

#include "ops/array_ops.h"
#include "ops/feature_ops.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

Options Named(const char* class_name, const char* doc, const std::string& name) {
  return MakeOptions(LayerTable(class_name, doc, {}), {{"name", name}});
}

int64_t LengthOf(const Shape& ids) { return ids.rank() < 2 ? 1 : ids[1]; }

}  // namespace

FeatureIds::FeatureIds(const std::string& name, const std::vector<Feature>& features)
    : Layer(Named("FeatureIds", "The ids of several features side by side.", name)) {
  for (const Feature& feature : features) {
    categories_.push_back(feature.categories);
    names_.push_back(feature.name);
    lengths_.push_back(LengthOf(feature.ids.shape));
  }
}

void FeatureIds::CheckInputCount(size_t count) const {
  TRB_CHECK(count == categories_.size());
}

int64_t FeatureIds::num_ids() const {
  int64_t total = 0;
  for (size_t i = 0; i < categories_.size(); ++i) {
    const int64_t ids = categories_[i]->num_ids();
    if (ids < 0) {
      throw FailedPreconditionError("[features] '{}' has not learnt from the data yet", names_[i]);
    }
    total += ids;
  }
  return total;
}

Shape FeatureIds::ComputeOutputShape(const std::vector<Shape>& inputs) const {
  int64_t total = 0;
  for (const int64_t length : lengths_) total += length;
  return {inputs[0][0], total};
}

Tensor FeatureIds::Call(const std::vector<Tensor>& inputs, CallContext&) {
  std::vector<Tensor> columns;
  int64_t offset = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Tensor ids = ops::Reshape(inputs[i], {-1, lengths_[i]});
    if (offset > 0) {
      const Tensor moved = ops::Add(ids, Tensor(offset));
      // What is not there stays so.
      ids = lengths_[i] == 1 ? moved
                             : ops::Select(ops::Less(ids, Tensor(int64_t{0})), ids, moved);
    }
    columns.push_back(ids);
    offset += categories_[i]->num_ids();
  }
  return columns.size() == 1 ? columns[0] : ops::Concat(columns, 1);
}

FeatureTable::FeatureTable(const std::string& name, std::shared_ptr<FeatureIds> ids,
                           int64_t width, bool joined, const std::string& combiner,
                           std::shared_ptr<Initializer> initializer)
    : Layer(Named("FeatureTable", "The embeddings of several features in one table.", name)),
      ids_(std::move(ids)), width_(width), joined_(joined), combiner_(combiner),
      initializer_(std::move(initializer)) {
  if (!initializer_) initializer_ = Initializers().Make("RandomUniform", OptionNode::Map());
}

Shape FeatureTable::ComputeOutputShape(const std::vector<Shape>& inputs) const {
  if (joined_) return {inputs[0][0], width_};
  return {inputs[0][0], static_cast<int64_t>(ids_->lengths().size()), width_};
}

void FeatureTable::Build(const std::vector<Shape>&) {
  table_ = AddTable("embeddings", {ids_->num_ids(), width_}, *initializer_,
                    {.attribute = "_embeddings"});
}

Tensor FeatureTable::Call(const std::vector<Tensor>& inputs, CallContext& context) {
  const auto [table, ids] = context.LookUp(table_, inputs[0]);
  if (!joined_) return ops::EmbeddingBags(table, ids, ids_->lengths(), combiner_);
  if (combiner_ == "sum") {
    const Tensor bags = ops::EmbeddingBags(table, ids, {ids.dim(1)}, combiner_);
    return ops::Reshape(bags, {ids.dim(0), width_});
  }
  return ops::Sum(ops::EmbeddingBags(table, ids, ids_->lengths(), combiner_), {1});
}

}  // namespace tributary
