#include "distribute/strategies/parameter_server/parameters.h"

#include "core/base/strings.h"
#include "distribute/graph_ops/ps_ops.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/strategy/update_step.h"

namespace tributary {
namespace {

const OptionTable& TableNamed(const OptionKind& kind, const std::string& name,
                              const std::string& what) {
  if (const OptionTable* table = kind.FindTable(name)) return *table;
  std::vector<std::string> known;
  for (const OptionTable* table : kind.Tables()) known.push_back(table->name);
  throw UnimplementedError("[parameter_server] {} '{}' is not known to servers; take one of {}",
                           what, name, Join(known, ", "));
}

}  // namespace

ps::NamedOptions RuleOf(const Optimizer& optimizer) {
  const Optimizer::Clip& clip = optimizer.clip();
  if (clip.by_value > 0 || clip.by_norm > 0 || clip.by_global_norm > 0) {
    throw UnimplementedError("[parameter_server] gradients are clipped where they all are: leave "
                             "clipvalue, clipnorm and global_clipnorm out");
  }
  std::string name = optimizer.get_config().name();
  if (name == "Adam" && optimizer.lazy()) name = "LazyAdam";
  return ps::Matching(TableNamed(UpdateRules(), name, "optimizer"), optimizer.get_config());
}

class PsParameters::Table final : public RemoteTable {
 public:
  Table(PsParameters* owner, RemoteTableSpec spec, uint32_t id)
      : owner_(owner), spec_(std::move(spec)), id_(id) {}
  const RemoteTableSpec& spec() const override { return spec_; }
  Rows LookUp(const Tensor& ids, bool training) override {
    return owner_->LookUp(*this, ids, training);
  }
  uint32_t id() const { return id_; }

 private:
  PsParameters* owner_;
  RemoteTableSpec spec_;
  uint32_t id_;
};

PsParameters::PsParameters(PsParametersOptions options)
    : options_(std::move(options)),
      session_(std::make_shared<ps::PsSession>(options_.servers, options_.consistency)),
      session_key_(PsSessions().Add(session_)) {
  session_->SetLookAhead(options_.look_ahead);
  session_->SetWireFormat(options_.push_format, options_.pull_format);
}

PsParameters::~PsParameters() = default;

// --- Declaring -----------------------------------------------------------------------------

RemoteTablePtr PsParameters::Create(const RemoteTableSpec& spec) {
  const OptionKind* rows = FindOptionKind("row_initializer");
  ps::TableSpec table;
  table.name = spec.name;
  table.width = spec.width;
  table.initializer =
      ps::Matching(TableNamed(*rows, spec.initializer.name(), "initializer"), spec.initializer);
  table.seed = spec.seed;
  table.policy = options_.row_policy;
  const uint32_t id = session_->AddTable(std::move(table));
  return std::make_shared<Table>(this, spec, id);
}

void PsParameters::Place(const std::vector<FlatBucket>& buckets, const Optimizer& optimizer) {
  optimizer_ = &optimizer;
  const ps::NamedOptions rule = RuleOf(optimizer);
  session_->SetTableOptimizer(options_.table_optimizer.name.empty() ? rule
                                                                    : options_.table_optimizer);
  session_->SetLearningRate([&optimizer] { return optimizer.learning_rate(); });
  if (!options_.dense) return;
  std::vector<ps::DenseBinding> dense;
  for (size_t b = 0; b < buckets.size(); ++b) {
    const FlatBucket& bucket = buckets[b];
    if (bucket.dtype != DType::kFloat32) {
      throw UnimplementedError("[parameter_server] servers keep float32, not the {} of '{}'",
                               DTypeName(bucket.dtype), bucket.members[0].name);
    }
    buckets_.push_back(bucket.variables);
    float* weights = bucket.variables->storage().mutable_data<float>();
    for (const FlatBucket::Member& m : bucket.members) {
      dense.push_back({m.name, m.shape.dims(), static_cast<int>(b), m.begin, weights + m.begin});
    }
  }
  session_->PlaceDense(dense, rule, options_.partitioner);
}

void PsParameters::Connect(std::unique_ptr<ps::PsClient> client) {
  session_->Attach(std::move(client));
  if (!options_.chief) return;
  // What servers have is an earlier attempt's.
  session_->client().CallAll(ps::kRestore, ps::Pack(ps::RestoreControl{}));
  session_->CreateAll();
}

// --- Nodes of a step -------------------------------------------------------------------------

void PsParameters::BuildRead() {
  next_lookup_ = 0;
  std::vector<Tensor> handles;
  for (const auto& bucket : buckets_) handles.push_back(bucket->handle());
  token_ = PsPull(session_key_, handles);
}

RemoteTable::Rows PsParameters::LookUp(Table& table, const Tensor& ids, bool training) {
  if (!ids.shape().IsFullyDefined()) {
    throw InternalError("[parameter_server] ids of unknown shape {}", ids.shape().ToString());
  }
  const bool step = training && token_.defined();
  const int lookup = step ? next_lookup_++ : -1;
  const int64_t count = std::max<int64_t>(1, ids.NumElements());
  // Batches of different sizes share the memory of the largest that came first.
  const auto slot = static_cast<size_t>(lookup + 1);
  if (rows_.size() <= slot) rows_.resize(slot + 1);
  std::shared_ptr<Variable> rows;
  for (const auto& known : rows_[slot]) {
    const bool fits = known->shape()[1] == table.spec().width && known->shape()[0] >= count;
    if (fits && step) rows = known;
  }
  if (!rows) {
    rows = Variable::Create(
        table.spec().name + "/rows",
        Tensor::Zeros(DType::kFloat32, {count, table.spec().width}), true);
    rows_[slot].push_back(rows);
  }
  const Tensor local = PsLookup(session_key_, lookup, table.id(), rows->handle(), ids,
                                step ? token_ : Tensor(int32_t{0}));
  return {rows, local};
}

void PsParameters::BuildPush(UpdateStep& step) {
  for (const LookupGradient& row : step.rows()) {
    PsPushRows(session_key_, row.lookup, static_cast<Table&>(*row.table).id(), row.values,
               row.ids);
  }
  std::vector<Tensor> gradients;
  if (options_.dense) {
    for (const FlatBucket& bucket : step.buckets()) gradients.push_back(bucket.gradient);
  }
  PsPush(session_key_, gradients);
  token_ = Tensor();
}

// --- State -----------------------------------------------------------------------------------

void PsParameters::Refresh() {
  if (session_->attached()) session_->PullDense();
}

std::vector<std::string> PsParameters::Save(Env*, const std::string& prefix, int files) {
  session_->Drain();
  if (options_.check_servers) options_.check_servers();
  std::vector<std::string> entries;
  const ps::SaveControl control{.prefix = prefix, .step = 0, .files = files};
  for (const std::string& packed : session_->client().CallAll(ps::kSave, ps::Pack(control))) {
    entries.push_back(ps::Unpack<ps::SaveReply>(ps::AsBytes(packed), "a saved shard").entries);
  }
  if (options_.check_servers) options_.check_servers();
  return entries;
}

void PsParameters::Committed(const std::string& prefix) {
  session_->client().CallAll(ps::kCommit, ps::Pack(ps::CommitControl{prefix}));
}

void PsParameters::Restore(Env*, const std::string& prefix, int64_t) {
  session_->client().CallAll(ps::kRestore, ps::Pack(ps::RestoreControl{prefix}));
  session_->Invalidate();
  session_->PullDense();
}

}  // namespace tributary
