// WideDeep: a linear model on all features plus a tower on their embeddings (Cheng et
// al. 2016; keras.experimental.WideDeepModel).

#include "trainer/layers/recommender.h"

namespace tributary {
namespace {

using namespace recommender;

// Features of `set` for which `wanted(options of the feature)`.
template <typename Fn>
std::vector<Feature> Where(const FeatureSet& set, const std::vector<Options>& options,
                           const Fn& wanted) {
  std::vector<Feature> chosen;
  for (size_t i = 0; i < options.size(); ++i) {
    if (wanted(options[i])) chosen.push_back(set.features()[i]);
  }
  return chosen;
}

// Learnt vocabularies have a size only later, and a dense layer must know its input.
KerasTensor Indicator(const Feature& feature) {
  if (feature.categories->num_ids() < 0) {
    throw InvalidArgumentError("[WideDeep] feature '{}' is an indicator, but how many values it "
                               "has is only learnt; give its values or max_tokens",
                               feature.name);
  }
  return (*MakeLayer("CategoryEncoding", {{"num_tokens", feature.categories->num_ids()},
                                          {"name", feature.name + "_indicator"}}))(feature.ids);
}

class Builder {
 public:
  explicit Builder(const Options& o)
      : o_(o), set_(o, "features"), extras_(o.Children("features")), units_(o.Int("units")) {}

  LayerPtr Build() {
    std::vector<KerasTensor> logits;
    Wide(&logits);
    Deep(&logits);
    if (logits.empty()) {
      throw InvalidArgumentError("[WideDeep] no feature is left for either part");
    }
    return Finish(o_, set_, SumOf(logits, "logits"));
  }

 private:
  void Wide(std::vector<KerasTensor>* logits) {
    const auto features =
        Where(set_, extras_, [](const Options& f) { return f.Bool("wide"); });
    const std::vector<Feature> categories = OnlyCategories(features);
    if (!categories.empty()) {
      const JoinedIds joined = JoinIds(categories, "wide_ids");
      logits->push_back((*std::make_shared<FeatureTable>(
          "wide", joined.layer, units_, true, o_.String("combiner"),
          Initializers().Make("Zeros", OptionNode::Map())))(joined.ids));
    }
    const KerasTensor numbers = Numbers(features, "wide_numbers");
    if (numbers.call) logits->push_back(Dense(numbers, units_, "linear", "wide_linear"));
  }

  void Deep(std::vector<KerasTensor>* logits) {
    std::vector<KerasTensor> parts;
    const auto embedded = OnlyCategories(
        Where(set_, extras_, [](const Options& f) { return f.String("deep") == "embedding"; }));
    if (!embedded.empty()) {
      const JoinedIds joined = JoinIds(embedded, "deep_ids");
      const KerasTensor rows = (*std::make_shared<FeatureTable>(
          "embedding", joined.layer, o_.Int("embedding_dim"), false,
          o_.String("combiner")))(joined.ids);
      parts.push_back(Flat(rows, "embedding_row"));
    }
    for (const Feature& feature : OnlyCategories(Where(set_, extras_, [](const Options& f) {
           return f.String("deep") == "indicator";
         }))) {
      parts.push_back(Indicator(feature));
    }
    const KerasTensor numbers = Numbers(
        Where(set_, extras_, [](const Options& f) { return f.String("deep") != "none"; }),
        "deep_numbers");
    if (numbers.call) parts.push_back(numbers);
    if (parts.empty()) return;
    const KerasTensor top =
        Tower(SideBySide(parts, "deep_input"), o_.Ints("hidden_units"),
              o_.String("activation"), o_.Float("dropout"), "deep");
    logits->push_back(Dense(top, units_, "linear", "deep_linear"));
  }

  const Options& o_;
  FeatureSet set_;
  std::vector<Options> extras_;
  int64_t units_;
};

REGISTER_LAYER(
    ModelTable("WideDeep", "A linear model of all features plus a tower on their embeddings.",
               {FeaturesOption({Opt("wide").Bool().Default(true).Doc("part of the linear model"),
                                Opt("deep").OneOf({"embedding", "indicator", "none"})
                                    .Default("embedding").Doc("its form in the tower")}),
                Opt("embedding_dim").Int().Min(1).Default(8).Doc("width of an embedding"),
                CombinerOption(),
                Opt("hidden_units").Int().Min(1).List(0, 64)
                    .Default(OptionNode::List{128, 64}).Doc("layers of the tower"),
                Opt("activation").OneOf({"relu", "gelu", "elu", "tanh", "silu"}).Default("relu"),
                Opt("dropout").Float().Min(0).Below(1).Default(0.0).Doc("behind each layer")}),
    [](const Options& o) { return Builder(o).Build(); });

}  // namespace
}  // namespace tributary
