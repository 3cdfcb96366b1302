#include "distribute/ps/ps_session.h"

#include <algorithm>
#include <cstring>

#include "core/base/logging.h"

namespace tributary::ps {
namespace {

void BuildKeys(KeySet* keys, DType dtype, const void* ids, int64_t count, int servers) {
  const auto n = static_cast<size_t>(count);
  if (dtype == DType::kInt64) {
    keys->Build(std::span(static_cast<const int64_t*>(ids), n), servers);
  } else if (dtype == DType::kInt32) {
    keys->Build(std::span(static_cast<const int32_t*>(ids), n), servers);
  } else {
    throw InvalidArgumentError("[ps] ids of a lookup are int32 or int64, got {}", DTypeName(dtype));
  }
}

}  // namespace

PsSession::PsSession(int servers, ConsistencyOptions consistency)
    : servers_(servers), consistency_(consistency), exchange_(servers), side_(servers),
      ahead_(servers) {}

// --- Declaring -------------------------------------------------------------------------

uint32_t PsSession::AddTable(TableSpec spec) {
  spec.id = static_cast<uint32_t>(tables_.size());
  tables_.push_back(std::move(spec));
  return tables_.back().id;
}

void PsSession::SetTableOptimizer(const NamedOptions& optimizer) {
  for (TableSpec& table : tables_) table.optimizer = optimizer;
}

void PsSession::PlaceDense(const std::vector<DenseBinding>& variables,
                           const NamedOptions& optimizer, const Partitioner& partitioner) {
  const NamedUpdateRule rule = UpdateRules().Make(optimizer.name, optimizer.ToNode());
  std::vector<VariableShape> shapes;
  for (const DenseBinding& v : variables) {
    shapes.push_back({.name = v.name, .shape = v.shape, .divisible = rule.elementwise,
                      .bytes_per_element = static_cast<int64_t>(4 * (1 + rule.slots.size()))});
  }
  parts_.clear();
  for (const PlacedPart& placed : PlaceVariables(shapes, servers_, partitioner)) {
    const DenseBinding& v = variables[static_cast<size_t>(placed.variable)];
    Part part;
    part.spec = {.id = static_cast<uint32_t>(parts_.size()), .name = v.name, .shape = v.shape,
                 .begin = placed.begin, .end = placed.end, .optimizer = optimizer};
    const int64_t first = placed.begin * part.spec.row_elements();
    part.server = placed.server;
    part.bucket = v.bucket;
    part.offset = v.offset + first;
    part.weights = v.weights + first;
    parts_.push_back(std::move(part));
  }
}

void PsSession::SetWireFormat(WireFormat push, WireFormat pull) {
  push_format_ = push;
  pull_format_ = pull;
  exchange_.SetWireFormat(push, pull);
}

// --- Connected ---------------------------------------------------------------------------

void PsSession::Attach(std::unique_ptr<PsClient> client) {
  client_ = std::move(client);
  fresh_ = false;
}

void PsSession::CreateAll() {
  for (const TableSpec& table : tables_) client_->CallAll(kCreateTable, Pack(table));
  for (const Part& part : parts_) {
    client_->Call(part.server, kCreateVariable, part.spec);
    const ConstBytes weights =
        std::as_bytes(std::span(part.weights, static_cast<size_t>(part.spec.elements())));
    client_->Call(part.server, kAssign, AssignControl{part.spec.id, true}, {&weights, 1});
  }
}

void PsSession::Join() {
  const std::vector<WorkerReply> replies = client_->Join(0);
  step_ = sync() ? INT64_MAX : 0;
  pace_ = 0;
  int64_t furthest = 0;
  for (const WorkerReply& r : replies) {
    pace_ = std::max(pace_, r.pace);
    step_ = sync() ? std::min(step_, r.applied_steps) : std::max(step_, r.clock);
    furthest = std::max(furthest, r.applied_steps);
  }
  if (sync() && furthest > step_) {
    LogWarning("[ps] step {} is complete on some servers and not on others: this worker's earlier "
               "life died between them. Its part is computed again, from weights of which some "
               "are newer", step_);
  }
  fresh_ = false;
}

void PsSession::Park(bool parked) {
  if (consistency_.mode != Consistency::kBounded) return;
  Drain();
  for (const std::string& packed : client_->CallAll(kPark, Pack(ParkControl{.parked = true}))) {
    if (parked) continue;
    pace_ = std::max(pace_, Unpack<WorkerReply>(AsBytes(packed), "the reply to a rest").pace);
  }
  if (!parked) client_->CallAll(kPark, Pack(ParkControl{.parked = false, .pace = pace_}));
}

// What was read counts as `pace`. The next push tells so; others who would wait until then for
// a worker that was slow are told now.
void PsSession::CatchUp(int64_t pace) {
  if (sync() || pace <= pace_ || pace == INT64_MAX) return;  // the latter: nothing was read
  const bool tell = consistency_.mode == Consistency::kBounded && pace > pace_ + 1;
  pace_ = pace;
  if (tell) client_->CallAll(kPark, Pack(ParkControl{.parked = false, .pace = pace_}));
}

// --- Lookups -----------------------------------------------------------------------------

PsSession::Lookup& PsSession::LookupOf(int lookup, uint32_t table) {
  const auto i = static_cast<size_t>(lookup);
  if (lookups_.size() <= i) lookups_.resize(i + 1);
  lookups_[i].table = table;
  return lookups_[i];
}

void PsSession::Announce(const std::vector<Tensor>& ids) {
  TRB_CHECK(count_ < kAhead);
  Announced& a = At(count_++);
  a.pace = INT64_MAX;
  a.keys.resize(ids.size());
  a.set_of.resize(ids.size());
  a.landed.clear();
  for (size_t i = 0; i < ids.size(); ++i) {
    a.set_of[i] = static_cast<int>(i);
    for (size_t k = 0; k < i; ++k) {
      const bool same = ids[k].raw_data() == ids[i].raw_data() && ids[k].shape() == ids[i].shape();
      if (same && a.set_of[k] == static_cast<int>(k)) a.set_of[i] = static_cast<int>(k);
    }
    if (a.set_of[i] != static_cast<int>(i)) continue;
    BuildKeys(&a.keys[i], ids[i].dtype(), ids[i].raw_data(), ids[i].NumElements(), servers_);
  }
}

// Rows go where the plan wants them; until one has run that is not known.
void PsSession::RequestRows(Announced* announced, StepExchange* exchange, bool apart) {
  announced->landed.assign(announced->set_of.size(), nullptr);
  announced->apart.resize(announced->set_of.size());
  for (size_t i = 0; i < announced->set_of.size() && i < lookups_.size(); ++i) {
    Lookup& l = lookups_[i];
    const KeySet& keys = announced->keys[announced->set_of[i]];
    const int64_t width = tables_[l.table].width;
    float* rows = l.rows;
    if (apart || keys.size() > l.capacity) {
      announced->apart[i].resize(static_cast<size_t>(keys.size() * width));
      rows = announced->apart[i].data();
    }
    announced->landed[i] = rows;
    for (int s = 0; s < servers_; ++s) {
      const auto ids = keys.unique(s);
      if (ids.empty()) continue;
      exchange->PullRows(s, l.table, ids,
                         {rows + keys.begin(s) * width, ids.size() * static_cast<size_t>(width)});
    }
  }
}

void PsSession::PullRowsNow(const KeySet& keys, uint32_t table, float* rows, WireFormat format) {
  const int64_t width = tables_[table].width;
  side_.SetWireFormat(push_format_, format);
  side_.Begin(kPull, step_, -1, 0, pace_);
  for (int s = 0; s < servers_; ++s) {
    const auto ids = keys.unique(s);
    if (ids.empty()) continue;
    side_.PullRows(s, table, ids,
                   {rows + keys.begin(s) * width, ids.size() * static_cast<size_t>(width)});
  }
  client_->Run(&side_);
}

void PsSession::LookUp(int lookup, uint32_t table, const DType& dtype, const void* ids,
                       int64_t count, float* rows, int32_t* local) {
  const auto tell = [&](const KeySet& keys) {
    if (count > 0) std::memcpy(local, keys.local().data(), keys.local().size_bytes());
  };
  if (lookup < 0) {
    Drain();
    BuildKeys(&loose_, dtype, ids, count, servers_);
    PullRowsNow(loose_, table, rows, WireFormat::kFloat32);
    return tell(loose_);
  }
  Lookup& l = LookupOf(lookup, table);
  const auto i = static_cast<size_t>(lookup);
  if (!current_) {  // nothing was announced
    TRB_CHECK(count_ == 0);
    count_ = 1;
    current_ = true;
    At(0).pace = INT64_MAX;
    At(0).keys.clear();
    At(0).set_of.clear();
    At(0).landed.clear();
  }
  Announced& a = At(0);
  if (a.set_of.size() <= i) {
    a.keys.resize(i + 1);
    a.set_of.resize(i + 1, 0);
    a.landed.resize(i + 1, nullptr);
    a.set_of[i] = lookup;
    BuildKeys(&a.keys[i], dtype, ids, count, servers_);
  }
  const KeySet& keys = KeysOf(lookup);
  TRB_CHECK(static_cast<int64_t>(keys.local().size()) == count);
  const float* landed = i < a.landed.size() ? a.landed[i] : nullptr;
  if (!landed) {
    PullRowsNow(keys, table, rows, pull_format_);
  } else if (landed != rows) {
    std::memcpy(rows, landed, static_cast<size_t>(keys.size() * tables_[table].width) * 4);
  }
  l.rows = rows;
  l.capacity = count;
  tell(keys);
}

// --- Steps ---------------------------------------------------------------------------------

void PsSession::AddDense(StepExchange* exchange, bool versions) {
  for (Part& p : parts_) {
    exchange->PullDense(p.server, p.spec.id,
                        {p.weights, static_cast<size_t>(p.spec.elements())},
                        versions ? &p.version : nullptr);
    // What is rounded here is no version of there.
    if (!versions && pull_format_ != WireFormat::kFloat32) p.version = 0;
  }
}

void PsSession::WaitForReads() {
  Drain();
  if (std::exchange(current_, false)) {
    head_ = (head_ + 1) % kAhead;
    --count_;
  }
  const bool rows = count_ > 0 && At(0).landed.empty() && !lookups_.empty();
  if (rows || !fresh_) {
    side_.SetWireFormat(push_format_, pull_format_);
    side_.Begin(kPull, step_, -1, 0, pace_);
    if (!fresh_) AddDense(&side_, false);
    if (rows) RequestRows(&At(0), &side_, false);
    client_->Run(&side_);
    if (!std::exchange(fresh_, true)) weights_pace_ = side_.pace();
  }
  current_ = count_ > 0;
  CatchUp(current_ ? std::min(weights_pace_, At(0).pace) : weights_pace_);
  if (look_ahead_) FetchAhead();
}

// The plan reads the local tables now: the rows wait apart.
void PsSession::FetchAhead() {
  if (count_ < 2 || !At(1).landed.empty() || lookups_.empty()) return;
  ahead_.SetWireFormat(push_format_, pull_format_);
  ahead_.Begin(kPull, step_ + 1, -1, 0, pace_ + 1);
  RequestRows(&At(1), &ahead_, true);
  client_->Start(&ahead_);
  ahead_in_flight_ = true;
}

void PsSession::StageRows(int lookup, uint32_t table, std::span<const int32_t> local,
                          const float* values) {
  Lookup& l = LookupOf(lookup, table);
  const int64_t rows = KeysOf(lookup).size(), width = tables_[table].width;
  l.grads.resize(static_cast<size_t>(rows * width));
  CombineRows(local, values, width, rows, l.grads.data());
  staged_.push_back({lookup, table});
}

void PsSession::SendStep(std::span<const float* const> gradients) {
  exchange_.Begin(kPushPull, step_, Rate(), kEndOfStep, pace_);
  for (size_t s = 0; s < done_.size(); ++s) {
    if (done_[s] <= 0) continue;
    --done_[s];
    exchange_.Skip(static_cast<int>(s));
  }
  for (Part& p : parts_) {
    const auto elements = static_cast<size_t>(p.spec.elements());
    if (push_format_ != WireFormat::kFloat32) p.residual.resize(elements);
    exchange_.PushDense(p.server, p.spec.id,
                        {gradients[static_cast<size_t>(p.bucket)] + p.offset, elements},
                        push_format_ == WireFormat::kFloat32 ? nullptr : p.residual.data());
  }
  for (const Staged& staged : staged_) {
    const KeySet& keys = KeysOf(staged.lookup);
    const std::vector<float>& grads = lookups_[static_cast<size_t>(staged.lookup)].grads;
    const int64_t width = tables_[staged.table].width;
    for (int s = 0; s < servers_; ++s) {
      const auto ids = keys.unique(s);
      if (ids.empty()) continue;
      exchange_.PushRows(s, staged.table, ids,
                         {grads.data() + keys.begin(s) * width,
                          ids.size() * static_cast<size_t>(width)});
    }
  }
  staged_.clear();
  AddDense(&exchange_, false);
  const int next = current_ ? 1 : 0;
  if (count_ > next && At(next).landed.empty()) RequestRows(&At(next), &exchange_, false);
  client_->Start(&exchange_);
  in_flight_ = true;
  ++step_;
  ++pace_;
}

void PsSession::Drain() {
  if (std::exchange(in_flight_, false)) {
    client_->Finish(&exchange_);
    fresh_ = true;
    weights_pace_ = exchange_.pace();
  }
  if (std::exchange(ahead_in_flight_, false)) {
    client_->Finish(&ahead_);
    At(1).pace = ahead_.pace();
  }
}

void PsSession::PullDense() {
  Drain();
  side_.SetWireFormat(push_format_, WireFormat::kFloat32);
  side_.Begin(kPull, step_, -1, 0, pace_);
  AddDense(&side_, true);
  client_->Run(&side_);
  fresh_ = true;
  weights_pace_ = side_.pace();
}

void PsSession::Abandon() {
  while (in_flight_ || ahead_in_flight_) {
    try {
      Drain();
    } catch (const std::exception&) {
      // That is why.
    }
  }
  staged_.clear();
  for (Part& p : parts_) p.residual.clear();
  head_ = count_ = 0;
  weights_pace_ = 0;
  current_ = fresh_ = false;
}

}  // namespace tributary::ps
