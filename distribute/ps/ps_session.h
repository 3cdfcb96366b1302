#pragma once
// A process's parameters on the servers: what there is and where, and the exchange of a
// training step. The graph ops (distribute/graph_ops/ps_ops.h) are its methods as nodes.
//
// One step is one message to each server, out and back:
//
//   Announce(ids of step t+1)          while or before step t runs
//   WaitForReads                       weights and rows of step t are here; with look-ahead
//                                      those of step t+1 are asked for
//   StageRows(...)                     gradients of rows, combined
//   SendStep(gradients)                push of step t, pull of weights and of the rows
//                                      that were announced
//
// Lookups that were not announced cost a message of their own. Every process that
// declares the same things in the same order gets the same ids and the same placement.
//
// One thread, that of the training loop.

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "distribute/ps/key_set.h"
#include "distribute/ps/placement.h"
#include "distribute/ps/ps_client.h"
#include "distribute/ps/shard.h"

namespace tributary::ps {

// A dense variable of this process and where its value lies.
struct DenseBinding {
  std::string name;
  std::vector<int64_t> shape;
  int bucket = 0;      // index into SendStep's gradients
  int64_t offset = 0;  // of its first element in that bucket
  float* weights = nullptr;
};

class PsSession {
 public:
  PsSession(int servers, ConsistencyOptions consistency);

  int servers() const { return servers_; }
  const ConsistencyOptions& consistency() const { return consistency_; }
  bool sync() const { return consistency_.mode == Consistency::kSync; }

  // --- Declaring -----------------------------------------------------------------------
  // Assigns the spec's id. Tables get their optimizer by SetOptimizers.
  uint32_t AddTable(TableSpec spec);
  const TableSpec& table(uint32_t id) const { return tables_[id]; }
  void SetTableOptimizer(const NamedOptions& optimizer);
  // Places variables on servers. `rule` tells how many slots they have and whether parts
  // of one may be apart.
  void PlaceDense(const std::vector<DenseBinding>& variables, const NamedOptions& optimizer,
                  const Partitioner& partitioner);
  // Asked for each step that is sent; below 0: the optimizer's own.
  void SetLearningRate(std::function<double()> rate) { learning_rate_ = std::move(rate); }
  // How gradients, and what training steps read, travel. Rounding errors of dense gradients
  // go with the next step's; a checkpoint does not have them. What evaluation and saving
  // read is exact.
  void SetWireFormat(WireFormat push, WireFormat pull);

  // Rows of the next step are fetched while this one computes, without this worker's own
  // update: one step staler, and hidden behind the step. Not in sync.
  void SetLookAhead(bool look_ahead) { look_ahead_ = look_ahead && !sync(); }

  // --- Connected -----------------------------------------------------------------------
  void Attach(std::unique_ptr<PsClient> client);
  bool attached() const { return client_ != nullptr; }
  PsClient& client() { return *client_; }
  // [Chief] Creates everything on the servers; variables begin with what they hold here
  // unless they have been assigned before.
  void CreateAll();
  // [Worker] Joins (as the client's generation) and sets the step at which it stands.
  void Join();
  int64_t step() const { return step_; }
  // After WaitForReads: that of what the step reads (shard.h).
  int64_t pace() const { return pace_; }
  // Bounded staleness: others wait no longer for this worker (or do again).
  void Park(bool parked);
  // The next steps are those of a range of which server s has had the first done[s].
  void SetDone(std::vector<int64_t> done) { done_ = std::move(done); }

  // --- Steps ---------------------------------------------------------------------------
  // What the next step that is not announced yet looks up: int32 or int64 ids, one tensor
  // a lookup. At most kAhead steps ahead.
  void Announce(const std::vector<Tensor>& ids);
  void WaitForReads();
  // The rows of lookup `lookup` of the step under way: they are in `rows` (which has room
  // for one row an id) when it returns; `local` gets the place of each id's row. lookup
  // below 0: outside of a training step.
  void LookUp(int lookup, uint32_t table, const DType& dtype, const void* ids, int64_t count,
              float* rows, int32_t* local);
  // Gradients of a lookup's ids: values[i] belongs to row local[i].
  void StageRows(int lookup, uint32_t table, std::span<const int32_t> local, const float* values);
  // One pointer a bucket, which stay valid until the next WaitForReads or Drain.
  void SendStep(std::span<const float* const> gradients);
  // Nothing is under way when it returns.
  void Drain();
  // Weights here may be older than those there: the next step asks for them.
  void Invalidate() { fresh_ = false; }
  // Drains, and brings all dense variables up to date now; unchanged ones are not resent.
  void PullDense();
  // Forgets what was under way or announced, after a failure.
  void Abandon();

  static constexpr int kAhead = 3;

 private:
  struct Part {
    VariableSpec spec;
    int server = 0, bucket = 0;
    int64_t offset = 0;  // in the bucket
    float* weights = nullptr;
    uint64_t version = 0;
    std::vector<float> residual;  // where pushes are rounded
  };
  struct Lookup {
    uint32_t table = 0;
    float* rows = nullptr;  // where a plan wants them, once one has asked
    int64_t capacity = 0;
    std::vector<float> grads;
  };
  // What a step looks up: a key set for each lookup, shared by those of the same ids.
  struct Announced {
    std::vector<KeySet> keys;
    std::vector<int> set_of;
    std::vector<const float*> landed;  // by lookup; empty until requested
    std::vector<std::vector<float>> apart;  // rows that can't go where the plan wants them
    int64_t pace = INT64_MAX;  // that its rows count as, where they were fetched ahead
  };
  double Rate() const { return learning_rate_ ? learning_rate_() : -1; }
  Announced& At(int i) { return ring_[static_cast<size_t>((head_ + i) % kAhead)]; }
  Lookup& LookupOf(int lookup, uint32_t table);
  const KeySet& KeysOf(int lookup) { return At(0).keys[At(0).set_of[lookup]]; }
  void RequestRows(Announced* announced, StepExchange* exchange, bool apart);
  void FetchAhead();
  void CatchUp(int64_t pace);
  void PullRowsNow(const KeySet& keys, uint32_t table, float* rows, WireFormat format);
  void AddDense(StepExchange* exchange, bool versions);

  const int servers_;
  const ConsistencyOptions consistency_;
  std::vector<TableSpec> tables_;
  std::vector<Part> parts_;
  std::function<double()> learning_rate_;
  std::unique_ptr<PsClient> client_;

  int64_t step_ = 0;
  int64_t pace_ = 0;          // of the step under way, or of the next one (shard.h)
  int64_t weights_pace_ = 0;  // that the weights here count as
  std::vector<int64_t> done_;
  bool fresh_ = false, in_flight_ = false, look_ahead_ = false, ahead_in_flight_ = false;
  WireFormat push_format_ = WireFormat::kFloat32, pull_format_ = WireFormat::kFloat32;
  StepExchange exchange_, side_;  // of the step; for what is asked beside it
  StepExchange ahead_;            // for rows of the next step
  std::vector<Lookup> lookups_;
  std::array<Announced, kAhead> ring_;
  int head_ = 0, count_ = 0;
  bool current_ = false;  // At(0) belongs to the step under way, not to the next
  struct Staged {
    int lookup;
    uint32_t table;
  };
  std::vector<Staged> staged_;
  KeySet loose_;
};

}  // namespace tributary::ps
