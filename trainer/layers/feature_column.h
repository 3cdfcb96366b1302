#pragma once
// Features: what a data column becomes in a recommender model (tf.feature_column), by
// name. Models with a `features:` block (WideDeep, DLRM, DeepFM) compose themselves of
// them; each is made of ordinary layers that also stand alone.
//
//   features:
//     age:       Numeric
//     workclass: {Vocabulary: {oov: 1}}
//     pair:      {Crossed: {features: [education, occupation], buckets: 1000}}

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/option_registry.h"
#include "trainer/layers/categorical.h"
#include "trainer/model/model.h"

namespace tributary {

// A feature in a model under construction. Either `number` or `ids` is there.
struct Feature {
  std::string name;
  KerasTensor number;   // float32 [batch, width]
  KerasTensor ids;      // int64 [batch] or [batch, length]
  KerasTensor crossed;  // what crosses take: the value before it was hashed
  std::shared_ptr<const Categorical> categories;  // of ids

  bool is_number() const { return categories == nullptr; }
};

// The features of a model under construction and the inputs that they read: one for each
// data column, however many features read it.
class FeatureSet {
 public:
  // Adds the features of a `features:` option, in order. Throws InvalidArgumentError.
  FeatureSet(const Options& options, const std::string& option);

  const std::vector<Feature>& features() const { return features_; }
  std::vector<KerasTensor> inputs() const { return inputs_; }

  // The input called `column`, with rows of `length` elements (1: scalars). Throws
  // InvalidArgumentError when it is there already with another dtype or length.
  KerasTensor Input(const std::string& column, DType dtype, int64_t length);
  // A feature made before. Throws InvalidArgumentError with the nearest name.
  const Feature& Get(const std::string& name) const;

 private:
  std::vector<Feature> features_;
  std::vector<KerasTensor> inputs_;
  std::map<std::string, KerasTensor> by_column_;
};

using FeatureRegistry =
    OptionRegistry<Feature(const Options&, const std::string& name, FeatureSet&)>;
FeatureRegistry& Features();

#define REGISTER_FEATURE(...)                                           \
  [[maybe_unused]] static const ::tributary::FeatureRegistry::Registrar \
      TRB_UNIQUE(trb_feature_)(::tributary::Features(), __VA_ARGS__)

}  // namespace tributary
