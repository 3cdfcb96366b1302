#include "distribute/ps/shard.h"

#include <algorithm>
#include <cstring>

#include "core/base/errors.h"
#include "distribute/comm/reduce_kernels.h"
#include "distribute/ps/finite.h"

namespace tributary::ps {
namespace {

constexpr int64_t kStepsAhead = 16;  // sync: pushes of steps further ahead are refused

const float* Floats(const std::byte* data) { return reinterpret_cast<const float*>(data); }

std::span<const uint64_t> Ids(const std::byte* data, uint64_t count) {
  return {reinterpret_cast<const uint64_t*>(data), count};
}

}  // namespace

Shard::Shard(const ConsistencyOptions& options) : options_(options) {
  if (options.workers < 1 || options.backup < 0 || options.backup >= options.workers ||
      options.staleness < 0) {
    throw InvalidArgumentError("[ps] {} workers, {} of them backup, staleness {}", options.workers,
                               options.backup, options.staleness);
  }
}

EmbeddingTable& Shard::table(uint32_t id) {
  const auto it = tables_.find(id);
  if (it == tables_.end()) throw NotFoundError("[ps] there is no table {} on this server", id);
  return *it->second;
}

DenseVariable& Shard::variable(uint32_t id) {
  const auto it = variables_.find(id);
  if (it == variables_.end()) throw NotFoundError("[ps] there is no variable {} on this server", id);
  return *it->second;
}

void Shard::CreateTable(TableSpec spec) {
  const uint32_t id = spec.id;
  tables_.emplace(id, std::make_unique<EmbeddingTable>(std::move(spec)));
}

void Shard::CreateVariable(VariableSpec spec) {
  const uint32_t id = spec.id;
  variables_.emplace(id, std::make_unique<DenseVariable>(std::move(spec)));
}

void Shard::ForgetWorkers() {
  ledger_.entries().clear();
  steps_.clear();
}

void Shard::Clear() {
  ForgetWorkers();
  tables_.clear();
  variables_.clear();
  applied_steps_ = 0;
}

void Shard::Settle() {
  for (auto& [id, table] : tables_) table->Settle();
}

// --- Reads ---------------------------------------------------------------------------

int64_t Shard::StalenessOf(uint32_t worker, int64_t step) const {
  if (sync()) return 0;
  return std::max<int64_t>(0, step - ledger_.SlowestExcept(worker, step));
}

bool Shard::MayPull(uint32_t worker, int64_t step) const {
  switch (options_.mode) {
    case Consistency::kAsync: return true;
    case Consistency::kBounded: return StalenessOf(worker, step) <= options_.staleness;
    case Consistency::kSync: return step <= applied_steps_;
  }
  return true;
}

// --- Admission of frames -----------------------------------------------------------

Shard::Verdict Shard::Admit(const MutatingFrame& frame) {
  const FrameHeader& h = frame.header;
  if (h.kind == kJoin) {
    Unpack<JoinControl>(frame.control, "a join");
    const auto it = ledger_.entries().find(h.worker);
    if (it == ledger_.entries().end()) return Verdict::kFresh;
    const WorkerEntry& e = it->second;
    return e.active && e.generation == h.generation ? Verdict::kDuplicate : Verdict::kFresh;
  }
  if (h.kind == kCreateTable) {
    const TableSpec spec = Unpack<TableSpec>(frame.control, "a table's description");
    const auto it = tables_.find(spec.id);
    if (it == tables_.end()) return EmbeddingTable(spec), Verdict::kFresh;
    if (it->second->spec() == spec) return Verdict::kDuplicate;
    throw AlreadyExistsError("[ps] table {} exists as '{}' with another description", spec.id,
                             it->second->spec().name);
  }
  if (h.kind == kCreateVariable) {
    const VariableSpec spec = Unpack<VariableSpec>(frame.control, "a variable's description");
    const auto it = variables_.find(spec.id);
    if (it == variables_.end()) return DenseVariable(spec), Verdict::kFresh;
    if (it->second->spec() == spec) return Verdict::kDuplicate;
    throw AlreadyExistsError("[ps] variable {} exists as '{}' with another description", spec.id,
                             it->second->spec().name);
  }
  if (h.kind == kEvict) {
    const EvictControl evict = Unpack<EvictControl>(frame.control, "an eviction");
    const auto it = ledger_.entries().find(evict.worker);
    if (it == ledger_.entries().end()) {
      throw NotFoundError("[ps] worker {} can't be evicted: it has never joined", evict.worker);
    }
    return it->second.active ? Verdict::kFresh : Verdict::kDuplicate;
  }
  if (h.kind == kAssign) {
    const AssignControl assign = Unpack<AssignControl>(frame.control, "an assignment");
    const DenseVariable& v = variable(assign.target);
    if (frame.payload.size() != v.weights().size_bytes()) {
      throw InvalidArgumentError("[ps] variable '{}' is assigned {} bytes; expected {}",
                                 v.spec().name, frame.payload.size(), v.weights().size_bytes());
    }
    return assign.only_if_new && v.version() != 1 ? Verdict::kDuplicate : Verdict::kFresh;
  }
  return AdmitPush(frame);
}

Shard::Verdict Shard::AdmitPush(const MutatingFrame& frame) {
  const FrameHeader& h = frame.header;
  const WorkerEntry& worker = ledger_.Current(h.worker, h.generation);
  message_.Parse(frame.control);
  const int64_t step = message_.control.step;
  if (h.sequence == 0) {
    throw InvalidArgumentError("[ps] a push of worker {} has no sequence number", h.worker);
  }
  if (worker.seen.Seen(h.sequence)) {
    return sync() && step >= applied_steps_ ? Verdict::kPending : Verdict::kDuplicate;
  }
  if (sync() && step < applied_steps_) {
    ++late_pushes_;
    return Verdict::kLate;
  }
  if (sync() && step >= applied_steps_ + kStepsAhead) {
    throw FailedPreconditionError("[ps] worker {} pushes step {}, but step {} is not complete",
                                  h.worker, step, applied_steps_);
  }
  CheckParts(frame);
  return Verdict::kFresh;
}

uint64_t Shard::PartBytes(const PartControl& part) {
  if (part.encoding != 0) {
    throw UnimplementedError("[ps] parts of encoding {}; this server reads float32", part.encoding);
  }
  if (part.count > (uint64_t{1} << 40)) {
    throw InvalidArgumentError("[ps] a part of {} elements", part.count);
  }
  if (part.kind == PartKind::kRows) {
    return part.count * (sizeof(uint64_t) + sizeof(float) * table(part.target).width());
  }
  const DenseVariable& v = variable(part.target);
  if (part.count != v.weights().size()) {
    throw InvalidArgumentError("[ps] a gradient of {} elements for variable '{}', which has {}",
                               part.count, v.spec().name, v.weights().size());
  }
  return part.count * sizeof(float);
}

template <typename Fn>
void Shard::ForEachPart(const StepMessage& message, ConstBytes payload, const Fn& fn) {
  uint64_t at = 0;
  for (const PartControl& part : message.push()) {
    fn(part, payload.data() + at);
    at += Padded8(PartBytes(part));
  }
}

void Shard::CheckParts(const MutatingFrame& frame) {
  if (reinterpret_cast<uintptr_t>(frame.payload.data()) % 8 != 0) {
    throw InternalError("[ps] a payload that is not aligned to 8 bytes");
  }
  uint64_t expected = 0;
  for (const PartControl& part : message_.push()) expected += Padded8(PartBytes(part));
  for (const PartControl& part : message_.pull()) {
    if (part.kind == PartKind::kRows) expected += part.count * sizeof(uint64_t);
  }
  if (frame.payload.size() != expected) {
    throw InvalidArgumentError("[ps] a push of worker {} has {} bytes of payload; expected {}",
                               frame.header.worker, frame.payload.size(), expected);
  }
  ForEachPart(message_, frame.payload, [&](const PartControl& part, const std::byte* data) {
    const bool rows = part.kind == PartKind::kRows;
    const uint64_t n = rows ? part.count * table(part.target).width() : part.count;
    const float* values = Floats(rows ? data + part.count * sizeof(uint64_t) : data);
    if (AllFinite(values, static_cast<int64_t>(n))) return;
    ++refused_pushes_;
    throw InvalidArgumentError(
        "[ps] a push of worker {} in step {} for {} '{}' has values that are not finite; it was "
        "refused and changed nothing", frame.header.worker, message_.control.step,
        rows ? "table" : "variable",
        rows ? table(part.target).spec().name : variable(part.target).spec().name);
  });
}

// --- Changes -----------------------------------------------------------------------------

void Shard::Apply(const MutatingFrame& frame) {
  const FrameHeader& h = frame.header;
  switch (h.kind) {
    case kJoin: {
      const int64_t least = sync() ? applied_steps_ : ledger_.SlowestExcept(h.worker, 0);
      const int64_t step = Unpack<JoinControl>(frame.control, "a join").step;
      ledger_.Join(h.worker, h.generation, std::max(step, least));
      // An earlier life's part of steps that are not complete is done again by this one.
      DropPending(h.worker);
      return;
    }
    case kEvict: {
      const EvictControl evict = Unpack<EvictControl>(frame.control, "an eviction");
      ledger_.Evict(evict.worker, evict.generation);
      DropPending(evict.worker);
      CompleteSteps();
      return;
    }
    case kCreateTable: return CreateTable(Unpack<TableSpec>(frame.control, "a table"));
    case kCreateVariable: return CreateVariable(Unpack<VariableSpec>(frame.control, "a variable"));
    case kAssign: {
      const AssignControl assign = Unpack<AssignControl>(frame.control, "an assignment");
      variable(assign.target).Assign(Floats(frame.payload.data()));
      return;
    }
    case kPush:
    case kPushPull: return ApplyPush(frame);
    default: TRB_CHECK(false);
  }
}

void Shard::DropPending(uint32_t worker) {
  for (auto& [number, step] : steps_) {
    step.frames.erase(worker);
    std::erase(step.finished, worker);
    std::erase_if(step.arrival,
                  [&](const MutatingFrame& f) { return f.header.worker == worker; });
  }
}

void Shard::ApplyPush(const MutatingFrame& frame) {
  message_.Parse(frame.control);
  WorkerEntry& worker = ledger_.Current(frame.header.worker, frame.header.generation);
  worker.seen.Mark(frame.header.sequence);
  if (sync()) {
    Buffer(frame);
  } else {
    ApplyNow(frame);
  }
  if (message_.control.flags & kEndOfStep) {
    worker.clock = std::max(worker.clock, message_.control.step + 1);
  }
  if (sync()) CompleteSteps();
}

void Shard::ApplyPending(const MutatingFrame& frame) {
  message_.Parse(frame.control);
  Buffer(frame);
}

void Shard::ApplyNow(const MutatingFrame& frame) {
  const double rate = message_.control.learning_rate;
  ForEachPart(message_, frame.payload, [&](const PartControl& part, const std::byte* data) {
    if (part.kind == PartKind::kRows) {
      EmbeddingTable& t = table(part.target);
      t.Push(Ids(data, part.count), Floats(data + part.count * sizeof(uint64_t)),
             rate < 0 ? t.rule().learning_rate : rate);
    } else {
      DenseVariable& v = variable(part.target);
      v.Apply(Floats(data), v.updates() + 1, rate < 0 ? v.rule().learning_rate : rate);
    }
  });
}

void Shard::Buffer(const MutatingFrame& frame) {
  Step& step = steps_[message_.control.step];
  step.frames[frame.header.worker].push_back(frame);
  step.arrival.push_back(frame);
  if (message_.control.flags & kEndOfStep) step.finished.push_back(frame.header.worker);
}

// Who was evicted is not waited for; who has never come is.
int Shard::Needed() const {
  int evicted = 0;
  for (const auto& [id, e] : ledger_.entries()) evicted += !e.active;
  return std::max(1, std::min(options_.workers - options_.backup, options_.workers - evicted));
}

void Shard::CompleteSteps() {
  for (auto it = steps_.find(applied_steps_);
       it != steps_.end() && static_cast<int>(it->second.finished.size()) >= Needed();
       it = steps_.find(applied_steps_)) {
    ApplyStep(it->second);
    steps_.erase(it);
    ++applied_steps_;
  }
}

void Shard::ApplyStep(Step& step) {
  // The first to finish, in the order of their numbers.
  std::vector<uint32_t> workers(step.finished.begin(), step.finished.begin() + Needed());
  std::sort(workers.begin(), workers.end());
  std::map<std::pair<PartKind, uint32_t>, std::vector<Contribution>> parts;
  double rate = -1;
  StepMessage message;
  for (const uint32_t worker : workers) {
    auto& frames = step.frames[worker];
    std::sort(frames.begin(), frames.end(), [](const MutatingFrame& a, const MutatingFrame& b) {
      return a.header.sequence < b.header.sequence;  // a retry may have come out of order
    });
    for (const MutatingFrame& frame : frames) {
      message.Parse(frame.control);
      if (rate < 0) rate = message.control.learning_rate;
      ForEachPart(message, frame.payload, [&](const PartControl& part, const std::byte* data) {
        parts[{part.kind, part.target}].push_back({data, part.count});
      });
    }
  }
  for (const auto& [target, contributions] : parts) {
    if (target.first == PartKind::kDense) ApplyDense(target.second, contributions, rate);
  }
  // Every table has an update in every step, so that all servers count alike.
  for (const auto& [id, table] : tables_) {
    const auto it = parts.find({PartKind::kRows, id});
    ApplyRows(id, it == parts.end() ? std::vector<Contribution>{} : it->second, rate);
  }
}

void Shard::ApplyRows(uint32_t id, const std::vector<Contribution>& parts, double rate) {
  EmbeddingTable& t = table(id);
  combiner_.Reset(t.width());
  for (const Contribution& c : parts) {
    combiner_.Add(Ids(c.data, c.count), Floats(c.data + c.count * sizeof(uint64_t)));
  }
  t.Push(combiner_.ids(), combiner_.sums(), rate < 0 ? t.rule().learning_rate : rate);
}

void Shard::ApplyDense(uint32_t id, const std::vector<Contribution>& parts, double rate) {
  DenseVariable& v = variable(id);
  const float* gradient = Floats(parts[0].data);
  if (parts.size() > 1) {
    sum_.resize(v.weights().size());
    std::vector<const void*> sources;
    for (const Contribution& c : parts) sources.push_back(c.data);
    ReduceSources(DType::kFloat32, ReduceOp::kSum, sum_.data(), sources.data(),
                  static_cast<int>(sources.size()), static_cast<int64_t>(sum_.size()));
    gradient = sum_.data();
  }
  // The step's number, so that variables that were left out in a step count it too.
  v.Apply(gradient, static_cast<uint64_t>(applied_steps_) + 1,
          rate < 0 ? v.rule().learning_rate : rate);
}

std::vector<MutatingFrame> Shard::Pending() const {
  std::vector<MutatingFrame> frames;
  for (const auto& [number, step] : steps_) {
    frames.insert(frames.end(), step.arrival.begin(), step.arrival.end());
  }
  return frames;
}

}  // namespace tributary::ps
