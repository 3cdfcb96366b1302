// summary() prints what Keras 3.15 prints, character by character.

#include <gtest/gtest.h>

#include "trainer/model/model.h"
#include "trainer/optimizers/optimizer.h"

namespace tributary {
namespace {

constexpr const char* kMlp = R"(Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ flatten (Flatten)               │ (None, 784)            │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 128)            │       100,480 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ logits (Dense)                  │ (None, 10)             │         1,290 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 101,770 (397.54 KB)
 Trainable params: 101,770 (397.54 KB)
 Non-trainable params: 0 (0.00 B)
)";

constexpr const char* kMlpWithOptimizer = R"(Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ flatten (Flatten)               │ (None, 784)            │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 128)            │       100,480 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ logits (Dense)                  │ (None, 10)             │         1,290 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 305,312 (1.16 MB)
 Trainable params: 101,770 (397.54 KB)
 Non-trainable params: 0 (0.00 B)
 Optimizer params: 203,542 (795.09 KB)
)";

constexpr const char* kConvnet = R"(Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ conv2d (Conv2D)                 │ (None, 26, 26, 32)     │           320 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ max_pooling2d (MaxPooling2D)    │ (None, 13, 13, 32)     │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ conv2d_1 (Conv2D)               │ (None, 11, 11, 64)     │        18,496 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ batch_normalization             │ (None, 11, 11, 64)     │           256 │
│ (BatchNormalization)            │                        │               │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ max_pooling2d_1 (MaxPooling2D)  │ (None, 5, 5, 64)       │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ flatten (Flatten)               │ (None, 1600)           │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dropout (Dropout)               │ (None, 1600)           │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 10)             │        16,010 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 35,082 (137.04 KB)
 Trainable params: 34,954 (136.54 KB)
 Non-trainable params: 128 (512.00 B)
)";

constexpr const char* kBranches = R"(Model: "functional"
┏━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┓
┃ Layer (type)        ┃ Output Shape      ┃    Param # ┃ Connected to      ┃
┡━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━┩
│ input_layer         │ (None, 16)        │          0 │ -                 │
│ (InputLayer)        │                   │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ dense (Dense)       │ (None, 8)         │        136 │ input_layer[0][0] │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ a_very_long_layer_… │ (None, 8)         │        136 │ input_layer[0][0] │
│ (Dense)             │                   │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ add (Add)           │ (None, 8)         │          0 │ dense[0][0],      │
│                     │                   │            │ a_very_long_laye… │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ concatenate         │ (None, 24)        │          0 │ add[0][0],        │
│ (Concatenate)       │                   │            │ input_layer[0][0] │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ dense_1 (Dense)     │ (None, 3)         │         75 │ concatenate[0][0] │
└─────────────────────┴───────────────────┴────────────┴───────────────────┘
 Total params: 347 (1.36 KB)
 Trainable params: 347 (1.36 KB)
 Non-trainable params: 0 (0.00 B)
)";

constexpr const char* kLine = R"(Model: "functional"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ input_layer (InputLayer)        │ (None, 16)             │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 8)              │           136 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense_1 (Dense)                 │ (None, 3)              │            27 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 163 (652.00 B)
 Trainable params: 163 (652.00 B)
 Non-trainable params: 0 (0.00 B)
)";

constexpr const char* kUnbuilt = R"(Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ flatten (Flatten)               │ ?                      │   0 (unbuilt) │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ ?                      │   0 (unbuilt) │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 0 (0.00 B)
 Trainable params: 0 (0.00 B)
 Non-trainable params: 0 (0.00 B)
)";

constexpr const char* kEmbedding = R"(Model: "my_model"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ embedding (Embedding)           │ (None, 5, 64)          │    64,000,000 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ flatten (Flatten)               │ (None, 320)            │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 10)             │         3,210 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 64,003,210 (244.15 MB)
 Trainable params: 64,003,210 (244.15 MB)
 Non-trainable params: 0 (0.00 B)
)";

LayerPtr Dense(int units, OptionNode::Map more = {}) {
  more.push_back({"units", units});
  return MakeLayer("Dense", more);
}

std::shared_ptr<Sequential> Mlp() {
  return Sequential::Make({MakeLayer("Input", {{"shape", std::vector<int>{28, 28}}}),
                           MakeLayer("Flatten"), Dense(128, {{"activation", "relu"}}),
                           Dense(10, {{"name", "logits"}})});
}

TEST(Summary, OfASequentialModel) {
  const auto model = Mlp();
  model->BuildModel({});
  EXPECT_EQ(model->summary(), kMlp);
}

TEST(Summary, CountsTheOptimizersVariables) {
  const auto model = Mlp();
  model->BuildModel({});
  std::vector<VariablePtr> variables = Optimizers().Make("Adam", {})->variables();
  for (const VariablePtr& v : model->trainable_variables()) {
    for (int slot = 0; slot < 2; ++slot) {
      variables.push_back(Variable::Create("slot", v->storage(), false));
    }
  }
  EXPECT_EQ(model->summary(variables), kMlpWithOptimizer);
}

TEST(Summary, WrapsLongNames) {
  const auto model = Sequential::Make(
      {MakeLayer("Input", {{"shape", std::vector<int>{28, 28, 1}}}),
       MakeLayer("Conv2D", {{"filters", 32}, {"kernel_size", 3}, {"activation", "relu"}}),
       MakeLayer("MaxPooling2D"),
       MakeLayer("Conv2D", {{"filters", 64}, {"kernel_size", 3}, {"activation", "relu"}}),
       MakeLayer("BatchNormalization"), MakeLayer("MaxPooling2D"), MakeLayer("Flatten"),
       MakeLayer("Dropout", {{"rate", 0.5}}), Dense(10)});
  model->BuildModel({});
  EXPECT_EQ(model->summary(), kConvnet);
}

TEST(Summary, ShowsTheConnectionsOfABranchedModel) {
  const KerasTensor input = Input({16});
  const KerasTensor a = (*Dense(8, {{"activation", "relu"}}))(input);
  const KerasTensor b =
      (*Dense(8, {{"name", "a_very_long_layer_name_for_a_dense_layer"}}))(input);
  const KerasTensor sum = (*MakeLayer("Add"))({a, b});
  const KerasTensor both = (*MakeLayer("Concatenate"))({sum, input});
  const ModelPtr model = Model::Make({input}, {(*Dense(3))(both)});
  model->BuildModel({});
  EXPECT_EQ(model->summary(), kBranches);
}

TEST(Summary, OfAFunctionalModelThatIsALine) {
  const KerasTensor input = Input({16});
  const ModelPtr model =
      Model::Make({input}, {(*Dense(3))((*Dense(8, {{"activation", "relu"}}))(input))});
  model->BuildModel({});
  EXPECT_EQ(model->summary(), kLine);
}

TEST(Summary, SaysWhatIsNotBuilt) {
  EXPECT_EQ(Sequential::Make({MakeLayer("Flatten"), Dense(1280000)})->summary(), kUnbuilt);
}

TEST(Summary, CountsInThousands) {
  const auto model = Sequential::Make(
      {MakeLayer("Input", {{"shape", std::vector<int>{5}}, {"dtype", "int32"}}),
       MakeLayer("Embedding", {{"input_dim", 1000000}, {"output_dim", 64},
                               {"embeddings_initializer", "zeros"}}),
       MakeLayer("Flatten"), Dense(10)},
      "my_model");
  model->BuildModel({});
  EXPECT_EQ(model->summary(), kEmbedding);
}

}  // namespace
}  // namespace tributary
