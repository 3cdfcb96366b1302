#pragma once
// Callbacks (keras.callbacks): what happens around the training steps.
//
// Every replica runs the same callbacks in the same order and sees the same logs
// at epoch ends, so decisions agree; chief-only ones are left out elsewhere.
// Between epochs a callback is called only at the steps that it asked for.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/option_registry.h"
#include "core/tensor/tensor.h"

namespace tributary {

class Trainer;

// Names and values in a fixed order: "loss", "accuracy", ..., "val_loss", ....
class Logs {
 public:
  using Entry = std::pair<std::string, double>;
  void Set(const std::string& name, double value);
  // Null when there is none.
  const double* Find(const std::string& name) const;
  // Throws NotFoundError that lists what there is.
  double Get(const std::string& name) const;
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  void clear() { entries_.clear(); }

 private:
  std::vector<Entry> entries_;
};

class Callback {
 public:
  static constexpr int64_t kNever = INT64_MAX;

  virtual ~Callback() = default;

  // Run on the chief alone: everything that writes files or to the terminal. Such
  // a callback must not call collective methods of the strategy.
  virtual bool chief_only() const { return false; }

  virtual void OnTrainBegin(Trainer&) {}
  // All that was asked for is trained: before any OnTrainEnd, and not when a run was told to
  // stop and shall go on. Here weights may be set (Trainer::SetWeights).
  virtual void OnTrainDone(Trainer&) {}
  virtual void OnTrainEnd(Trainer&) {}
  virtual void OnEpochBegin(Trainer&) {}
  // May add to the logs for the callbacks after it.
  virtual void OnEpochEnd(Trainer&, Logs&) {}
  // After OnEpochEnd of every callback: what they keep belongs to the next epoch now.
  virtual void OnEpochDone(Trainer&) {}

  // Steps until the first OnStep of an epoch, 1 for the first step; kNever: none.
  virtual int64_t FirstStep(Trainer&) { return kNever; }
  // After a step that was asked for; returns in how many steps to be called again.
  // A callback that goes by time estimates that number from the steps' pace, so
  // that the loop itself need not read the clock.
  virtual int64_t OnStep(Trainer&) { return kNever; }
  // True: OnStep comes exactly at the step asked for, while nobody trains. False: where
  // steps are handed out to others, at that step or soon after, while they go on.
  virtual bool exact_steps() const { return false; }
  // Called on all replicas at the step at which one of them had raised
  // kCheckpointRequest (strategy.h).
  virtual void OnCheckpointRequest(Trainer&) {}

  // On the chief, before a checkpoint is written: what tells of the steps before it shall be
  // in its files by then.
  virtual void OnCheckpoint(Trainer&) {}

  // What a resumed run needs to go on, as one line of text ("" for nothing).
  virtual std::string SaveState() const { return ""; }
  virtual void RestoreState(const std::string&) {}
  // The same in tensors: the chief's are saved, and come back to the chief alone, before
  // RestoreState.
  virtual std::vector<Tensor> SaveTensors() const { return {}; }
  virtual void RestoreTensors(std::vector<Tensor>) {}
  // After RestoreState, alike on every replica: the run that is resumed had come to its end
  // by this callback, which would end it again. It trains no further.
  virtual bool HasEnded() const { return false; }
  // Key of that state in a checkpoint; the registered name.
  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }

 private:
  std::string name_;
};
using CallbackPtr = std::shared_ptr<Callback>;

// What the surroundings of a job offer to callbacks that are built by name.
struct CallbackContext {
  std::string run_dir = ".";  // relative paths are taken from here
  std::string job_text;       // the job as YAML, for checkpoints and summaries

  // `path`, from run_dir unless it is absolute.
  std::string Path(const std::string& path) const;
};

using CallbackRegistry =
    OptionRegistry<CallbackPtr(const Options&, const CallbackContext&)>;
CallbackRegistry& Callbacks();

#define REGISTER_CALLBACK(...)                                           \
  [[maybe_unused]] static const ::tributary::CallbackRegistry::Registrar \
      TRB_UNIQUE(trb_callback_)(::tributary::Callbacks(), __VA_ARGS__)

}  // namespace tributary
