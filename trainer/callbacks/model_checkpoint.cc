// ModelCheckpoint over CheckpointManager (keras.callbacks.ModelCheckpoint and
// BackupAndRestore in one): saves the whole training, resumes from it.

#include "core/base/logging.h"
#include "trainer/callbacks/every.h"
#include "trainer/callbacks/monitor.h"
#include "trainer/checkpoint/checkpoint_manager.h"
#include "trainer/checkpoint/model_graph.h"
#include "trainer/loop/check_finite.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

constexpr const char* kStateExtra = "training_state";
constexpr std::string_view kTensorsExtra = "training_state/";

class ModelCheckpoint final : public Callback {
 public:
  ModelCheckpoint(const Options& o, const CallbackContext& context)
      : options_(o), directory_(context.Path(o.String("directory"))),
        job_text_(context.job_text), every_(o.Every("every")) {
    set_name("ModelCheckpoint");
    if (o.Has("best")) {
      monitor_.emplace(o.String("best"), o.String("mode"));
      best_ = monitor_->Worst();
    }
  }

  // Every replica takes part: restoring and averaging are collective.
  void OnTrainBegin(Trainer& trainer) override {
    if (begun_) return;
    begun_ = true;
    if (trainer.is_chief()) OpenManagers(trainer);
    if (options_.String("resume") == "never") return;
    TrainingState state;
    if (trainer.is_chief()) {
      const auto found = manager_->RestoreOrInitialize(TrackModules(trainer.modules()));
      if (found) {
        const auto extra = found->extras.find(kStateExtra);
        if (extra == found->extras.end()) {
          throw DataLossError("[checkpoint] '{}' holds no training state; it can't be resumed",
                              found->path);
        }
        state = TrainingState::FromJson(extra->second.item<std::string>());
        state.tensors = TensorsOf(*found);
        if (ParameterService* elsewhere = trainer.strategy().parameters()) {
          elsewhere->Restore(PosixEnv(), found->path, state.step);
        }
        LogEvent(LogLevel::kInfo,
                 fmt::format("[checkpoint] resuming from '{}': step {}, epoch {}", found->path,
                             state.step, state.epoch + 1),
                 {{"path", found->path}, {"step", state.step}, {"epoch", state.epoch + 1}});
      }
    }
    trainer.Restore(state);
    last_saved_ = trainer.step() > 0 ? trainer.step() : -1;
  }

  bool exact_steps() const override { return true; }

  int64_t FirstStep(Trainer& trainer) override {
    const bool timed = every_.interval().unit == Interval::Unit::kSeconds;
    if (timed && !trainer.is_chief()) return kNever;
    return every_.FirstStep(trainer.step());
  }

  int64_t OnStep(Trainer& trainer) override {
    bool due = false;
    const int64_t wait = every_.OnStep(trainer.step(), &due);
    if (due && every_.interval().unit == Interval::Unit::kSeconds) {
      trainer.RequestCheckpoint();  // the chief's clock, everybody's step
    } else if (due) {
      SaveInEpoch(trainer);
    }
    return wait;
  }

  void OnCheckpointRequest(Trainer& trainer) override { SaveInEpoch(trainer); }

  void OnEpochEnd(Trainer&, Logs& logs) override {
    if (!monitor_) return;
    const std::optional<double> value = monitor_->Read(logs);
    best_due_ = value && monitor_->IsBetter(*value, best_);
    if (best_due_) best_ = *value;
  }

  void OnEpochDone(Trainer& trainer) override {
    if (std::exchange(best_due_, false)) {
      trainer.SaveTogether([&] {
        // Without a number: a rerun may reach this step again.
        if (Healthy(trainer)) best_manager_->Save(Content(trainer));
      });
    }
    if (pending_ || every_.AtEpochEnd(trainer.epoch())) SaveUnlessLast(trainer);
  }

  void OnTrainEnd(Trainer& trainer) override {
    if (pending_ || !every_.interval().never() || options_.Bool("save_at_end")) Save(trainer);
    if (manager_) manager_->Wait();
    if (best_manager_) best_manager_->Wait();
  }

  std::string SaveState() const override {
    return monitor_ ? fmt::format("{:a}", best_) : "";
  }
  void RestoreState(const std::string& text) override {
    best_ = std::strtod(text.c_str(), nullptr);
  }

