#include "launch/roles/model_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/config/job.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;

ModelPtr ModelOf(const std::string& model) {
  JobSources sources;
  sources.check_files = false;
  sources.environment = false;
  const std::string text = "data: {train: {source: digits}}\nloss: mse\nmodel:\n" + model;
  return MakeModel(ParseJob(text, "test.yaml", sources).options);
}

std::vector<std::string> NamesOf(const Model& model) {
  std::vector<std::string> names;
  for (const LayerPtr& layer : model.layers()) names.push_back(layer->name());
  return names;
}

TEST(MakeModel, AListIsAStackWithKerasNames) {
  const ModelPtr model = ModelOf(
      "  - Flatten\n"
      "  - Dense: {units: 4, activation: relu}\n"
      "  - Dense: {units: 3}\n"
      "  - Dense: {units: 2, name: logits}\n");
  EXPECT_THAT(NamesOf(*model), ElementsAre("flatten", "dense", "dense_1", "logits"));
}

TEST(MakeModel, NamedLayersAreComposedInAnyOrder) {
  const ModelPtr model = ModelOf(
      "  sum: {Add: {}, inputs: [left, right]}\n"
      "  left: {Dense: {units: 4}, inputs: [image]}\n"
      "  right: {Dense: {units: 4, activation: tanh}, inputs: [image]}\n"
      "  image: {Input: {shape: [6]}}\n");
  ASSERT_EQ(model->input_specs().size(), 1u);
  EXPECT_EQ(model->input_specs()[0].shape, Shape({-1, 6}));
  ASSERT_EQ(model->output_specs().size(), 1u);
  EXPECT_EQ(model->output_specs()[0].shape, Shape({-1, 4}));
  EXPECT_EQ(model->get_layer("left")->get_config().Int("units"), 4);
  EXPECT_EQ(model->layers().size(), 4u);
}

TEST(MakeModel, LayersThatNobodyReadsAreNamed) {
  try {
    ModelOf("  image: {Input: {shape: [6]}}\n"
            "  mean: {Dense: {units: 4}, inputs: [image]}\n"
            "  spread: {Dense: {units: 4}, inputs: [image]}\n");
    FAIL() << "took two outputs";
  } catch (const UnimplementedError& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("'mean' and 'spread'"));
  }
}

TEST(MakeModel, AMisfitIsToldByTheLayer) {
  EXPECT_THROW(ModelOf("  a: {Input: {shape: [6]}}\n"
                       "  b: {Input: {shape: [7]}}\n"
                       "  sum: {Add: {}, inputs: [a, b]}\n"),
               InvalidArgumentError);
}

}  // namespace
}  // namespace tributary
