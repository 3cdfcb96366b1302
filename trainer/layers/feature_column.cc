#include "trainer/layers/feature_column.h"

#include "core/base/strings.h"
#include "ops/array_ops.h"
#include "trainer/layers/options.h"

namespace tributary {

FeatureRegistry& Features() {
  static FeatureRegistry registry("feature");
  return registry;
}

FeatureSet::FeatureSet(const Options& options, const std::string& option) {
  const std::vector<std::string> names = options.Keys(option);
  const std::vector<Options> features = options.Children(option);
  for (size_t i = 0; i < names.size(); ++i) {
    Feature feature = Features().Build(features[i], names[i], *this);
    feature.name = names[i];
    features_.push_back(std::move(feature));
  }
  if (features_.empty()) {
    throw InvalidArgumentError("[{}] `{}` names no feature", options.name(), option);
  }
}

KerasTensor FeatureSet::Input(const std::string& column, DType dtype, int64_t length) {
  const Shape shape = length == 1 ? Shape{} : Shape{length};
  const auto known = by_column_.find(column);
  if (known == by_column_.end()) {
    inputs_.push_back(tributary::Input(shape, dtype, column));
    return by_column_[column] = inputs_.back();
  }
  Shape batched{Shape::kUnknownDim};
  if (length != 1) batched.AddDim(length);
  if (known->second.dtype != dtype || !(known->second.shape == batched)) {
    throw InvalidArgumentError("[features] column '{}' is read as {} of shape {} and as {} of "
                               "shape {}",
                               column, DTypeName(known->second.dtype),
                               known->second.shape.ToString(), DTypeName(dtype),
                               batched.ToString());
  }
  return known->second;
}

const Feature& FeatureSet::Get(const std::string& name) const {
  std::vector<std::string> names;
  for (const Feature& feature : features_) {
    if (feature.name == name) return feature;
    names.push_back(feature.name);
  }
  throw InvalidArgumentError("[features] there is no feature '{}' above this one{} (features: {})",
                             name, DidYouMean(name, names), Join(names, ", "));
}

namespace {

OptionSpec Source() { return Opt("source").String().Doc("column of the data; the feature's name unless set"); }
OptionSpec Length() {
  return Opt("length").Int().Min(1).Default(1).Doc("values of an example; negative ids are not there");
}
std::string SourceOf(const Options& o, const std::string& name) {
  return o.Has("source") ? o.String("source") : name;
}

// A layer `<feature>_<suffix>` on `inputs`, which makes ids.
Feature Categories(const std::string& name, const char* suffix, const std::string& layer_class,
                   OptionNode::Map options, const std::vector<KerasTensor>& inputs) {
  options.push_back({"name", name + "_" + suffix});
  const LayerPtr layer = MakeLayer(layer_class, options);
  Feature feature;
  feature.ids = (*layer)(inputs);
  feature.categories = std::dynamic_pointer_cast<const Categorical>(layer);
  feature.crossed = inputs[0];
  return feature;
}

Feature MakeNumeric(const Options& o, const std::string& name, FeatureSet& set) {
  const int64_t width = o.Int("width");
  KerasTensor x = set.Input(SourceOf(o, name), DType::kFloat32, width);
  if (o.Bool("log1p")) x = (*MakeLayer("Log1p", {{"name", name + "_log"}}))(x);
  if (o.Bool("normalize")) {
    OptionNode::Map options = {{"name", name + "_normalized"}};
    if (o.Has("mean")) {
      options.push_back({"mean", o.Floats("mean")});
      options.push_back({"variance", o.Floats("variance")});
    }
    x = (*MakeLayer("Normalization", options))(x);
  }
  Feature feature;
  feature.number = (*MakeLayer("Reshape", {{"name", name + "_row"},
                                           {"target_shape", std::vector<int64_t>{width}}}))(x);
  return feature;
}

Feature MakeBucketized(const Options& o, const std::string& name, FeatureSet& set) {
  const KerasTensor x = set.Input(SourceOf(o, name), DType::kFloat32, 1);
  OptionNode::Map options;
  if (o.Has("boundaries")) options.push_back({"bin_boundaries", o.Floats("boundaries")});
  if (o.Has("buckets")) options.push_back({"num_bins", o.Int("buckets")});
  Feature feature = Categories(name, "bucket", "Discretization", options, {x});
  feature.crossed = feature.ids;
  return feature;
}

Feature MakeVocabulary(const Options& o, const std::string& name, FeatureSet& set) {
  const bool words = o.String("dtype") == "string";
  OptionNode::Map options = {{"num_oov_indices", o.Int("oov")}};
  if (o.Has("max_tokens")) options.push_back({"max_tokens", o.Int("max_tokens")});
  if (o.Has("file")) options.push_back({"vocabulary_file", o.String("file")});
  if (o.Has("values")) {
    OptionNode::List values;
    for (const std::string& value : o.Strings("values")) {
      // An integer's text is read by the layer's own table.
      values.push_back(words ? OptionNode(value) : OptionNode(OptionNode::Plain{value}));
    }
    options.push_back({"vocabulary", OptionNode(std::move(values))});
  }
  const KerasTensor x =
      set.Input(SourceOf(o, name), ParseDType(o.String("dtype")), o.Int("length"));
  return Categories(name, "lookup", words ? "StringLookup" : "IntegerLookup", options, {x});
}

Feature MakeHashed(const Options& o, const std::string& name, FeatureSet& set) {
  const KerasTensor x =
      set.Input(SourceOf(o, name), ParseDType(o.String("dtype")), o.Int("length"));
  return Categories(name, "hash", "Hashing", {{"num_bins", o.Int("buckets")}}, {x});
}

Feature MakeCrossed(const Options& o, const std::string& name, FeatureSet& set) {
  std::vector<KerasTensor> inputs;
  for (const std::string& other : o.Strings("features")) {
    const Feature& feature = set.Get(other);
    if (feature.is_number() || feature.ids.shape.rank() != 1) {
      throw InvalidArgumentError("[features] '{}' can't cross '{}': expected categories, one an "
                                 "example (numbers become such by Bucketized)",
                                 name, other);
    }
    inputs.push_back(feature.crossed);
  }
  Feature feature =
      Categories(name, "cross", "HashedCrossing", {{"num_bins", o.Int("buckets")}}, inputs);
  feature.crossed = feature.ids;
  return feature;
}

// Ids that the data holds already.
class Identity final : public Layer, public Categorical {
 public:
  explicit Identity(const Options& o) : Layer(o), buckets_(o.Int("num_ids")) {}
  bool IsRowFunction() const override { return true; }
  int64_t num_ids() const override { return buckets_; }
  DType ComputeOutputDType(const std::vector<DType>&) const override { return DType::kInt64; }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    return ops::Cast(inputs[0], DType::kInt64);
  }