 private:
  void OpenManagers(Trainer& trainer) {
    CheckpointManagerOptions options;
    options.directory = directory_;
    options.max_to_keep = static_cast<int>(options_.Int("max_to_keep"));
    options.keep_every_n_hours = options_.Float("keep_every_n_hours");
    options.asynchronous = options_.Bool("asynchronous");
    if (ParameterService* elsewhere = trainer.strategy().parameters()) {
      // Nobody trains until every server has copied what belongs to this step.
      options.asynchronous = false;
      options.write = [elsewhere](Env* env, const std::string& prefix,
                                  const CheckpointContent& content) {
        WriteCheckpointWith(env, prefix, content,
                            elsewhere->Save(env, prefix, elsewhere->num_files() + 1));
        elsewhere->Committed(prefix);
      };
    }
    options.resume_required = options_.String("resume") == "required";
    manager_ = std::make_unique<CheckpointManager>(options);
    if (!monitor_) return;
    options.directory += "/best";
    options.max_to_keep = 1;
    options.keep_every_n_hours = 0;
    best_manager_ = std::make_unique<CheckpointManager>(options);
  }

  // A step is saved once: with what the end of its epoch, and of the training, adds.
  void SaveInEpoch(Trainer& trainer) {
    pending_ = trainer.step_in_epoch() == trainer.steps_per_epoch();
    if (!pending_) SaveUnlessLast(trainer);
  }
  void SaveUnlessLast(Trainer& trainer) {
    pending_ = !trainer.HasMoreSteps();
    if (!pending_) Save(trainer);
  }

  void Save(Trainer& trainer) {
    pending_ = false;
    if (trainer.step() == last_saved_) return;
    last_saved_ = trainer.step();
    trainer.SaveTogether([&] {
      if (Healthy(trainer)) manager_->Save(Content(trainer), trainer.step());
    });
  }

  // Weights that are not finite never replace good ones on disk.
  static bool Healthy(Trainer& trainer) {
    for (const VariablePtr& variable : trainer.model()->variables()) {
      if (FirstNonFinite(variable->storage()) < 0) continue;
      LogError("[checkpoint] step {} is not saved: '{}' is not finite", trainer.step(),
               variable->name());
      return false;
    }
    return true;
  }

  CheckpointContent Content(Trainer& trainer) const {
    const TrainingState state = trainer.Save();
    CheckpointContent content;
    content.root = TrackModules(trainer.modules());
    content.extras = {{kStateExtra, Tensor(state.ToJson())},
                      {"step", Tensor(trainer.step())}};
    if (!job_text_.empty()) content.extras.emplace("job", Tensor(job_text_));
    for (const auto& [owner, tensors] : state.tensors) {
      for (size_t i = 0; i < tensors.size(); ++i) {
        content.extras.emplace(fmt::format("{}{}:{}", kTensorsExtra, owner, i), tensors[i]);
      }
    }
    return content;
  }

  // TrainingState::tensors.
  static std::map<std::string, std::vector<Tensor>> TensorsOf(const RestoredCheckpoint& found) {
    std::map<std::string, std::vector<Tensor>> out;
    for (const auto& [name, tensor] : found.extras) {
      if (!StartsWith(name, kTensorsExtra)) continue;
      const size_t colon = name.rfind(':');
      const std::string owner = name.substr(kTensorsExtra.size(), colon - kTensorsExtra.size());
      const size_t index = std::stoul(name.substr(colon + 1));
      std::vector<Tensor>& tensors = out[owner];
      tensors.resize(std::max(tensors.size(), index + 1));
      tensors[index] = tensor;
    }
    return out;
  }

  Options options_;
  std::string directory_, job_text_;
  Every every_;
  std::optional<Monitor> monitor_;
  double best_ = 0;
  bool begun_ = false, best_due_ = false;
  bool pending_ = false;  // a save, until the epoch or the training has ended
  int64_t last_saved_ = -1;
  std::unique_ptr<CheckpointManager> manager_, best_manager_;  // the chief's
};

REGISTER_CALLBACK(
    OptionTable{
        "ModelCheckpoint",
        "Saves variables, optimizer, step and data position, and resumes from them.",
        {Opt("directory").String().Default("checkpoints").Doc("from the run's folder"),
         Opt("every").Every().Default("1 epochs"),
         Opt("max_to_keep").Int().Min(0).Default(5).Doc("0: all"),
         Opt("keep_every_n_hours").Float().Min(0).Default(0.0),
         Opt("resume").OneOf({"auto", "required", "never"}).Default("auto").Doc(
             "from the newest whole checkpoint in the folder"),
         Opt("best").String().Doc("keep the best by this figure too, in <directory>/best"),
         Monitor::ModeOption(), Opt("asynchronous").Bool().Default(true),
         Opt("save_at_end").Bool().Default(true)}},
    [](const Options& o, const CallbackContext& context) {
      return std::make_shared<ModelCheckpoint>(o, context);
    });

}  // namespace
}  // namespace tributary
