#pragma once
// Strategy: how one training step becomes many replicas' step. The trainer owns
// this port and knows nothing of what stands behind it (tf.distribute.Strategy).
//
// A *replica* is one process that runs the training loop over its shard of the
// input. All replicas run the same program: they call the collective methods
// (marked [C]) in the same order, as often, with the same sizes. Methods throw
// UnavailableError or DeadlineExceededError naming the replica that failed.
// Called by the thread that trains.
//
// How the trainer uses it, in order:
//
//   AllocateBucket     variables, slots          when the model is built
//   SyncInitialState   everything                then, and after every restore
//   BuildUpdate        while a step is traced    (once an input shape)
//   AllocateBucket     gradients                 when that step's plan is built
//   BeginStep, EndStep around every step
//   SumAcrossReplicas  metrics, moving averages  at epoch ends and checkpoints

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/option_registry.h"
#include "core/tensor/tensor.h"
#include "trainer/strategy/parameter_service.h"
#include "trainer/strategy/step_queue.h"
#include "trainer/strategy/update_step.h"

namespace tributary {

// Which part of the input is this replica's: of every global batch, cut into `count`
// runs of rows that differ in length by one at most, the index-th.
struct InputShard {
  int index = 0;
  int count = 1;
};

enum class BucketKind {
  kVariables,  // may be one copy for several replicas
  kSlots,      // optimizer state, laid out like its variables; may be shared too
  kGradients,  // one a replica; others may read it inside the update
};

// Bits that any replica may raise; EndStep tells all of them at the same step.
enum StepRequest : uint32_t {
  kStopRequest = 1,        // leave the loop after this step (a signal, a callback)
  kCheckpointRequest = 2,  // save now (a timer of the chief)
};

class Strategy {
 public:
  virtual ~Strategy() = default;

  // For logs and `tributary graph`: "one_device", "multi_worker_mirrored: 2
  // replicas, node-shared".
  virtual std::string Describe() const = 0;

  virtual InputShard input_shard() const = 0;

  // The chief writes checkpoints, summaries and the progress line. One replica.
  virtual bool is_chief() const = 0;

  // [C] Zeroed host memory of at least `bytes`, aligned to 64, valid as long as
  // the strategy or the buffer. The same kind and name give the same memory again
  // (plans of several batch shapes share their gradient bucket); asking for more
  // bytes then throws InvalidArgumentError. For kVariables and kSlots the memory
  // may be shared by replicas: see UpdateStep for who may write when.
  virtual std::shared_ptr<Buffer> AllocateBucket(BucketKind kind, const std::string& name,
                                                 size_t bytes) = 0;

  // [C] Called while a step is traced, after the gradients: adds the nodes that
  // add the replicas' gradients up and update the variables with the *sum*, each
  // element exactly once whether memory is shared or not. When the step has
  // run, every replica sees the updated variables.
  virtual void BuildUpdate(UpdateStep& step) = 0;

  // Whether BuildUpdate would rather have the gradient of a [m, n] variable by its
  // factors (FlatBucket::products) than whole, where every replica's have `rows` rows.
  virtual bool TakesProduct(int64_t /*rows*/, int64_t /*m*/, int64_t /*n*/) const { return false; }

  // [C] On return every replica holds the chief's bytes in `tensors` (the live
  // storage of variables, slots and counters, in the same order everywhere).
  // Memory shared between replicas is recognised and not copied. Nobody returns
  // before everybody's values are in place.
  virtual void SyncInitialState(const std::vector<Tensor>& tensors) = 0;

  // [C] Replaces `values` by their sums over the replicas, added in replica order:
  // every replica gets the same bits. An empty span is a barrier.
  virtual void SumAcrossReplicas(std::span<double> values) = 0;

  // What follows until EndStep computes one step, and nothing else: no data is read, nothing
  // saved. A strategy may take a step that doesn't end for a replica that hangs.
  virtual void BeginStep() {}

  // [C] After every step, cheap (no message of its own where the update already
  // synchronises). Raises `requests` (StepRequest bits) and returns the bits that
  // all replicas act upon now: the same value on every replica at the same step,
  // each raised bit returned once, at most a few steps later. Throws when a
  // replica failed.
  virtual uint32_t EndStep(uint32_t requests) = 0;

  // --- What only some strategies have; null: the trainer does it itself -------------
  // Parameters that live outside of this process.
  virtual ParameterService* parameters() { return nullptr; }
  // This replica is a worker whose steps are handed out (Trainer::Work, not Fit).
  virtual StepQueue* step_queue() { return nullptr; }
  // This replica is a chief that hands out the steps of Fit and does none itself.
  virtual StepServer* step_server() { return nullptr; }
};

// "one_device", "multi_worker_mirrored", ...; built from a job's `strategy` block.
using StrategyRegistry = OptionRegistry<std::shared_ptr<Strategy>(const Options&)>;
StrategyRegistry& Strategies();

#define REGISTER_STRATEGY(...)                                         \
  [[maybe_unused]] static const ::tributary::StrategyRegistry::Registrar \
      TRB_UNIQUE(trb_strategy_)(::tributary::Strategies(), __VA_ARGS__)

}  // namespace tributary
