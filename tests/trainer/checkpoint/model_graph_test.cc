// Which names lead to a variable: TensorFlow 2.21 with Keras 3.15 was asked for
// its own (tests/interop restores through them).

#include "trainer/checkpoint/model_graph.h"

#include "trainer/model/model.h"
#include "trainer/optimizers/optimizer.h"

namespace tributary {
namespace {

std::shared_ptr<Sequential> Mlp() {
  const auto model = Sequential::Make({MakeLayer("Flatten"), MakeLayer("Dense", {{"units", 4}}),
                                       MakeLayer("BatchNormalization"),
                                       MakeLayer("Dense", {{"units", 2}, {"name", "logits"}})});
  model->BuildModel({{DType::kFloat32, {-1, 3}, DType::kInvalid}});
  return model;
}

TEST(ModelGraph, ASequentialHasTheNamesOfBothKeras) {
  const auto model = Mlp();
  const TrackablePtr root = TrackModules({{"model", model.get()}});
  const TrackablePtr kernel = root->Find("model/dense/kernel");
  ASSERT_NE(kernel, nullptr);
  EXPECT_EQ(kernel->full_name, model->variables()[0]->name());
  EXPECT_EQ(kernel->tensor.raw_data(), model->variables()[0]->storage().raw_data());
  for (const char* path :
       {"model/dense/_kernel", "model/layer-1/kernel", "model/layer_with_weights-0/_kernel",
        "model/_functional/_operations/2/_kernel"}) {  // Keras counts the input layer
    EXPECT_EQ(root->Find(path), kernel) << path;
  }
  EXPECT_NE(root->Find("model/_functional/_operations/3/moving_variance"), nullptr);
  EXPECT_EQ(root->Find("model/_functional/_operations/4/bias"), root->Find("model/logits/bias"));
  EXPECT_EQ(ListVariables(root).size(), model->variables().size());
}

TEST(ModelGraph, AFunctionalModelCountsItsInput) {
  const KerasTensor x = Input({3});
  const KerasTensor a = (*MakeLayer("Dense", {{"units", 4}}))(x);
  const auto model = Model::Make({x}, {(*MakeLayer("Add"))({a, a})});
  model->BuildModel({});
  const TrackablePtr root = TrackModules({{"model", model.get()}});
  EXPECT_NE(root->Find("model/_operations/1/_kernel"), nullptr);
  EXPECT_EQ(root->Find("model/_operations/1/_kernel"), root->Find("model/layer-1/kernel"));
  EXPECT_EQ(root->Find("model/_operations/0/_kernel"), nullptr);
}

TEST(ModelGraph, ARateThatFollowsAScheduleIsHiddenFromKeras) {
  const OptionNode schedule = {
      {"CosineDecay", {{"initial_learning_rate", 0.1}, {"decay_steps", 8}}}};
  for (const OptionNode& rate : {OptionNode(0.1), schedule}) {
    const OptimizerPtr optimizer = Optimizers().Make("SGD", {{"learning_rate", rate}});
    const std::string graph =
        SerializeObjectGraph(TrackModules({{"optimizer", optimizer.get()}}));
    EXPECT_EQ(graph.find("_learning_rate") == std::string::npos, optimizer->follows_schedule());
    EXPECT_NE(graph.find("_iterations"), std::string::npos);
  }
}

TEST(ModelGraph, SlotsLieInKerasLists) {
  const auto model = Mlp();
  struct Case {
    const char* optimizer;
    OptionNode options;
    std::vector<std::string> lists;
  };
  const std::vector<Case> cases = {
      {"Adam", {}, {"_momentums", "_velocities"}},
      {"SGD", {{"momentum", 0.9}}, {"momentums"}},
      {"RMSprop", {{"momentum", 0.9}, {"centered", true}},
       {"_velocities", "_momentums", "_average_gradients"}},
      {"Adagrad", {}, {"_accumulators"}},
  };
  for (const Case& c : cases) {
    const OptimizerPtr optimizer = Optimizers().Make(c.optimizer, c.options);
    const size_t variables = model->trainable_variables().size();
    std::vector<std::vector<VariablePtr>> slots(variables);
    for (size_t v = 0; v < variables; ++v) {
      for (const auto& spec : optimizer->slots()) {
        slots[v].push_back(Variable::Create(fmt::format("{}-{}", spec.name, v),
                                            model->trainable_variables()[v]->storage()));
      }
    }
    optimizer->OwnSlots(slots);
    const TrackablePtr root =
        TrackModules({{"model", model.get()}, {"optimizer", optimizer.get()}});
    EXPECT_NE(root->Find("optimizer/_iterations"), nullptr);
    EXPECT_NE(root->Find("optimizer/_learning_rate"), nullptr);
    EXPECT_EQ(root->Find("optimizer/_variables"), nullptr);
    EXPECT_EQ(root->Find("model/optimizer"), root->Find("optimizer"));
    for (size_t list = 0; list < c.lists.size(); ++list) {
      for (size_t v = 0; v < variables; ++v) {
        const TrackablePtr slot =
            root->Find(fmt::format("optimizer/{}/{}", c.lists[list], v));
        ASSERT_NE(slot, nullptr) << c.optimizer << " " << c.lists[list] << " " << v;
        EXPECT_EQ(slot->full_name, slots[v][list]->name());
      }
    }
  }
}

}  // namespace
}  // namespace tributary
