// Early stopping, learning rates, CSV, and what a callback sees.

#include <filesystem>
#include <fstream>

#include "core/proto/event.pb.h"
#include "core/tensor/proto.h"
#include "tests/temp_dir.h"
#include "tests/trainer/golden.h"
#include "tests/trainer/loop/toy.h"
#include "trainer/callbacks/every.h"
#include "trainer/callbacks/learning_rate.h"
#include "trainer/summary/event_file.h"
#include "trainer/summary/images.h"

namespace tributary {
namespace {

using namespace testing;

// Puts a given value into the logs of each epoch.
class Script final : public Callback {
 public:
  Script(std::string name, std::vector<double> values)
      : key_(std::move(name)), values_(std::move(values)) {}
  void OnEpochEnd(Trainer& trainer, Logs& logs) override {
    logs.Set(key_, values_.at(trainer.epoch()));
    weights.push_back(Weights(*trainer.model()));
  }
  std::vector<std::vector<float>> weights;

 private:
  std::string key_;
  std::vector<double> values_;
};

CallbackPtr Make(const char* name, const OptionNode& options, const std::string& dir = ".") {
  return Callbacks().Make(name, options, CallbackContext{.run_dir = dir});
}

TEST(EarlyStopping, WaitsForItsPatienceAndRestoresTheBest) {
  Trainer trainer(ToyModel(), ToyOptions());
  auto script = std::make_shared<Script>("score", std::vector<double>{5, 3, 4, 3.5, 9, 1});
  const History history = trainer.Fit(
      ToyData(), {.epochs = 6,
                  .callbacks = {script, Make("EarlyStopping",
                                             {{"monitor", "score"}, {"patience", 2},
                                              {"restore_best_weights", true}})}});
  EXPECT_EQ(history.epochs.size(), 4u);
  EXPECT_TRUE(history.stopped_early);
  EXPECT_EQ(Weights(*trainer.model()), script->weights[1]);
}

// Trains six epochs at most in a folder of checkpoints; figures of the epochs: `scores`.
struct StoppingRun {
  History history;
  std::vector<float> weights;
  std::vector<std::vector<float>> of_epochs;
};

StoppingRun Stop(const TempDir& dir, const std::vector<double>& scores, const OptionNode& options,
                 int64_t max_steps = 0, const OptionNode& every = "1 epochs") {
  Trainer trainer(ToyModel(), ToyOptions());
  auto script = std::make_shared<Script>("score", scores);
  const History history = trainer.Fit(
      ToyData(), {.epochs = 6, .max_steps = max_steps,
                  .callbacks = {Make("ModelCheckpoint", {{"every", every}}, dir.path()), script,
                                Make("EarlyStopping", options)}});
  return {history, Weights(*trainer.model()), script->weights};
}

OptionNode::Map Restoring(int64_t patience) {
  return {{"monitor", "score"}, {"patience", patience}, {"restore_best_weights", true}};
}

TEST(EarlyStopping, TheLastCheckpointHasTheBestWeights) {
  for (const char* every : {"1 epochs", "7 steps", "never"}) {
    const TempDir dir("early_stopping");
    const StoppingRun run = Stop(dir, {5, 3, 4, 3.5, 9, 1}, Restoring(2), 0, every);
    EXPECT_TRUE(run.history.weights_set);
    EXPECT_EQ(run.weights, run.of_epochs[1]);
    // It is finished: the same again trains no step.
    const StoppingRun again = Stop(dir, {5, 3, 4, 3.5, 9, 1}, Restoring(2), 0, every);
    EXPECT_TRUE(again.history.epochs.empty());
    EXPECT_EQ(again.weights, run.of_epochs[1]) << every;
    // With more patience it goes on, from the best.
    EXPECT_EQ(Stop(dir, {5, 3, 4, 3.5, 9, 1}, Restoring(4), 0, every).history.epochs.size(), 2u);
  }
}

TEST(EarlyStopping, WithoutItsCallbackARunGoesOn) {
  const TempDir dir("early_stopping");
  EXPECT_EQ(Stop(dir, {5, 6, 4, 3, 2, 1}, {{"monitor", "score"}}).history.epochs.size(), 2u);
  Trainer trainer(ToyModel(), ToyOptions());
  const History rest =
      trainer.Fit(ToyData(), {.epochs = 6, .callbacks = {Make("ModelCheckpoint", {}, dir.path())}});
  EXPECT_EQ(rest.epochs.size(), 4u);
}

// Asks for a stop after a step of an epoch: the run is told at the end of the next.
class StopAt final : public Callback {
 public:
  StopAt(int64_t epoch, int64_t step) : epoch_(epoch), step_(step) {}
  int64_t FirstStep(Trainer& trainer) override {
    return trainer.epoch() == epoch_ ? step_ : kNever;
  }
  int64_t OnStep(Trainer& trainer) override {
    trainer.RequestStop();
    return kNever;
  }