 private:
  int64_t buckets_;
};

REGISTER_LAYER(LayerTable("CategoryIdentity", "Ids as they are, in int64.",
                          {Opt("num_ids").Int().Min(1).Required().Doc("they are below it")}),
               [](const Options& o) { return std::make_shared<Identity>(o); });

Feature MakeIdentity(const Options& o, const std::string& name, FeatureSet& set) {
  const KerasTensor x = set.Input(SourceOf(o, name), DType::kInt64, o.Int("length"));
  return Categories(name, "id", "CategoryIdentity", {{"num_ids", o.Int("buckets")}}, {x});
}

OptionSpec CategoryDType() {
  return Opt("dtype").OneOf({"string", "int64"}).Default("string").Doc("of the column");
}
OptionSpec Buckets() { return Opt("buckets").Int().Min(1).Required().Doc("how many ids"); }

REGISTER_FEATURE(
    OptionTable{"Numeric", "Numbers, normalised.",
                {Source(), Opt("width").Int().Min(1).Default(1).Doc("numbers of an example"),
                 Opt("log1p").Bool().Default(false).Doc("take the logarithm of 1 + x first"),
                 Opt("normalize").Bool().Default(true).Doc("to mean 0 and variance 1"),
                 Opt("mean").Float().List(1, 1 << 16).Doc("learnt from data.train unless set"),
                 Opt("variance").Float().Min(0).List(1, 1 << 16)},
                {"numeric"}},
    MakeNumeric);
REGISTER_FEATURE(
    OptionTable{"Bucketized", "Numbers as the ranges that they fall into.",
                {Source(), Opt("boundaries").Float().List(1, 10000).Doc("ascending"),
                 Opt("buckets").Int().Min(1).Max(10001).Doc(
                     "instead: so many ranges that hold equally many values of data.train")}},
    MakeBucketized);
REGISTER_FEATURE(
    OptionTable{"Vocabulary", "Categories by their place in a vocabulary.",
                {Source(), CategoryDType(), Length(),
                 Opt("values").String().List(1, 100000).Doc(
                     "in order; learnt from data.train unless set"),
                 Opt("file").Path().Doc("the same, one a line"),
                 Opt("max_tokens").Int().Min(1).Doc("learn only the most frequent"),
                 Opt("oov").Int().Min(0).Default(1).Doc("ids for values that are not in it")}},
    MakeVocabulary);
REGISTER_FEATURE(OptionTable{"Hashed", "Categories by their hash.",
                             {Source(), CategoryDType(), Length(), Buckets()}},
                 MakeHashed);
REGISTER_FEATURE(OptionTable{"Crossed", "Combinations of categories, by their hash.",
                             {Opt("features").String().List(2, 16).Required().Doc(
                                  "names of features above this one"),
                              Buckets()}},
                 MakeCrossed);
REGISTER_FEATURE(OptionTable{"Identity", "Ids that the data holds.",
                             {Source(), Length(), Buckets()}},
                 MakeIdentity);

}  // namespace
}  // namespace tributary
