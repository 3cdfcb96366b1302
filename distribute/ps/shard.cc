#include "distribute/ps/shard.h"

#include <algorithm>
#include <cstring>

#include "core/base/errors.h"

namespace tributary::ps {
namespace {

constexpr int64_t kStepsAhead = 16;  // sync: pushes of steps further ahead are refused

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

bool Shard::MayPull(uint32_t worker, int64_t step, int64_t pace) const {
  switch (options_.mode) {
    case Consistency::kAsync: return true;
    case Consistency::kBounded:
      return pace - ledger_.OthersThan(worker).slowest.value_or(pace) <= options_.staleness;
    case Consistency::kSync: return step <= applied_steps_;
  }
  return true;
}

int64_t Shard::CountsAs(const WorkerLedger::Paces& others, int64_t pace) const {
  int64_t now = others.furthest.value_or(pace);
  if (options_.mode == Consistency::kBounded && others.slowest) {
    now = std::min(now, *others.slowest + options_.staleness);
  }
  return std::max(pace, now);
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
  if (h.kind == kPark) {
    Unpack<ParkControl>(frame.control, "a rest");
    ledger_.Current(h.worker, h.generation);
    return Verdict::kFresh;
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

WireValues Shard::ValuesOf(const PartControl& part) {
  if (static_cast<uint8_t>(part.encoding) >= kWireFormats) {
    throw UnimplementedError("[ps] parts of encoding {}; this server reads those below {}",
                             static_cast<int>(part.encoding), kWireFormats);
  }
  if (part.ids > PartIds::kKept) {
    throw UnimplementedError("[ps] a part whose ids are given in way {}",
                             static_cast<int>(part.ids));
  }
  if (part.count > (uint64_t{1} << 40)) {
    throw InvalidArgumentError("[ps] a part of {} elements", part.count);
  }
  if (part.kind == PartKind::kRows) {
    return WireValues::Rows(part.encoding, part.count, table(part.target).width());
  }
  const DenseVariable& v = variable(part.target);
  if (part.count != v.weights().size()) {
    throw InvalidArgumentError("[ps] a part of {} elements of variable '{}', which has {}",
                               part.count, v.spec().name, v.weights().size());
  }
  return WireValues::Dense(part.encoding, part.count);
}

void Shard::CheckParts(const MutatingFrame& frame) {
  if (reinterpret_cast<uintptr_t>(frame.payload.data()) % 8 != 0) {
    throw InternalError("[ps] a payload that is not aligned to 8 bytes");
  }
  // Part by part: a sum of what hostile counts claim might begin again at 0.
  uint64_t left = frame.payload.size();
  size_t lists = 0;
  bool fits = true;
  const auto take = [&](uint64_t bytes) {
    fits = fits && bytes <= left;
    if (fits) left -= bytes;
  };
  for (const PartControl& part : message_.push()) {
    take(Padded8(ValuesOf(part).bytes() + part.id_bytes()));
    if (!part.kept()) continue;
    // Whoever calls has found them; a log has none.
    if (lists >= frame.lists.size() || frame.lists[lists]->size() != part.count) {
      throw InvalidArgumentError("[ps] a push of worker {} without its ids", frame.header.worker);
    }
    ++lists;
  }
  for (const PartControl& part : message_.pull()) {
    if (part.kind != PartKind::kRows || part.kept()) continue;
    if (part.count > left / sizeof(uint64_t)) fits = false;
    if (fits) take(part.count * sizeof(uint64_t));
  }
  if (!fits || left > 0) {
    throw InvalidArgumentError("[ps] a push of worker {} has {} bytes of payload; its parts are {}",
                               frame.header.worker, frame.payload.size(),
                               fits ? fmt::format("{} bytes less", left) : "larger");
  }
  ForEachPart(message_, frame, [&](const PartControl& part, const Pushed& pushed) {
    if (WireFinite(pushed.values, pushed.encoded)) return;
    const bool rows = part.kind == PartKind::kRows;
    ++refused_pushes_;
    throw InvalidArgumentError(
        "[ps] a push of worker {} in step {} for {} '{}' has values that are not finite; it was "
        "refused and changed nothing", frame.header.worker, message_.control.step,
        rows ? "table" : "variable",
        rows ? table(part.target).spec().name : variable(part.target).spec().name);
  });
}

// --- Changes -----------------------------------------------------------------------------

void Shard::Apply(const MutatingFrame& frame, ApplyWatch* watch) {
  watch_ = watch;
  const FrameHeader& h = frame.header;
  switch (h.kind) {
    case kJoin: {
      const int64_t step = Unpack<JoinControl>(frame.control, "a join").step;
      ledger_.Join(h.worker, h.generation, sync() ? std::max(step, applied_steps_) : step);
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
      variable(assign.target).Assign(reinterpret_cast<const float*>(frame.payload.data()));
      return;
    }
    case kPush:
    case kPushPull: return ApplyPush(frame);
    case kPark: {
      const ParkControl park = Unpack<ParkControl>(frame.control, "a rest");
      if (park.parked) return ledger_.Park(h.worker, h.generation);
      return ledger_.GoOn(h.worker, h.generation, park.pace);
    }
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
    worker.pace = std::max(worker.pace, message_.control.pace + 1);
  }
  if (sync()) CompleteSteps();
}

void Shard::ApplyPending(const MutatingFrame& frame) {
  message_.Parse(frame.control);
  Buffer(frame);
}

void Shard::ApplyNow(const MutatingFrame& frame) {
  const double rate = message_.control.learning_rate;
  ForEachPart(message_, frame, [&](const PartControl& part, const Pushed& pushed) {
    WatchBegin(part.kind, part.target);
    const float* gradient = Floats(pushed, &decoded_);
    if (part.kind == PartKind::kRows) {
      EmbeddingTable& t = table(part.target);
      t.Push(pushed.ids, gradient, rate < 0 ? t.rule().learning_rate : rate);
    } else {
      DenseVariable& v = variable(part.target);
      v.Apply(gradient, v.updates() + 1, rate < 0 ? v.rule().learning_rate : rate);
    }
  });
  WatchEnd();
  // A step is an update of every table, so that all servers count alike.
  const uint32_t flags = message_.control.flags;
  if (!(flags & kEndOfStep) || (flags & kPushedBefore)) return;
  for (auto& [id, t] : tables_) {
    const auto pushed = [id = id](const PartControl& p) {
      return p.kind == PartKind::kRows && p.target == id;
    };
    if (std::ranges::none_of(message_.push(), pushed)) {
      t->Push({}, nullptr, rate < 0 ? t->rule().learning_rate : rate);
    }
  }
}

void Shard::InFull(const MutatingFrame& frame, std::vector<std::byte>* control,
                   std::vector<ConstBytes>* payload) {
  message_.Parse(frame.control);
  payload->clear();
  ForEachPart(message_, frame, [&](const PartControl&, const Pushed& pushed) {
    if (!pushed.ids.empty()) payload->push_back(std::as_bytes(pushed.ids));
    payload->push_back({pushed.encoded, Padded8(pushed.values.bytes())});
  });
  message_.control.pull_parts = 0;
  message_.parts.resize(message_.control.push_parts);
  for (PartControl& part : message_.parts) {
    if (part.kind != PartKind::kRows) continue;
    part.ids = PartIds::kHere;
    part.version = 0;
  }
  const auto parts = std::as_bytes(message_.push());
  control->resize(sizeof(StepControl) + parts.size());
  std::memcpy(control->data(), &message_.control, sizeof(StepControl));
  std::memcpy(control->data() + sizeof(StepControl), parts.data(), parts.size());
}

const float* Shard::Floats(const Pushed& part, std::vector<float>* scratch) {
  if (part.values.format == WireFormat::kFloat32) {
    return reinterpret_cast<const float*>(part.encoded);
  }
  if (scratch->size() < part.values.count) scratch->resize(part.values.count);
  Decode(part.values, part.encoded, scratch->data());
  return scratch->data();
}

}  // namespace tributary::ps
