#include "launch/ps_top/figures.h"

#include <algorithm>
#include <map>
#include <utility>

namespace tributary {
namespace {

constexpr size_t kHotKeys = 5;

// A server now and at the look before; `before` is empty where there is none to compare with.
struct Pair {
  const ps::ServerStats& now;
  const ps::ServerStats& before;
  double seconds;

  double Rate(uint64_t a, uint64_t z) const {
    return a >= z ? static_cast<double>(a - z) / seconds : 0;
  }
};

template <typename T>
const T& FindOr(const std::vector<T>& all, const auto& is, const T& otherwise) {
  const auto it = std::find_if(all.begin(), all.end(), is);
  return it == all.end() ? otherwise : *it;
}

RequestFigures Requests(const ps::LatencyHistogram& now, const ps::LatencyHistogram& before,
                        double seconds) {
  const ps::LatencyHistogram since = now.Since(before);
  return {static_cast<double>(since.count()) / seconds, since.Quantile(0.5), since.Quantile(0.99)};
}

double StepsAt(const std::vector<uint64_t>& pushes, double quantile) {
  uint64_t total = 0, seen = 0;
  for (const uint64_t n : pushes) total += n;
  for (size_t i = 0; i < pushes.size(); ++i) {
    seen += pushes[i];
    if (pushes[i] > 0 && static_cast<double>(seen) >= quantile * static_cast<double>(total)) {
      return static_cast<double>(i);
    }
  }
  return 0;
}

void AddStaleness(const std::vector<uint64_t>& now, const std::vector<uint64_t>& before,
                  std::vector<uint64_t>* all) {
  all->resize(std::max(all->size(), now.size()));
  for (size_t i = 0; i < now.size(); ++i) {
    (*all)[i] += now[i] - std::min(now[i], i < before.size() ? before[i] : 0);
  }
}

// What several servers have done in their intervals.
class PartSum {
 public:
  void Add(const ps::PartStats& now, const ps::PartStats& before, double seconds) {
    Add(now.pull_us, before.pull_us, seconds, &pull_us_, &figures_.pulls);
    Add(now.push_us, before.push_us, seconds, &push_us_, &figures_.pushes);
    AddStaleness(now.staleness, before.staleness, &staleness_);
  }
  PartFigures Finish() {
    Finish(pull_us_, &figures_.pulls);
    Finish(push_us_, &figures_.pushes);
    figures_.staleness_p50 = StepsAt(staleness_, 0.5);
    figures_.staleness_p99 = StepsAt(staleness_, 0.99);
    figures_.pushed = std::any_of(staleness_.begin(), staleness_.end(), [](auto n) { return n; });
    return figures_;
  }

 private:
  static void Add(const ps::LatencyHistogram& now, const ps::LatencyHistogram& before,
                  double seconds, ps::LatencyHistogram* sum, RequestFigures* f) {
    // A table of that name may be another one since.
    const ps::LatencyHistogram since = now.count() < before.count() ? now : now.Since(before);
    sum->Add(since);
    f->per_second += static_cast<double>(since.count()) / seconds;
  }
  static void Finish(const ps::LatencyHistogram& sum, RequestFigures* f) {
    f->p50_us = sum.Quantile(0.5);
    f->p99_us = sum.Quantile(0.99);
  }

