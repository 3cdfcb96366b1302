// What a server counts, and tells of itself.

#include "distribute/ps/ps_server.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "distribute/ps/lap_clock.h"

namespace tributary::ps {
namespace {

uint64_t ResidentBytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (!file) return 0;
  unsigned long pages = 0, resident = 0;
  const int read = std::fscanf(file, "%lu %lu", &pages, &resident);
  std::fclose(file);
  return read == 2 ? uint64_t{resident} * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace

// --- Counting ----------------------------------------------------------------------------

// The time of what is applied, by table.
class PsServer::ApplyTimes final : public ApplyWatch {
 public:
  explicit ApplyTimes(PsServer* server) : server_(server) {}
  void Begin(PartKind kind, uint32_t target) override {
    if (kind == PartKind::kDense) return laps_.GoOn(&server_->dense_.push_us);
    // A push's own parts come as they were counted. Sync: those of all come by table, which is
    // mostly the same.
    const auto& own = server_->pushed_;
    PartStats* parts = next_ < own.size() && own[next_].first == target
                           ? own[next_++].second
                           : server_->CountersOf(kind, target).parts.get();
    laps_.Begin(&parts->push_us);
  }
  void End() override { laps_.End(); }

 private:
  PsServer* server_;
  size_t next_ = 0;
  LapClock laps_;
};

PsServer::TargetCounters& PsServer::CountersOf(PartKind kind, uint32_t target) {
  TargetCounters& c = counters_[{kind, target}];
  if (kind == PartKind::kRows && !c.parts) {
    c.parts = std::make_unique<PartStats>();
    c.parts->staleness.resize(kStaleness);
  }
  return c;
}

void PsServer::Apply(const MutatingFrame& frame) {
  pushed_.clear();
  if (IsPush(frame.header.kind)) CountPush(frame);
  ApplyTimes times(this);
  shard_.Apply(frame, &times);
}

void PsServer::CountPush(const MutatingFrame& frame) {
  message_.Parse(frame.control);
  WorkerCounters& w = workers_[frame.header.worker];
  ++w.pushes;
  // Steps between what it was computed from and the pace that this counted as.
  const int64_t behind = shard_.sync() ? 0 : message_.control.pace - w.slowest;
  const size_t stale = std::min(kStaleness - 1,
                                static_cast<size_t>(std::max<int64_t>(0, behind)));
  ++staleness_[stale];
  bool dense = false;
  for (const PartControl& part : message_.push()) {
    TargetCounters& c = CountersOf(part.kind, part.target);
    ++c.pushes;
    c.pushed_keys += part.count;
    dense |= part.kind == PartKind::kDense;
    if (part.kind == PartKind::kDense) continue;
    ++c.parts->staleness[stale];
    pushed_.emplace_back(part.target, c.parts.get());
  }
  if (dense) ++dense_.staleness[stale];
}

// --- Telling -----------------------------------------------------------------------------

ServerStats PsServer::stats() const {
  const std::lock_guard lock(mutex_);
  return Collect();
}

ServerStats PsServer::Collect() const {
  ServerStats s;
  s.shard = options_.shard;
  s.shards = options_.shards;
  s.uptime_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  s.applied_steps = shard_.applied_steps();
  s.duplicates = duplicates_;
  s.fenced = fenced_;
  s.errors = errors_;
  s.late = shard_.late_pushes();
  s.not_finite = shard_.refused_pushes();
  s.waiting = waiting_.size();
  s.ids_left_out = ids_left_out_;
  s.unknown_lists = unknown_lists_;
  for (const auto& [worker, kept] : kept_) s.list_bytes += kept.bytes();
  s.log_bytes = LogBytes();
  s.log_segment = log_ ? log_->segment() : 0;
  s.bases = bases_;
  s.resident_bytes = ResidentBytes();
  s.pull_us = pull_us_;
  s.push_us = push_us_;
  s.staleness = staleness_;
  s.dense = dense_;
  const auto add = [&](TableStats t, PartKind kind, uint32_t id) {
    const auto it = counters_.find({kind, id});
    if (it != counters_.end()) {
      t.pulls = it->second.pulls;
      t.pushes = it->second.pushes;
      t.pulled_keys = it->second.pulled_keys;
      t.pushed_keys = it->second.pushed_keys;
      t.hot = it->second.hot.Top(5);
      if (it->second.parts) t.parts = *it->second.parts;
    }
    s.tables.push_back(std::move(t));
  };
  for (const auto& [id, table] : shard_.tables()) {
    const EmbeddingTable::Counters& c = table->counters();
    add({.name = table->spec().name, .rows_table = true, .rows = table->rows(),
         .bytes = table->bytes(), .updates = table->updates(), .hits = c.hits,
         .created = c.created, .refused = c.refused, .evicted = c.evicted, .no_room = c.no_room},
        PartKind::kRows, id);
  }
  for (const auto& [id, v] : shard_.variables()) {
    const VariableSpec& spec = v->spec();
    add({.name = fmt::format("{}[{}:{}]", spec.name, spec.begin, spec.end),
         .rows = v->weights().size(), .bytes = v->bytes(), .updates = v->updates()},
        PartKind::kDense, id);
  }
  const auto now = std::chrono::steady_clock::now();
  std::map<uint32_t, double> waiting;  // in the order they came: the first is the oldest
  for (const Waiting& w : waiting_) {
    waiting.try_emplace(w.request.header.worker,
                        std::chrono::duration<double>(now - w.since).count());
  }
  for (const auto& [worker, e] : shard_.ledger().entries()) {
    WorkerStats w{.worker = worker, .generation = e.generation, .steps = e.clock,
                  .active = e.active};
    if (const auto it = workers_.find(worker); it != workers_.end()) {
      w.pushes = it->second.pushes;
      w.duplicates = it->second.duplicates;
      w.waits = it->second.waits;
      w.waited_seconds = it->second.waited_seconds;
    }
    if (const auto it = waiting.find(worker); it != waiting.end()) w.waiting_seconds = it->second;
    s.workers.push_back(w);
  }
  return s;
}

}  // namespace tributary::ps
