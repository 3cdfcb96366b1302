#pragma once
// The state of one server, and how requests change it.
//
// A state machine: what it holds is a function of the mutating frames in the order in
// which they were applied, so that a checkpoint and the log of later frames give the
// same bits again. It knows no connection, no file and no clock; PsServer does.
//
//   async       a push is applied when it comes
//   bounded     the same; a pull waits until the slowest worker's pace is at most `staleness`
//               steps below its own
//   sync        a step is applied when `workers - backup` workers have ended it: their
//               gradients are summed in the order of the workers' numbers. With backup
//               workers, what comes later is dropped. Bits depend neither on the order of
//               arrival nor on the number of servers.
//
// A worker's pace is the clock of SSP (Ho et al. 2013): that of what its gradient is computed
// from, and one more for what it reads after the step. A pull at pace p brings all gradients
// computed at paces below p - `staleness`. Steps are handed out as they come, so who was slow
// has nothing to make up for: what it reads counts as the furthest worker's pace, as far as the
// bound allows, and it goes on from there (bounded delay, Li et al. 2014). One slow step holds
// others back once they are `staleness` steps beyond it, and what was slow before does not.
// Paces travel with pulls and pushes: they are the same on all servers, and so the slowest
// worker never waits.
//
// Owned by the server's thread.

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "distribute/ps/dense_variable.h"
#include "distribute/ps/embedding_table.h"
#include "distribute/ps/key_lists.h"
#include "distribute/ps/protocol.h"
#include "distribute/ps/row_combiner.h"
#include "distribute/ps/worker_ledger.h"
#include "distribute/transport/transport.h"

namespace tributary::ps {

enum class Consistency : uint8_t { kAsync, kBounded, kSync };

struct ConsistencyOptions {
  Consistency mode = Consistency::kAsync;
  int64_t staleness = 0;  // kBounded
  int workers = 1;        // kSync
  int backup = 0;         // kSync: of `workers`, so many need not come
};

// A mutating frame. In sync mode it is kept until its step is applied: its spans must
// stay valid until then, or `keep` holds what they point into.
struct MutatingFrame {
  FrameHeader header;
  ConstBytes control, payload;
  std::shared_ptr<const void> keep;
  std::vector<KeyList> lists = {};  // for each part whose ids are left out
};

// Is told where the time of Apply goes; changes nothing.
class ApplyWatch {
 public:
  virtual ~ApplyWatch() = default;
  // What follows is for this table or variable.
  virtual void Begin(PartKind kind, uint32_t target) = 0;
  virtual void End() = 0;
};

class Shard {
 public:
  explicit Shard(const ConsistencyOptions& options);

  enum class Verdict {
    kFresh,
    kDuplicate,  // applied before
    kPending,    // known before, its step is not complete yet
    kLate,       // its step is complete without it
  };
  // Whether the frame may be applied. Changes nothing. Throws InvalidArgumentError (what
  // can't be read, unknown targets, wrong lengths, values that are not finite),
  // FailedPreconditionError (fenced), NotFoundError.
  Verdict Admit(const MutatingFrame& frame);
  // Applies a frame that Admit has just found fresh. Sync: pushes of unfinished steps are kept.
  // `watch` is told of the gradients that are applied: of the frame's parts in their order; sync:
  // of a step that is complete by it, dense ones first, then tables.
  void Apply(const MutatingFrame& frame, ApplyWatch* watch = nullptr);

  // How many complete steps a push of `step` waits for before it counts as done, and
  // whether a pull at `step` by `worker` may be answered.
  bool Done(int64_t step) const { return !sync() || step < applied_steps_; }
  bool MayPull(uint32_t worker, int64_t step, int64_t pace) const;
  // The pace that what is pulled now, at `pace`, counts as beside `others`.
  int64_t CountsAs(const WorkerLedger::Paces& others, int64_t pace) const;
  bool sync() const { return options_.mode == Consistency::kSync; }
  // sync: complete steps; else the slowest worker's pace.
  int64_t applied_steps() const { return sync() ? applied_steps_ : ledger_.Slowest(); }

  // What a part that is pushed or pulled has in values. Throws NotFoundError,
  // UnimplementedError (its encoding), InvalidArgumentError (its count).
  WireValues ValuesOf(const PartControl& part);

