#pragma once
// What the recommender models (WideDeep, DLRM, DeepFM) are put together from.

#include <string>
#include <vector>

#include "trainer/layers/feature_tables.h"

namespace tributary::recommender {

// `features:`, with `extras` that the model adds to each feature.
OptionSpec FeaturesOption(std::vector<OptionSpec> extras = {});
OptionSpec CombinerOption();

// All numbers side by side, [batch, n]; no call when there are none.
KerasTensor Numbers(const std::vector<Feature>& features, const std::string& name);
std::vector<Feature> OnlyCategories(const std::vector<Feature>& features);

// The ids of `features` (categories) and the layer that joins them.
struct JoinedIds {
  std::shared_ptr<FeatureIds> layer;
  KerasTensor ids;
};
JoinedIds JoinIds(const std::vector<Feature>& features, const std::string& name);

// Dense layers `<name>_0`, ... with `activation`, and dropout behind each.
KerasTensor Tower(KerasTensor x, const std::vector<int64_t>& units, const std::string& activation,
                  double dropout, const std::string& name);

// Several tensors side by side along the last axis; one stays as it is.
KerasTensor SideBySide(const std::vector<KerasTensor>& parts, const std::string& name);
// Several tensors of one shape added up; one stays as it is.
KerasTensor SumOf(const std::vector<KerasTensor>& parts, const std::string& name);
KerasTensor Flat(const KerasTensor& x, const std::string& name);
KerasTensor Dense(const KerasTensor& x, int64_t units, const std::string& activation,
                  const std::string& name);

// The model `logits` -> `activation`.
LayerPtr Finish(const Options& o, const FeatureSet& set, const KerasTensor& logits);
// name and output_activation, which every model has.
OptionTable ModelTable(std::string class_name, std::string doc, std::vector<OptionSpec> options);

}  // namespace tributary::recommender