 private:
  const int64_t epoch_, step_;
};

TEST(EarlyStopping, ARunThatIsToldToStopKeepsItsOwnWeights) {
  const std::vector<double> scores = {5, 6, 7, 8, 9, 9};
  const TempDir dir("early_stopping");
  {
    Trainer trainer(ToyModel(), ToyOptions());
    const History part = trainer.Fit(
        ToyData(),
        {.epochs = 6, .callbacks = {std::make_shared<Script>("score", scores),
                                    Make("EarlyStopping", Restoring(3)),
                                    Make("ModelCheckpoint", {}, dir.path()),
                                    std::make_shared<StopAt>(2, 3)}});
    EXPECT_FALSE(part.weights_set);
  }
  const StoppingRun rest = Stop(dir, scores, Restoring(3));
  const StoppingRun whole = Stop(TempDir("early_stopping"), scores, Restoring(3));
  EXPECT_EQ(rest.of_epochs.back(), whole.of_epochs.back());
  EXPECT_EQ(rest.weights, whole.weights);  // those of the first epoch, before the resume
  EXPECT_EQ(whole.weights, whole.of_epochs[0]);
}

TEST(EarlyStopping, TwoOfThemKeepTheirOwnState) {
  const auto fit = [](const TempDir& dir, int64_t max_steps) {
    Trainer trainer(ToyModel(), ToyOptions());
    trainer.Fit(
        ToyData(),
        {.epochs = 6, .max_steps = max_steps,
         .callbacks = {Make("ModelCheckpoint", {}, dir.path()),
                       std::make_shared<Script>("score", std::vector<double>{5, 3, 4, 3.5, 9, 1}),
                       std::make_shared<Script>("other", std::vector<double>{1, 2, 3, 2, 2, 2}),
                       Make("EarlyStopping", Restoring(3)),
                       Make("EarlyStopping", {{"monitor", "other"}, {"patience", 9},
                                              {"restore_best_weights", true}})}});
    return Weights(*trainer.model());
  };
  const TempDir parts("early_stopping"), whole("early_stopping");
  fit(parts, 20);  // into the third epoch
  EXPECT_EQ(fit(parts, 0), fit(whole, 0));
}

TEST(EarlyStopping, ToldToStopInTheLastStepOfTheLastEpochItIsFinished) {
  const TempDir dir("early_stopping");
  const auto fit = [&] {
    Trainer trainer(ToyModel(), ToyOptions());
    return trainer.Fit(ToyData(), {.epochs = 2,
                                   .callbacks = {std::make_shared<StopAt>(1, 6),
                                                 Make("ModelCheckpoint", {}, dir.path())}});
  };
  const History whole = fit();  // asked in the sixth of 7 steps, told in the seventh
  EXPECT_EQ(whole.epochs.size(), 2u);
  EXPECT_FALSE(whole.stopped_early);
  EXPECT_TRUE(fit().epochs.empty());
}

TEST(EarlyStopping, KeepsTheBestBelowItsBaseline) {
  OptionNode::Map options = Restoring(3);
  options.push_back({"baseline", 1.0});
  const StoppingRun run = Stop(TempDir("early_stopping"), {5, 3, 4, 3.5, 9, 9}, options);
  EXPECT_EQ(run.history.epochs.size(), 3u);  // an epoch that is better does not end it
  EXPECT_EQ(run.weights, run.of_epochs[1]);
}

TEST(EarlyStopping, MoreIsBetterForAccuracies) {
  Trainer trainer(ToyModel(), ToyOptions());
  auto script = std::make_shared<Script>("my_acc", std::vector<double>{.1, .2, .3, .2, .9});
  const History history = trainer.Fit(
      ToyData(), {.epochs = 5,
                  .callbacks = {script, Make("EarlyStopping", {{"monitor", "my_acc"}})}});
  EXPECT_EQ(history.epochs.size(), 4u);
}

TEST(EarlyStopping, NamesAFigureThatDoesNotExist) {
  Trainer trainer(ToyModel(), ToyOptions());
  EXPECT_THROW(
      trainer.Fit(ToyData(), {.callbacks = {Make("EarlyStopping", {{"monitor", "acuracy"}})}}),
      NotFoundError);
}

TEST(LearningRateScheduler, SetsTheRateOfEachEpoch) {
  Trainer trainer(ToyModel(), ToyOptions());
  const History history = trainer.Fit(
      ToyData(),
      {.epochs = 3, .callbacks = {MakeLearningRateScheduler(
                        [](int64_t epoch, double) { return 0.5 / (epoch + 1); })}});
  EXPECT_NEAR(history.logs[2].Get("learning_rate"), 0.5 / 3, 1e-7);
}

TEST(ReduceLrOnPlateau, LowersTheRate) {
  Trainer trainer(ToyModel(), ToyOptions());
  auto script = std::make_shared<Script>("score", std::vector<double>{1, 1, 1, 0.5});
  trainer.Fit(ToyData(), {.epochs = 4,
                          .callbacks = {script, Make("ReduceLROnPlateau",
                                                     {{"monitor", "score"}, {"patience", 2},
                                                      {"factor", 0.5}})}});
  EXPECT_NEAR(trainer.optimizer()->learning_rate(), 0.005, 1e-8);
}

TEST(CsvLogger, WritesALineAnEpochWithSortedColumns) {
  const TempDir dir("csv_logger");
  Trainer trainer(ToyModel(), ToyOptions());
  const History history = trainer.Fit(
      ToyData(), {.epochs = 2, .validation = ToyData(20),
                  .callbacks = {Make("CSVLogger", {{"filename", "logs/fit.csv"}}, dir.path())}});
  std::ifstream file(dir.path() + "/logs/fit.csv");
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "epoch,accuracy,loss,val_accuracy,val_loss");
  std::getline(file, line);
  EXPECT_EQ(line.substr(0, 2), "0,");
  EXPECT_NE(line.find(fmt::format("{}", history.logs[0].Get("loss"))), std::string::npos);
  std::getline(file, line);
  EXPECT_EQ(line.substr(0, 2), "1,");
  EXPECT_FALSE(std::getline(file, line));
}

// One more epoch for the run in `dir`.
void AnotherEpoch(const TempDir& dir, int64_t epochs, const OptionNode& csv) {
  Trainer trainer(ToyModel(), ToyOptions());
  trainer.Fit(ToyData(), {.epochs = epochs,
                          .callbacks = {Make("CSVLogger", csv, dir.path()),
                                        Make("ModelCheckpoint", {}, dir.path())}});
}

std::vector<std::string> FirstCells(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> cells;
  for (std::string line; std::getline(file, line);) cells.push_back(line.substr(0, line.find(',')));
  return cells;
}

TEST(CsvLogger, AppendsOnceAfterAResume) {
  using V = std::vector<std::string>;
  const TempDir dir("csv_logger");
  const std::string file = dir.path() + "/log.csv";
  std::ofstream(file) << "epoch,accuracy,loss\n0,1,1\n1,1,1\n2,1,1\n";  // of an earlier run
  AnotherEpoch(dir, 1, {{"append", true}});
  std::ofstream(file, std::ios::app) << "1,9,9\n2,9,9\n";  // abandoned
  AnotherEpoch(dir, 2, {{"append", true}});
  EXPECT_EQ(FirstCells(file), (V{"epoch", "0", "1", "2", "0", "1"}));
}

TEST(CsvLogger, AFileThatCannotBeWrittenIsNoReasonToStop) {
  Trainer trainer(ToyModel(), ToyOptions());
  const History history = trainer.Fit(
      ToyData(), {.epochs = 2, .callbacks = {Make("CSVLogger", {{"filename", "/proc/no/log.csv"}})}});
  EXPECT_EQ(history.epochs.size(), 2u);
}

TEST(Every, CountsSteps) {
  Every every(Interval{5, Interval::Unit::kSteps});
  EXPECT_EQ(every.FirstStep(0), 5);
  EXPECT_EQ(every.FirstStep(13), 2);
  bool due = false;
  EXPECT_EQ(every.OnStep(15, &due), 5);
  EXPECT_TRUE(due);
}

TEST(Every, TurnsSecondsIntoStepsByTheirPace) {
  double now = 100;
  Every every(Interval{1, Interval::Unit::kSeconds}, [&] { return now; });
  int64_t step = 0, wait = every.FirstStep(0);
  std::vector<double> due_at;
  int calls = 0;
  while (now < 110) {  // a step takes a millisecond
    step += wait;
    now += wait * 1e-3;
    bool due = false;
    wait = every.OnStep(step, &due);
    ++calls;
    if (due) due_at.push_back(now);
  }
  ASSERT_GE(due_at.size(), 8u);
  for (size_t i = 1; i < due_at.size(); ++i) EXPECT_NEAR(due_at[i] - due_at[i - 1], 1, 0.05);
  EXPECT_LT(calls, 200);  // of ten thousand steps
}

TEST(Every, CountsEpochs) {
  const Every every(Interval{2, Interval::Unit::kEpochs});
  EXPECT_FALSE(every.AtEpochEnd(0));
  EXPECT_TRUE(every.AtEpochEnd(1));
}

TEST(ModelCheckpoint, KeepsTheBestBesideTheNewest) {
  const TempDir dir("model_checkpoint");
  Trainer trainer(ToyModel(), ToyOptions());
  auto script = std::make_shared<Script>("score", std::vector<double>{5, 3, 4});
  trainer.Fit(ToyData(), {.epochs = 3,
                          .callbacks = {script, Make("ModelCheckpoint",
                                                     {{"best", "score"}, {"max_to_keep", 2}},
                                                     dir.path())}});
  int newest = 0, best = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path() + "/checkpoints")) {
    newest += entry.path().extension() == ".index";
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir.path() + "/checkpoints/best")) {
    best += entry.path().extension() == ".index";
  }
  EXPECT_EQ(newest, 2);
  EXPECT_EQ(best, 1);
}

