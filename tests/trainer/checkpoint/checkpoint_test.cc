#include "trainer/checkpoint/checkpoint.h"

#include "core/base/errors.h"
#include "core/io/bundle_writer.h"
#include "core/io/memory_env.h"

namespace tributary {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

struct Net {
  Tensor kernel = Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2});
  Tensor bias = Tensor::FromVector<float>({5, 6});
  CheckpointContent Content() const {
    CheckpointContent content{Trackable::Container(), {}};
    content.root->Add("model/dense/kernel", Trackable::Variable("dense/kernel", kernel));
    content.root->Add("model/dense/bias", Trackable::Variable("dense/bias", bias));
    content.extras["step"] = Tensor(int64_t{42});
    content.extras["config"] = Tensor("{\"seed\": 1}");
    return content;
  }
};

TEST(Checkpoint, RestoresVariablesAndExtras) {
  MemoryEnv env;
  const Net saved;
  WriteCheckpoint(&env, "d/ckpt-1", saved.Content());
  Net live;
  std::fill_n(live.kernel.mutable_data<float>(), 4, 0.0f);
  std::fill_n(live.bias.mutable_data<float>(), 2, 0.0f);
  const CheckpointFile file(&env, "d/ckpt-1");
  EXPECT_EQ(file.Restore(live.Content().root).size(), 2u);
  EXPECT_EQ(live.kernel.ToVector<float>(), saved.kernel.ToVector<float>());
  EXPECT_EQ(live.bias.ToVector<float>(), saved.bias.ToVector<float>());
  EXPECT_THAT(file.ExtraNames(), testing::ElementsAre("config", "step"));
  EXPECT_EQ(file.Extra("step").item<int64_t>(), 42);
  EXPECT_TRUE(file.HasExtra("config"));
  EXPECT_THROW(file.Extra("none"), NotFoundError);
}

TEST(Checkpoint, ASnapshotDoesNotChangeWithTraining) {
  const Net net;
  const CheckpointContent copy = net.Content().Snapshot();
  net.kernel.mutable_data<float>()[0] = 100;
  EXPECT_EQ(copy.root->Find("model/dense/kernel")->tensor.data<float>()[0], 1);
  EXPECT_EQ(copy.Bytes(), net.Content().Bytes());
}

TEST(Checkpoint, AnotherShapeNamesVariableAndBothShapes) {
  MemoryEnv env;
  WriteCheckpoint(&env, "d/c", Net().Content());
  Net live;
  live.bias = Tensor::FromVector<float>({7, 8, 9});
  live.kernel = Tensor::Zeros(DType::kFloat32, {2, 2});
  const CheckpointFile file(&env, "d/c");
  EXPECT_THAT([&] { file.Restore(live.Content().root); },
              ThrowsMessage<InvalidArgumentError>(
                  AllOf(HasSubstr("dense/bias"), HasSubstr("(3,)"), HasSubstr("(2,)"))));
  EXPECT_EQ(live.kernel.data<float>()[0], 0) << "a failed restore changed a variable";
  live.bias = Tensor::Zeros(DType::kFloat64, {2});
  EXPECT_THAT([&] { file.Restore(live.Content().root); },
              ThrowsMessage<InvalidArgumentError>(AllOf(HasSubstr("float32"), HasSubstr("float64"))));
}

TEST(Checkpoint, MissingVariablesAreListedUnlessPartial) {
  MemoryEnv env;
  WriteCheckpoint(&env, "d/c", Net().Content());
  const Net live;
  const CheckpointContent content = live.Content();
  content.root->Add("model/new/kernel", Trackable::Variable("new/kernel", Tensor(1.0f)));
  const CheckpointFile file(&env, "d/c");
  EXPECT_THAT([&] { file.Restore(content.root); },
              ThrowsMessage<FailedPreconditionError>(HasSubstr("new/kernel")));
  EXPECT_EQ(file.Restore(content.root, {.expect_partial = true}).size(), 2u);
}

TEST(Checkpoint, NameBasedCheckpointsAreReadByFullName) {
  MemoryEnv env;
  BundleWriter writer(&env, "d/v1");
  writer.Add("dense/kernel", Tensor::FromVector<float>({9, 9, 9, 9}, {2, 2}));
  writer.Add("dense/bias", Tensor::FromVector<float>({8, 8}));
  writer.Finish();
  const Net live;
  CheckpointFile(&env, "d/v1").Restore(live.Content().root);
  EXPECT_EQ(live.kernel.data<float>()[3], 9);
}

TEST(Checkpoint, HiddenVariablesAreSavedButNotInTheGraph) {
  MemoryEnv env;
  const auto make = [](float value) {
    const auto root = Net().Content().root;
    root->Add("metrics/loss/total", Trackable::Variable("loss/total", Tensor(value)));
    root->edges.back().hidden = true;
    return root;
  };
  const CheckpointContent content{make(3), {}};
  WriteCheckpoint(&env, "d/c", content.Snapshot());
  const CheckpointFile file(&env, "d/c");
  EXPECT_TRUE(file.bundle().Has("metrics/loss/total/.ATTRIBUTES/VARIABLE_VALUE"));
  EXPECT_THAT(file.bundle().Read("_CHECKPOINTABLE_OBJECT_GRAPH").item<std::string>(),
              testing::Not(HasSubstr("total")));
  const auto live = make(0);
  file.Restore(live);
  EXPECT_EQ(live->Find("metrics/loss/total")->tensor.item<float>(), 3);
}

TEST(Checkpoint, SeveralShardsRestoreTheSame) {
  MemoryEnv env;
  WriteCheckpoint(&env, "d/c", Net().Content(), 2);
  EXPECT_TRUE(env.Exists("d/c.data-00001-of-00002"));
  const Net live;
  live.bias.mutable_data<float>()[1] = 0;
  CheckpointFile(&env, "d/c").Restore(live.Content().root);
  EXPECT_EQ(live.bias.data<float>()[1], 6);
}

}  // namespace
}  // namespace tributary
