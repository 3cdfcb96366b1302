// A resumed run is bit-equal to one that never stopped: in the middle of an epoch,
// with dropout, shuffling, Adam's slots, metrics and callbacks that count.

#include "core/base/logging.h"
#include "tests/temp_dir.h"
#include "tests/trainer/golden.h"
#include "tests/trainer/loop/toy.h"

namespace tributary {
namespace {

using namespace testing;

struct Outcome {
  std::vector<float> weights;
  std::vector<double> losses;
  std::string lines;
};

std::string Slurp(const std::string& path) {
  std::string text;
  if (std::FILE* file = std::fopen(path.c_str(), "r")) {
    char buffer[4096];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) {
      text.append(buffer, n);
    }
    std::fclose(file);
  }
  return text;
}

// Trains up to `max_steps` steps of 6 epochs in a folder of checkpoints.
Outcome TrainIn(const TempDir& folder, int64_t max_steps, const OptionNode& every,
                int accumulate = 1) {
  TrainerOptions options = ToyOptions();
  options.accumulate_steps = accumulate;
  Trainer trainer(ToyModel(), options);
  const CallbackContext context{.run_dir = folder.path()};
  FitOptions fit{.epochs = 6, .max_steps = max_steps, .validation = ToyData(30)};
  fit.callbacks = {Callbacks().Make("ModelCheckpoint", {{"every", every}}, context),
                   Callbacks().Make("CSVLogger", {}, context),
                   Callbacks().Make("ReduceLROnPlateau", {{"patience", 1}}, context)};
  const History history = trainer.Fit(ToyData(), fit);
  Outcome out{Weights(*trainer.model()), {}, Slurp(folder.path() + "/log.csv")};
  const std::vector<float> slots = Weights(*trainer.optimizer());
  out.weights.insert(out.weights.end(), slots.begin(), slots.end());
  for (const Logs& logs : history.logs) out.losses.push_back(logs.Get("loss"));
  return out;
}

TEST(Resume, IsBitEqualFromAnyStep) {
  const Outcome whole = TrainIn(TempDir("resume"), 0, "1 epochs");
  ASSERT_EQ(whole.losses.size(), 6u);
  for (const int64_t stop : {1, 7, 10, 23, 41}) {
    const TempDir folder("resume");
    TrainIn(folder, stop, "1 epochs");
    const Outcome rest = TrainIn(folder, 0, "1 epochs");
    EXPECT_EQ(rest.weights, whole.weights) << "stopped after step " << stop;
    EXPECT_EQ(rest.losses.back(), whole.losses.back());
    EXPECT_EQ(rest.lines, whole.lines) << "stopped after step " << stop;
  }
}

TEST(Resume, IsBitEqualWithAccumulatedBatches) {
  const Outcome whole = TrainIn(TempDir("resume"), 0, "never", 3);
  const TempDir folder("resume");
  TrainIn(folder, 12, "never", 3);
  EXPECT_EQ(TrainIn(folder, 0, "never", 3).weights, whole.weights);
}

TEST(Resume, SeveralTimesOver) {
  const Outcome whole = TrainIn(TempDir("resume"), 0, "5 steps");
  const TempDir folder("resume");
  for (const int64_t stop : {3, 8, 19, 30}) TrainIn(folder, stop, "5 steps");
  const Outcome rest = TrainIn(folder, 0, "5 steps");
  EXPECT_EQ(rest.weights, whole.weights);
  EXPECT_EQ(rest.lines, whole.lines);
}

TEST(Resume, OfAFinishedRunDoesNothing) {
  const TempDir folder("resume");
  const Outcome whole = TrainIn(folder, 0, "1 epochs");
  const Outcome again = TrainIn(folder, 0, "1 epochs");
  EXPECT_EQ(again.weights, whole.weights);
  EXPECT_TRUE(again.losses.empty());
}

double RateAfter(const TempDir& folder, double rate, int64_t epochs, double factor) {
  Trainer trainer(ToyModel(), ToyOptions({{"learning_rate", rate}}));
  const CallbackContext context{.run_dir = folder.path()};
  // Nothing improves by so much: the rate falls at every epoch after the first.
  trainer.Fit(ToyData(), {.epochs = epochs,
                          .callbacks = {Callbacks().Make("ReduceLROnPlateau",
                                                         {{"monitor", "loss"}, {"patience", 1},
                                                          {"min_delta", 100.0},
                                                          {"factor", factor}}, context),
                                        Callbacks().Make("ModelCheckpoint", {}, context)}});
  return trainer.optimizer()->learning_rate();
}

TEST(Resume, TakesTheRateOfAJobThatHasChanged) {
  const TempDir folder("resume");
  EXPECT_NEAR(RateAfter(folder, 0.1, 2, 0.5), 0.05, 1e-8);
  EXPECT_NEAR(RateAfter(folder, 0.1, 3, 0.5), 0.025, 1e-8);  // what a callback has lowered
  EXPECT_NEAR(RateAfter(folder, 0.4, 4, 0.5), 0.2, 1e-8);
  EXPECT_NEAR(RateAfter(folder, 0.4, 5, 0.5), 0.1, 1e-8);
}

TEST(Resume, RefusesAnotherPipeline) {
  const TempDir folder("resume");
  TrainIn(folder, 10, "1 epochs");
  Trainer trainer(ToyModel(), ToyOptions());
  FitOptions fit{.epochs = 6};
  fit.callbacks = {Callbacks().Make("ModelCheckpoint", {}, {.run_dir = folder.path()})};
  const auto other = data::Dataset::FromTensorSlices(Clusters(100)).Batch(20);
  EXPECT_THROW(trainer.Fit(other, fit), FailedPreconditionError);
}

TEST(TrainingState, SurvivesJson) {
  TrainingState state{2, 3, 17, "{\"pass\":2}", {{"EarlyStopping", "x"}}};
  const TrainingState back = TrainingState::FromJson(state.ToJson());
  EXPECT_EQ(back.ToJson(), state.ToJson());
  EXPECT_THROW(TrainingState::FromJson("{"), InvalidArgumentError);
  EXPECT_THROW(TrainingState::FromJson("{\"epoch\": -1}"), InvalidArgumentError);
}

}  // namespace
}  // namespace tributary
