// What a server tells of itself.

#include "distribute/ps/ps_server.h"

#include <unistd.h>

#include <cstdio>

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
  const auto add = [&](TableStats t, PartKind kind, uint32_t id) {
    const auto it = counters_.find({kind, id});
    if (it != counters_.end()) {
      t.pulls = it->second.pulls;
      t.pushes = it->second.pushes;
      t.pulled_keys = it->second.pulled_keys;
      t.pushed_keys = it->second.pushed_keys;
      t.hot = it->second.hot.Top(5);
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
    WorkerStats w{.worker = worker, .generation = e.generation, .steps = e.pace(),
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
