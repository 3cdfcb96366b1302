// DeepFM: a linear model, a factorization machine and a tower, the latter two on the same
// embeddings (Guo et al. 2017).

#include "trainer/layers/recommender.h"

namespace tributary {
namespace {

using namespace recommender;

LayerPtr MakeDeepFm(const Options& o) {
  const FeatureSet set(o, "features");
  const std::vector<Feature> categories = OnlyCategories(set.features());
  if (categories.empty()) {
    throw InvalidArgumentError("[DeepFM] there is no category among the features");
  }
  const JoinedIds joined = JoinIds(categories, "ids");
  const std::string& combiner = o.String("combiner");
  const KerasTensor rows = (*std::make_shared<FeatureTable>(
      "embedding", joined.layer, o.Int("embedding_dim"), false, combiner))(joined.ids);
  std::vector<KerasTensor> logits = {
      (*std::make_shared<FeatureTable>("linear", joined.layer, 1, true, combiner,
                                       Initializers().Make("Zeros", OptionNode::Map())))(
          joined.ids),
      (*MakeLayer("FactorizationMachine", {{"name", "pairs"}}))(rows)};
  std::vector<KerasTensor> deep = {Flat(rows, "embedding_row")};
  const KerasTensor numbers = Numbers(set.features(), "numbers");
  if (numbers.call) {
    logits.push_back(Dense(numbers, 1, "linear", "linear_numbers"));
    deep.push_back(numbers);
  }
  const KerasTensor top = Tower(SideBySide(deep, "deep_input"), o.Ints("hidden_units"),
                                o.String("activation"), o.Float("dropout"), "deep");
  logits.push_back(Dense(top, 1, "linear", "deep_linear"));
  return Finish(o, set, SumOf(logits, "logits"));
}

OptionTable Table() {
  OptionTable table = ModelTable(
      "DeepFM", "A linear model, a factorization machine and a tower on shared embeddings.",
      {FeaturesOption(), CombinerOption(),
       Opt("embedding_dim").Int().Min(1).Default(16).Doc("width of an embedding"),
       Opt("hidden_units").Int().Min(1).List(0, 64).Default(OptionNode::List{128, 64})
           .Doc("layers of the tower"),
       Opt("activation").OneOf({"relu", "gelu", "elu", "tanh", "silu"}).Default("relu"),
       Opt("dropout").Float().Min(0).Below(1).Default(0.0).Doc("behind each layer")});
  // One number an example: a factorization machine has no more.
  std::erase_if(table.options, [](const OptionSpec& option) { return option.name == "units"; });
  return table;
}

REGISTER_LAYER(Table(), MakeDeepFm);

}  // namespace
}  // namespace tributary
