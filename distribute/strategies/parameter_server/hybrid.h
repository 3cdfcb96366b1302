#pragma once
// Hybrid: dense variables are mirrored and all-reduced, embedding tables live on parameter
// servers, one a rank (Naumov et al. 2020, "Deep Learning Training in Facebook Data
// Centers": data-parallel towers, model-parallel tables).
//
// All ranks of an MPI job train; each has a server as one of its threads. A step is sync:
// tables and dense variables move together, and N ranks with batch b learn what one with
// N * b does.

#include <memory>
#include <string>
#include <vector>

#include "distribute/ps/ps_server.h"
#include "distribute/strategies/multi_worker_mirrored.h"
#include "distribute/strategies/parameter_server/parameters.h"

namespace tributary {

struct HybridOptions {
  MultiWorkerMirroredOptions mirrored;
  ps::RowPolicy row_policy;
  ps::NamedOptions table_optimizer{"", {}};
  bool key_lists = true;  // PsClientOptions::key_lists
};

class Hybrid final : public Strategy {
 public:
  // Collective over the job, which must outlive the strategy.
  explicit Hybrid(JobContext& job, const HybridOptions& options = {});
  ~Hybrid() override;

  std::string Describe() const override;
  InputShard input_shard() const override { return mirrored_.input_shard(); }
  bool is_chief() const override { return mirrored_.is_chief(); }
  std::shared_ptr<Buffer> AllocateBucket(BucketKind kind, const std::string& name,
                                         size_t bytes) override {
    return mirrored_.AllocateBucket(kind, name, bytes);
  }
  void BuildUpdate(UpdateStep& step) override;
  void SyncInitialState(const std::vector<Tensor>& tensors) override;
  void SumAcrossReplicas(std::span<double> values) override {
    mirrored_.SumAcrossReplicas(values);
  }
  uint32_t EndStep(uint32_t requests) override { return mirrored_.EndStep(requests); }
  ParameterService* parameters() override { return &parameters_; }
  const ps::PsServer& server() const { return *server_; }  // this rank's

 private:
  void Connect();

  JobContext& job_;
  const bool key_lists_;
  MultiWorkerMirrored mirrored_;
  PsParameters parameters_;
  std::unique_ptr<ps::PsServer> server_;
  std::unique_ptr<Server> listening_;
  std::vector<std::string> addresses_;  // by rank
};

}  // namespace tributary
