// `wire` of a job with parameter servers: what travels is rounded, what is learnt and saved
// is not worse for it.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "core/base/parallel.h"
#include "distribute/strategies/parameter_server/strategy.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

PsConfig Config(const char* wire, const char* consistency) {
  return PsConfig::From(
      MakeOptions(ParameterServerTable(), OptionNode::Map{{"servers", OptionNode{2}},
                                                          {"consistency", OptionNode{consistency}},
                                                          {"wire", OptionNode{wire}}}));
}

data::Dataset Words() {
  std::vector<int64_t> words(400);
  std::vector<float> answers(200);
  for (int64_t i = 0; i < 200; ++i) {
    words[2 * i] = (i * i) % 17;
    words[2 * i + 1] = (i * 7) % 23;
    answers[i] = static_cast<float>((words[2 * i] + words[2 * i + 1]) % 2);
  }
  return data::Dataset::FromTensorSlices({Tensor::FromVector(words, {200, 2}),
                                          Tensor::FromVector(answers, {200, 1})})
      .Batch(25);
}

struct Learnt {
  double loss = 0;
  std::vector<float> dense;  // as the process holds them in the end
};

Learnt Train(const PsConfig& config) {
  SetNumThreads(1);
  const KerasTensor words = Input({2}, DType::kInt64, "words");
  const KerasTensor rows =
      (*MakeLayer("Embedding", {{"input_dim", 23}, {"output_dim", 6}}))(words);
  const KerasTensor h = (*MakeLayer("Dense", {{"units", 9}, {"activation", "tanh"}}))(
      (*MakeLayer("Flatten"))(rows));
  Trainer trainer(Model::Make({words}, {(*MakeLayer("Dense", {{"units", 1}}))(h)}),
                  {.loss = Losses().Make("BinaryCrossentropy", {{"from_logits", true}}),
                   .optimizer = Optimizers().Make("Adam", {{"learning_rate", 0.01}}),
                   .strategy = std::make_shared<PsAlone>(config)});
  const History history = trainer.Fit(Words(), {.epochs = 12});
  trainer.Predict(Words());
  Learnt out{.loss = history.logs.back().Get("loss"), .dense = {}};
  for (const VariablePtr& v : trainer.model()->trainable_variables()) {
    if (v->name().find("embedding") != std::string::npos) continue;
    for (const float x : v->storage().values<float>()) out.dense.push_back(x);
  }
  return out;
}

TEST(ParameterServerWire, PullsAreBfloat16WhereGradientsAreRounded) {
  const PsParametersOptions plain = Config("float32", "async").Parameters(1, true);
  EXPECT_EQ(plain.push_format, ps::WireFormat::kFloat32);
  EXPECT_EQ(plain.pull_format, ps::WireFormat::kFloat32);
  for (const char* wire : {"bf16", "int8"}) {
    const PsParametersOptions o = Config(wire, "async").Parameters(1, true);
    EXPECT_EQ(o.push_format, wire[0] == 'b' ? ps::WireFormat::kBfloat16 : ps::WireFormat::kInt8);
    EXPECT_EQ(o.pull_format, ps::WireFormat::kBfloat16);
  }
  EXPECT_THROW(Config("fp16", "async"), std::exception);
}

TEST(ParameterServerWire, AJobLearnsAsMuch) {
  for (const char* consistency : {"async", "sync"}) {
    const Learnt exact = Train(Config("float32", consistency));
    for (const char* wire : {"bf16", "int8"}) {
      SCOPED_TRACE(wire);
      const Learnt rounded = Train(Config(wire, consistency));
      EXPECT_NE(rounded.loss, exact.loss);
      EXPECT_NEAR(rounded.loss, exact.loss, 0.01);
      // What is read to evaluate and to save is not.
      size_t finer = 0;
      for (const float x : rounded.dense) finer += (std::bit_cast<uint32_t>(x) & 0xffff) != 0;
      EXPECT_GT(finer, rounded.dense.size() / 2);
    }
  }
}

}  // namespace
}  // namespace tributary