  ps::LatencyHistogram pull_us_, push_us_;
  std::vector<uint64_t> staleness_;
  PartFigures figures_;
};

void AddServer(const Pair& p, ServerFigures* f) {
  const ps::ServerStats& s = p.now;
  f->shard = s.shard;
  f->uptime_seconds = s.uptime_seconds;
  f->interval_seconds = p.seconds;
  f->applied_steps = s.applied_steps;
  f->steps_per_second =
      static_cast<double>(std::max<int64_t>(0, s.applied_steps - p.before.applied_steps)) /
      p.seconds;
  f->pulls = Requests(s.pull_us, p.before.pull_us, p.seconds);
  f->pushes = Requests(s.push_us, p.before.push_us, p.seconds);
  f->resident_bytes = s.resident_bytes;
  f->log_bytes = s.log_bytes;
  f->bases = s.bases;
  f->waiting = s.waiting;
  f->duplicates = s.duplicates;
  f->late = s.late;
  f->fenced = s.fenced;
  f->not_finite = s.not_finite;
  f->errors = s.errors;
}

// Parts of one dense variable, "kernel[0:64]", belong together.
std::string VariableName(const ps::TableStats& t) {
  return t.rows_table ? t.name : t.name.substr(0, t.name.rfind('['));
}

// Figures of a table, and what their quotients are made of.
struct TableSum {
  TableFigures figures;
  uint64_t hits = 0, pulled = 0, hits_since = 0, pulled_since = 0;
  std::vector<std::pair<uint64_t, uint64_t>> hot;  // lookups at least, id
  PartSum parts;
};

void AddTable(const Pair& p, const ps::TableStats& t, TableSum* sum) {
  static const ps::TableStats kNone;
  const ps::TableStats& b =
      FindOr(p.before.tables, [&](const ps::TableStats& o) { return o.name == t.name; }, kNone);
  TableFigures& f = sum->figures;
  f.rows_table = t.rows_table;
  f.rows += t.rows;
  f.bytes += t.bytes;
  f.pulls_per_second += p.Rate(t.pulls, b.pulls);
  f.pushes_per_second += p.Rate(t.pushes, b.pushes);
  f.pulled_keys_per_second += p.Rate(t.pulled_keys, b.pulled_keys);
  f.pushed_keys_per_second += p.Rate(t.pushed_keys, b.pushed_keys);
  f.created_per_second += p.Rate(t.created, b.created);
  f.evicted += t.evicted;
  f.refused += t.refused;
  f.no_room += t.no_room;
  sum->hits += t.hits;
  sum->pulled += t.pulled_keys;
  sum->hits_since += t.hits - std::min(t.hits, b.hits);
  sum->pulled_since += t.pulled_keys - std::min(t.pulled_keys, b.pulled_keys);
  sum->parts.Add(t.parts, b.parts, p.seconds);
  for (const ps::HotKeys::Entry& e : t.hot) {
    sum->hot.emplace_back(e.at_least() * ps::HotKeys::kEvery, e.key);
  }
}

TableFigures Finish(TableSum sum) {
  TableFigures& f = sum.figures;
  f.parts = sum.parts.Finish();
  if (sum.pulled_since > 0) {
    f.hit_rate = static_cast<double>(sum.hits_since) / static_cast<double>(sum.pulled_since);
  } else if (sum.pulled > 0) {
    f.hit_rate = static_cast<double>(sum.hits) / static_cast<double>(sum.pulled);
  }
  std::sort(sum.hot.begin(), sum.hot.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  for (const auto& [lookups, key] : sum.hot) {
    if (f.hot.size() == kHotKeys || sum.pulled == 0) break;
    const double share = static_cast<double>(lookups) / static_cast<double>(sum.pulled);
    f.hot.push_back({key, std::min(1.0, share)});
  }
  return std::move(f);
}

// A step goes to all servers at once: of each figure the largest one holds, but for counts.
void AddWorker(const Pair& p, const ps::WorkerStats& w, WorkerFigures* f) {
  const ps::WorkerStats fresh{.worker = w.worker, .generation = w.generation};
  const ps::WorkerStats& b = FindOr(
      p.before.workers, [&](const ps::WorkerStats& o) { return o.worker == w.worker; }, fresh);
  f->worker = w.worker;
  f->generation = std::max(f->generation, w.generation);
  f->active |= w.active;
  f->steps = std::max(f->steps, w.steps);
  f->steps_per_second = std::max(f->steps_per_second,
                                 static_cast<double>(w.steps - b.steps) / p.seconds);
  const double waited = w.waited_seconds + w.waiting_seconds;
  const double waited_before = b.waited_seconds + b.waiting_seconds;
  f->stalled = std::max(f->stalled, std::clamp((waited - waited_before) / p.seconds, 0.0, 1.0));
  f->waiting_seconds = std::max(f->waiting_seconds, w.waiting_seconds);
  f->waits += w.waits;
  f->waited_seconds = std::max(f->waited_seconds, w.waited_seconds);
  f->retries += w.duplicates;
}

bool Comparable(const PsSample& now, const PsSample& before) {
  return before.error.empty() && before.address == now.address &&
         before.stats.shard == now.stats.shard &&
         before.stats.uptime_seconds < now.stats.uptime_seconds;
}

}  // namespace

PsFigures Summarize(const std::vector<PsSample>& now, const std::vector<PsSample>& before) {
  static const ps::ServerStats kNone;
  PsFigures all;
  std::map<std::pair<bool, std::string>, TableSum> tables;
  std::map<uint32_t, WorkerFigures> workers;
  std::vector<uint64_t> staleness;
  PartSum dense;
  for (size_t i = 0; i < now.size(); ++i) {
    ServerFigures& server = all.servers.emplace_back();
    server.address = now[i].address;
    server.error = now[i].error;
    if (!server.error.empty()) continue;
    const bool compare = i < before.size() && Comparable(now[i], before[i]);
    const ps::ServerStats& past = compare ? before[i].stats : kNone;
    const Pair p{now[i].stats, past,
                 std::max(1e-6, now[i].stats.uptime_seconds - past.uptime_seconds)};
    AddServer(p, &server);
    AddStaleness(p.now.staleness, past.staleness, &staleness);
    dense.Add(p.now.dense, past.dense, p.seconds);
    std::map<std::pair<bool, std::string>, bool> here;
    for (const ps::TableStats& t : p.now.tables) {
      const std::pair key(!t.rows_table, VariableName(t));
      TableSum& sum = tables[key];
      sum.figures.servers += !std::exchange(here[key], true);
      AddTable(p, t, &sum);
    }
    for (const ps::WorkerStats& w : p.now.workers) AddWorker(p, w, &workers[w.worker]);
    const bool slowest = all.answered == 0 || server.applied_steps < all.applied_steps;
    if (slowest) all.applied_steps = server.applied_steps;
    all.steps_per_second = all.answered == 0
                               ? server.steps_per_second
                               : std::min(all.steps_per_second, server.steps_per_second);
    ++all.answered;
  }
  for (auto& [key, sum] : tables) {
    sum.figures.name = key.second;
    all.bytes += sum.figures.bytes;
    all.tables.push_back(Finish(std::move(sum)));
  }
  std::stable_sort(all.tables.begin(), all.tables.end(), [](const auto& a, const auto& b) {
    return a.rows_table != b.rows_table ? a.rows_table : a.bytes > b.bytes;
  });
  for (const auto& [worker, figures] : workers) all.workers.push_back(figures);
  all.dense = dense.Finish();
  all.staleness_p50 = StepsAt(staleness, 0.5);
  all.staleness_p99 = StepsAt(staleness, 0.99);
  return all;
}

}  // namespace tributary