  // Throw NotFoundError.
  EmbeddingTable& table(uint32_t id);
  DenseVariable& variable(uint32_t id);
  const std::map<uint32_t, std::unique_ptr<EmbeddingTable>>& tables() const { return tables_; }
  const std::map<uint32_t, std::unique_ptr<DenseVariable>>& variables() const { return variables_; }
  WorkerLedger& ledger() { return ledger_; }
  const WorkerLedger& ledger() const { return ledger_; }
  const ConsistencyOptions& options() const { return options_; }

  // Frames that were applied but whose step is not complete, in the order they came: a
  // new log begins with them. ApplyPending takes one back after a restart.
  std::vector<MutatingFrame> Pending() const;
  void ApplyPending(const MutatingFrame& frame);

  // An admitted push as it stands in a log: with all ids, and without what it pulls.
  // `payload` points into the frame and its lists.
  void InFull(const MutatingFrame& frame, std::vector<std::byte>* control,
              std::vector<ConstBytes>* payload);

  // For checkpoints.
  void CreateTable(TableSpec spec);
  void CreateVariable(VariableSpec spec);
  void RestoreSteps(int64_t applied) { applied_steps_ = applied; }
  // Workers and what they have pushed of steps that are not complete.
  void ForgetWorkers();
  // All there is.
  void Clear();
  // Brings idle rows up to date; before what is saved is copied.
  void Settle();

  uint64_t refused_pushes() const { return refused_pushes_; }  // not finite
  uint64_t late_pushes() const { return late_pushes_; }

 private:
  struct Step {
    std::map<uint32_t, std::vector<MutatingFrame>> frames;  // by worker
    std::vector<MutatingFrame> arrival;
    std::vector<uint32_t> finished;  // in the order of arrival
  };
  // A part of a push: ids (rows), and values as they came.
  struct Pushed {
    std::span<const uint64_t> ids;
    WireValues values;
    const std::byte* encoded;
  };

  Verdict AdmitPush(const MutatingFrame& frame);
  void CheckParts(const MutatingFrame& frame);
  // Calls fn(part, Pushed) for each pushed part.
  template <typename Fn>
  void ForEachPart(const StepMessage& message, const MutatingFrame& frame, const Fn& fn);
  // Its values: where they lie, or decoded into `scratch`.
  const float* Floats(const Pushed& part, std::vector<float>* scratch);
  void WatchBegin(PartKind kind, uint32_t target) {
    if (watch_) watch_->Begin(kind, target);
  }
  void WatchEnd() {
    if (watch_) watch_->End();
  }
  void DropPending(uint32_t worker);
  void ApplyPush(const MutatingFrame& frame);
  void ApplyNow(const MutatingFrame& frame);
  void Buffer(const MutatingFrame& frame);
  void CompleteSteps();
  void ApplyStep(Step& step);
  void ApplyRows(uint32_t id, const std::vector<Pushed>& parts, double learning_rate);
  void ApplyDense(uint32_t id, const std::vector<Pushed>& parts, double learning_rate);
  int Needed() const;

  ConsistencyOptions options_;
  std::map<uint32_t, std::unique_ptr<EmbeddingTable>> tables_;
  std::map<uint32_t, std::unique_ptr<DenseVariable>> variables_;
  WorkerLedger ledger_;
  std::map<int64_t, Step> steps_;  // sync: not yet complete
  int64_t applied_steps_ = 0;
  ApplyWatch* watch_ = nullptr;  // of the Apply under way
  StepMessage message_;  // scratch
  RowCombiner combiner_;
  std::vector<float> sum_, decoded_;
  uint64_t refused_pushes_ = 0, late_pushes_ = 0;
};

template <typename Fn>
void Shard::ForEachPart(const StepMessage& message, const MutatingFrame& frame, const Fn& fn) {
  uint64_t at = 0;
  auto list = frame.lists.begin();
  for (const PartControl& part : message.push()) {
    const WireValues values = ValuesOf(part);
    const uint64_t bytes = part.id_bytes();
    const std::byte* begin = frame.payload.data() + at;
    std::span ids(reinterpret_cast<const uint64_t*>(begin), bytes / sizeof(uint64_t));
    if (part.kept()) ids = **list++;
    fn(part, Pushed{ids, values, begin + bytes});
    at += Padded8(bytes + values.bytes());
  }
}

}  // namespace tributary::ps
