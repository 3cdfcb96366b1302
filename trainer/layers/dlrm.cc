// DLRM: numbers through a tower, categories through embeddings, their dot products
// through another (Naumov et al. 2019, "Deep Learning Recommendation Model").

#include "trainer/layers/recommender.h"

namespace tributary {
namespace {

using namespace recommender;

LayerPtr MakeDlrm(const Options& o) {
  const FeatureSet set(o, "features");
  const int64_t width = o.Int("embedding_dim");
  const std::string& activation = o.String("activation");
  const std::vector<Feature> categories = OnlyCategories(set.features());
  if (categories.empty()) {
    throw InvalidArgumentError("[DLRM] there is no category among the features");
  }
  const JoinedIds joined = JoinIds(categories, "ids");
  KerasTensor features = (*std::make_shared<FeatureTable>(
      "embedding", joined.layer, width, false, o.String("combiner")))(joined.ids);
  std::vector<KerasTensor> top;
  const KerasTensor numbers = Numbers(set.features(), "numbers");
  if (numbers.call) {
    std::vector<int64_t> units = o.Ints("bottom_units");
    units.push_back(width);
    const KerasTensor bottom = Tower(numbers, units, activation, 0, "bottom");
    top.push_back(bottom);
    // The numbers stand beside the categories as one more feature.
    const KerasTensor row = (*MakeLayer(
        "Reshape", {{"name", "bottom_row"}, {"target_shape", std::vector<int64_t>{1, width}}}))(
        bottom);
    features = (*MakeLayer("Concatenate", {{"axis", 1}, {"name", "all_features"}}))(
        std::vector<KerasTensor>{row, features});
  }
  top.push_back((*MakeLayer("DotInteraction", {{"name", "interaction"}}))(features));
  const KerasTensor x =
      Tower(SideBySide(top, "top_input"), o.Ints("top_units"), activation, 0, "top");
  return Finish(o, set, Dense(x, o.Int("units"), "linear", "logits"));
}

REGISTER_LAYER(
    ModelTable("DLRM", "Towers around the dot products of embeddings.",
               {FeaturesOption(), CombinerOption(),
                Opt("embedding_dim").Int().Min(1).Default(16).Doc("width of an embedding"),
                Opt("bottom_units").Int().Min(1).List(0, 64)
                    .Default(OptionNode::List{64, 32})
                    .Doc("of the numbers' tower; a layer as wide as an embedding follows"),
                Opt("top_units").Int().Min(1).List(0, 64).Default(OptionNode::List{64, 32})
                    .Doc("of the tower above the products"),
                Opt("activation").OneOf({"relu", "gelu", "elu", "tanh", "silu"})
                    .Default("relu")}),
    MakeDlrm);

}  // namespace
}  // namespace tributary