TEST(TensorBoard, WritesFilesForTrainingAndValidation) {
  const TempDir dir("tensorboard");
  Trainer trainer(ToyModel(), ToyOptions());
  trainer.Fit(ToyData(), {.epochs = 2, .validation = ToyData(20),
                          .callbacks = {Make("TensorBoard",
                                             {{"every", "3 steps"}, {"histograms", "1 epochs"}},
                                             dir.path())}});
  for (const char* part : {"train", "validation"}) {
    int files = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(dir.path() + "/summaries/" + part)) {
      files += entry.file_size() > 100;
    }
    EXPECT_EQ(files, 1) << part;
  }
}

// The values of a tag, in order.
std::vector<proto::Summary::Value> SummariesOf(const std::string& dir, const std::string& tag) {
  std::vector<proto::Summary::Value> values;
  for (const std::string& path : ListEventFiles(PosixEnv(), dir)) {
    EventFileReader reader(PosixEnv(), path);
    proto::Event event;
    while (reader.Read(&event)) {
      for (const auto& value : event.summary().value()) {
        if (value.tag() == tag) values.push_back(value);
      }
    }
  }
  return values;
}

TEST(TensorBoard, WritesOneRateAnEpoch) {
  const TempDir dir("tensorboard");
  Trainer trainer(ToyModel(), ToyOptions());
  trainer.Fit(ToyData(), {.epochs = 2, .validation = ToyData(20),
                          .callbacks = {Make("ReduceLROnPlateau", {}),
                                        Make("TensorBoard", {}, dir.path())}});
  EXPECT_EQ(SummariesOf(dir.path() + "/summaries/train", "epoch_learning_rate").size(), 2u);
}

