#pragma once
// ParameterServerStrategy (tf.distribute.ParameterServerStrategy): variables and embedding
// tables live on servers, which update them; whoever trains pulls, computes and pushes.
//
//   alone    one process: servers are threads of it, and the trainer is the only worker
//   chief    opens windows of steps, evaluates, saves; trains nothing itself
//   worker   takes ranges of steps and does them
//
// async, bounded: a worker does whole batches, others than its fellows. sync: every worker
// does its part of each batch, and servers apply the sum: the same bits for any number of
// servers, and what one device computes.

#include <memory>
#include <string>
#include <vector>

#include "distribute/coordinator/coordinator.h"
#include "distribute/coordinator/coordinator_client.h"
#include "distribute/strategies/parameter_server/config.h"
#include "trainer/strategy/plain_buckets.h"
#include "trainer/strategy/strategy.h"

namespace tributary {

// What the three have in common.
class PsStrategy : public Strategy {
 public:
  std::string Describe() const override { return description_; }
  std::shared_ptr<Buffer> AllocateBucket(BucketKind kind, const std::string& name,
                                         size_t bytes) override {
    return buckets_.Allocate("parameter_server", kind, name, bytes);
  }
  void BuildUpdate(UpdateStep& step) override { parameters_.BuildPush(step); }
  void SyncInitialState(const std::vector<Tensor>&) override {}
  void SumAcrossReplicas(std::span<double>) override {}
  uint32_t EndStep(uint32_t requests) override { return requests; }
  ParameterService* parameters() override { return &parameters_; }

 protected:
  PsStrategy(const PsConfig& config, int workers, bool chief);

  const PsConfig config_;
  const int workers_;
  PsParameters parameters_;
  std::string description_;

 private:
  PlainBuckets buckets_;
};

class PsAlone final : public PsStrategy {
 public:
  // Starts the servers. They keep no log: they die with their worker.
  explicit PsAlone(const PsConfig& config);
  ~PsAlone() override;
  InputShard input_shard() const override { return {}; }
  bool is_chief() const override { return true; }
  // The variables exist now: creates them on the servers.
  void SyncInitialState(const std::vector<Tensor>& tensors) override;

 private:
  std::vector<std::unique_ptr<ps::PsServer>> servers_;
  std::vector<std::unique_ptr<Server>> listening_;
  bool connected_ = false;
};

// How a process reaches the parameter servers, as this generation.
using ConnectServers = std::function<std::unique_ptr<ps::PsClient>(uint64_t generation)>;

class PsChief final : public PsStrategy, private StepServer {
 public:
  PsChief(const PsConfig& config, int workers,
          std::shared_ptr<coordinator::Coordinator> coordinator, ConnectServers connect);
  InputShard input_shard() const override { return {}; }
  bool is_chief() const override { return true; }
  void SyncInitialState(const std::vector<Tensor>& tensors) override;
  StepServer* step_server() override { return this; }

 private:
  void Open(const StepRange& window) override;
  Progress Await(int64_t milliseconds) override;
  void Close() override { coordinator_->Close(); }
  std::vector<double> TakeFigures() override { return coordinator_->TakeFigures(); }
  uint32_t TakeRequests() override { return coordinator_->TakeRequests(); }
  std::vector<int64_t> Evict(uint32_t worker, uint64_t generation);
  // Durability `checkpoint`: throws AbortedError when a server has come back without what
  // came after its last checkpoint, and the job says that all go back then.
  void CheckServers();

  std::shared_ptr<coordinator::Coordinator> coordinator_;
  ConnectServers connect_;
  bool connected_ = false, ready_ = false;
};

class PsWorker final : public PsStrategy, private StepQueue {
 public:
  PsWorker(const PsConfig& config, int index, int workers,
           std::shared_ptr<coordinator::CoordinatorClient> chief, ConnectServers connect);
  InputShard input_shard() const override;
  bool is_chief() const override { return false; }
  StepQueue* step_queue() override { return this; }
  uint32_t EndStep(uint32_t requests) override;

 private:
  std::optional<StepRange> Take() override;
  void Done(std::span<const double> figures) override;
  bool Recover(const std::exception& error) override;
  void Register();
  std::optional<StepRange> TakeOnce();

  const int index_;
  std::shared_ptr<coordinator::CoordinatorClient> chief_;
  ConnectServers connect_;
  bool registered_ = false;
  uint64_t lease_ = 0;
  int recoveries_ = 0;  // since a range was done
};

}  // namespace tributary
