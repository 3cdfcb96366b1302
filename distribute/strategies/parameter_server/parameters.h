#pragma once
// PsParameters: the trainer's ParameterService over parameter servers. What a process
// that trains, or leads, does with the servers, whatever strategy it belongs to.

#include <memory>
#include <string>
#include <vector>

#include "distribute/ps/ps_session.h"
#include "trainer/strategy/parameter_service.h"

namespace tributary {

struct PsParametersOptions {
  int servers = 1;
  ps::ConsistencyOptions consistency;
  bool dense = true;        // dense variables live on the servers too
  bool chief = true;        // creates and saves what is there; else somebody else does
  ps::WireFormat push_format = ps::WireFormat::kFloat32, pull_format = push_format;
  bool look_ahead = false;  // PsSession::SetLookAhead
  ps::Partitioner partitioner;
  ps::RowPolicy row_policy;
  // Called before and after servers save: throws when what they hold does not belong together.
  std::function<void()> check_servers;
  // The optimizer of tables, by the name of an update rule; "": the job's own.
  ps::NamedOptions table_optimizer{"", {}};
};

class PsParameters final : public ParameterService, private RemoteTables {
 public:
  explicit PsParameters(PsParametersOptions options);
  ~PsParameters() override;

  void CheckServers(std::function<void()> check) { options_.check_servers = std::move(check); }
  ps::PsSession& session() { return *session_; }
  int64_t session_key() const { return session_key_; }
  // From now on the servers can be reached. A chief creates everything there.
  void Connect(std::unique_ptr<ps::PsClient> client);
  // Adds what sends the gradients of a step: `step`'s rows, and dense ones where those
  // live on the servers.
  void BuildPush(class UpdateStep& step);

  RemoteTables* tables() override { return this; }
  bool holds_dense() const override { return options_.dense; }
  void Place(const std::vector<FlatBucket>& buckets, const Optimizer& optimizer) override;
  void BuildRead() override;
  void Announce(const std::vector<Tensor>& ids) override { session_->Announce(ids); }
  void Refresh() override;
  std::vector<std::string> Save(Env* env, const std::string& prefix, int files) override;
  int num_files() const override { return options_.servers; }
  void Committed(const std::string& prefix) override;
  void Restore(Env* env, const std::string& prefix, int64_t step) override;

 private:
  class Table;
  RemoteTablePtr Create(const RemoteTableSpec& spec) override;
  RemoteTable::Rows LookUp(Table& table, const Tensor& ids, bool training);

  PsParametersOptions options_;
  std::shared_ptr<ps::PsSession> session_;
  int64_t session_key_ = 0;
  std::vector<std::shared_ptr<Variable>> buckets_;
  const Optimizer* optimizer_ = nullptr;
  Tensor token_;       // of the trace under way
  int next_lookup_ = 0;
  // Local tables for the rows of a lookup: by its number, those of each capacity.
  std::vector<std::vector<std::shared_ptr<Variable>>> rows_;
};

// The update rule for what an optimizer does. Throws UnimplementedError for options that
// no server can follow (clipping, which needs all gradients together).
ps::NamedOptions RuleOf(const Optimizer& optimizer);

}  // namespace tributary