TEST(TensorBoard, CurvesReachAsFarAsTheCheckpoint) {
  const TempDir dir("tensorboard");
  class Look final : public Callback {
   public:
    explicit Look(std::string dir) : dir_(std::move(dir)) {}
    void OnEpochBegin(Trainer& trainer) override {
      if (trainer.epoch() == 0) return;
      seen = SummariesOf(dir_ + "/summaries/train", "epoch_loss").size();
    }
    size_t seen = 0;

   private:
    std::string dir_;
  };
  const auto look = std::make_shared<Look>(dir.path());
  Trainer trainer(ToyModel(), ToyOptions());
  trainer.Fit(ToyData(), {.epochs = 2,
                          .callbacks = {Make("TensorBoard", {}, dir.path()),
                                        Make("ModelCheckpoint", {}, dir.path()), look}});
  EXPECT_EQ(look->seen, 1u);
}

TEST(TensorBoard, ShowsInputsAndWhatTheModelMakesOfThem) {
  const TempDir dir("tensorboard");
  Tensor x = Tensor::Empty(DType::kFloat32, {6, 4, 5, 1});
  for (int i = 0; i < 120; ++i) x.mutable_data<float>()[i] = static_cast<float>(i % 7) - 3;
  const auto fit = [&](const char* name, const ModelPtr& model, const Tensor& target) {
    TrainerOptions options = ToyOptions();
    options.loss = Losses().Make("MeanSquaredError", {});
    options.metrics = {};
    Trainer trainer(model, options);
    trainer.Fit(data::Dataset::FromTensorSlices({x, target}).Batch(3),
                {.epochs = 2, .callbacks = {Make("TensorBoard", {{"images", 2}},
                                                 dir.path() + "/" + name)}});
    return dir.path() + "/" + name + "/summaries/train";
  };
  const std::string drawn =
      fit("drawn", Sequential::Make({MakeLayer("Flatten"), MakeLayer("Dense", {{"units", 20}})}),
          Tensor::Zeros(DType::kFloat32, {6, 20}));
  const auto inputs = SummariesOf(drawn, "inputs"), outputs = SummariesOf(drawn, "outputs");
  ASSERT_EQ(inputs.size(), 1u);
  ASSERT_EQ(outputs.size(), 2u) << "one an epoch";
  for (const auto& value : {inputs[0], outputs[1]}) {
    EXPECT_EQ(value.metadata().plugin_data().plugin_name(), "images");
    const auto blobs = TensorFromProto(value.tensor()).ToVector<std::string>();
    ASSERT_EQ(blobs.size(), 4u);
    EXPECT_EQ(blobs[0] + "x" + blobs[1], "5x4");
  }
  // A classifier's outputs are no images; inputs of rank 2 neither.
  const std::string classes =
      fit("classes", Sequential::Make({MakeLayer("Flatten"), MakeLayer("Dense", {{"units", 3}})}),
          Tensor::Zeros(DType::kFloat32, {6, 3}));
  EXPECT_EQ(SummariesOf(classes, "inputs").size(), 1u);
  EXPECT_TRUE(SummariesOf(classes, "outputs").empty());
  x = x.Reshaped({6, 20});
  const std::string flat =
      fit("flat", Sequential::Make({MakeLayer("Dense", {{"units", 3}})}),
          Tensor::Zeros(DType::kFloat32, {6, 3}));
  EXPECT_TRUE(SummariesOf(flat, "inputs").empty());
}

TEST(AsImages, StretchesWhatLiesBeyondTheUnitInterval) {
  const Tensor wide = Tensor::FromVector<float>({-1, 0, 1, 3}, {1, 2, 2});
  ExpectNear(AsImages(wide, 5), {0, 0.25f, 0.5f, 1});
  EXPECT_EQ(AsImages(wide, 5).shape(), (Shape{1, 2, 2, 1}));
  const Tensor unit = Tensor::FromVector<float>({0.25f, 0.5f, 0.75f, 0.75f}, {1, 2, 2});
  ExpectNear(AsImages(unit, 5), {0.25f, 0.5f, 0.75f, 0.75f});
  EXPECT_FALSE(AsImages(Tensor::Zeros(DType::kFloat32, {3, 4, 4, 5}), 1).defined());
  EXPECT_FALSE(AsImages(Tensor::Zeros(DType::kInt32, {3, 4, 4}), 1).defined());
}

}  // namespace
}  // namespace tributary
