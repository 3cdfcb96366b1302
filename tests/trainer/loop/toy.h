#pragma once
// A small classification problem: noisy clusters, and a network with dropout.

#include "core/base/philox.h"
#include "trainer/loop/trainer.h"
#include "trainer/model/random_seed.h"

namespace tributary::testing {

// [rows, 8] inputs in three classes.
inline std::vector<Tensor> Clusters(int64_t rows) {
  Tensor x = Tensor::Empty(DType::kFloat32, {rows, 8});
  Tensor y = Tensor::Empty(DType::kInt32, Shape{rows});
  for (int64_t r = 0; r < rows; ++r) {
    const int32_t label = static_cast<int32_t>(PhiloxAt(1, 0, r)[0] % 3);
    y.mutable_data<int32_t>()[r] = label;
    for (int64_t c = 0; c < 8; ++c) {
      const float noise = UniformFloat(PhiloxAt(2, r, c)[0]) - 0.5f;
      x.mutable_data<float>()[r * 8 + c] = noise * 2 + (c % 3 == label ? 0.7f : 0);
    }
  }
  return {x, y};
}

inline data::Dataset ToyData(int64_t rows = 100, int64_t batch = 16) {
  return data::Dataset::FromTensorSlices(Clusters(rows)).Shuffle(rows, 7).Batch(batch);
}

inline ModelPtr ToyModel(double dropout = 0.2) {
  SetRandomSeed(3);
  return Sequential::Make({MakeLayer("Dense", {{"units", 16}, {"activation", "relu"}}),
                           MakeLayer("Dropout", {{"rate", dropout}}),
                           MakeLayer("Dense", {{"units", 3}})});
}

inline Options Metric(const char* name) { return MakeOptions(*Metrics().FindTable(name), {}); }

inline TrainerOptions ToyOptions(const OptionNode& optimizer = {{"learning_rate", 0.01}}) {
  return {.loss = Losses().Make("SparseCategoricalCrossentropy", {}),
          .metrics = {Metric("accuracy")},
          .optimizer = Optimizers().Make("Adam", optimizer)};
}

inline std::vector<float> Weights(const Module& module) {
  std::vector<float> out;
  for (const VariablePtr& v : module.variables()) {
    if (v->dtype() != DType::kFloat32) continue;
    const auto values = v->storage().values<float>();
    out.insert(out.end(), values.begin(), values.end());
  }
  return out;
}

}  // namespace tributary::testing
