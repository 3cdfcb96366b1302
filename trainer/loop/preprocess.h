#pragma once
// Preprocessor: joins a data set whose columns have names with a model whose inputs have
// the same, and moves the part of the model that is a function of single rows (lookups,
// hashes, normalisation) out of the training step: its values are computed once a row,
// before the steps, and kept.
//
//   Preprocessor features(model, train);           // layers adapt to `train`
//   trainer.Fit(features.Apply(train), ...);
//   trainer.Evaluate(features.Apply(test));
//
// A data set without names is left as it is, but for layers that adapt.

#include <vector>

#include "trainer/data/dataset.h"
#include "trainer/model/model.h"

namespace tributary {

class Functional;

// Whether a layer has still to learn from data.
bool NeedsAdapt(const Model& model);

class Preprocessor {
 public:
  // Has layers of `model` adapt to the rows of `train` and tells the model where it will
  // be fed. Before the model is built. `max_bytes`: kept of one data set at most; beyond
  // that the model does everything itself, step by step. Throws NotFoundError for an
  // input without a column, InvalidArgumentError for one of another type, and
  // FailedPreconditionError when a layer must learn from what training changes.
  Preprocessor(const ModelPtr& model, const data::Dataset& train,
               size_t max_bytes = size_t{4} << 30);

  // The data set as the model wants it: what it is fed, and the target. Computes the
  // columns now.
  data::Dataset Apply(const data::Dataset& data) const;

 private:
  void FindFeeds(const data::Dataset& train, size_t max_bytes);

  ModelPtr owner_;
  Functional* model_ = nullptr;  // null: data sets stay as they are
  std::vector<KerasTensor> feeds_;
};

}  // namespace tributary
