#include "trainer/layers/recommender.h"

namespace tributary::recommender {

OptionSpec FeaturesOption(std::vector<OptionSpec> extras) {
  return Opt("features").MapOf("feature", OptionTable{"", "", std::move(extras)}).Required().Doc(
      "columns of the data by name, and what becomes of them");
}

OptionSpec CombinerOption() {
  return Opt("combiner").OneOf({"sum", "mean", "sqrtn"}).Default("mean").Doc(
      "joins the embeddings of a feature with several values");
}

KerasTensor SideBySide(const std::vector<KerasTensor>& parts, const std::string& name) {
  return parts.size() == 1 ? parts[0] : (*MakeLayer("Concatenate", {{"name", name}}))(parts);
}

KerasTensor SumOf(const std::vector<KerasTensor>& parts, const std::string& name) {
  return parts.size() == 1 ? parts[0] : (*MakeLayer("Add", {{"name", name}}))(parts);
}

KerasTensor Flat(const KerasTensor& x, const std::string& name) {
  return (*MakeLayer("Flatten", {{"name", name}}))(x);
}

KerasTensor Dense(const KerasTensor& x, int64_t units, const std::string& activation,
                  const std::string& name) {
  return (*MakeLayer("Dense",
                     {{"units", units}, {"activation", activation}, {"name", name}}))(x);
}

KerasTensor Numbers(const std::vector<Feature>& features, const std::string& name) {
  std::vector<KerasTensor> numbers;
  for (const Feature& feature : features) {
    if (feature.is_number()) numbers.push_back(feature.number);
  }
  return numbers.empty() ? KerasTensor() : SideBySide(numbers, name);
}

std::vector<Feature> OnlyCategories(const std::vector<Feature>& features) {
  std::vector<Feature> categories;
  for (const Feature& feature : features) {
    if (!feature.is_number()) categories.push_back(feature);
  }
  return categories;
}

JoinedIds JoinIds(const std::vector<Feature>& features, const std::string& name) {
  JoinedIds joined;
  std::vector<KerasTensor> ids;
  for (const Feature& feature : features) ids.push_back(feature.ids);
  joined.layer = std::make_shared<FeatureIds>(name, features);
  joined.ids = (*joined.layer)(ids);
  return joined;
}

KerasTensor Tower(KerasTensor x, const std::vector<int64_t>& units, const std::string& activation,
                  double dropout, const std::string& name) {
  for (size_t i = 0; i < units.size(); ++i) {
    x = Dense(x, units[i], activation, fmt::format("{}_{}", name, i));
    if (dropout > 0) {
      x = (*MakeLayer("Dropout",
                      {{"rate", dropout}, {"name", fmt::format("{}_dropout_{}", name, i)}}))(x);
    }
  }
  return x;
}

LayerPtr Finish(const Options& o, const FeatureSet& set, const KerasTensor& logits) {
  const KerasTensor output =
      (*MakeLayer("Activation", {{"activation", o.String("output_activation")},
                                 {"name", "output"}}))(logits);
  return Model::Make(set.inputs(), {output},
                     o.Has("name") ? o.String("name") : ToSnakeCase(o.name()));
}

OptionTable ModelTable(std::string class_name, std::string doc, std::vector<OptionSpec> options) {
  options.push_back(Opt("units").Int().Min(1).Default(1).Doc("outputs of an example"));
  options.push_back(Opt("output_activation").OneOf({"sigmoid", "linear", "softmax"})
                        .Default("sigmoid").Doc("on the sum of the parts"));
  return LayerTable(std::move(class_name), std::move(doc), std::move(options));
}

}  // namespace tributary::recommender
