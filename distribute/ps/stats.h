#pragma once
// What a server tells of itself: plain structs that travel by cereal, and the two ways to
// print them. Counters count from the server's start.

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include <cereal/types/array.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

namespace tributary::ps {

// Durations in microseconds, in buckets whose bounds grow by 2^(1/4): quantiles to 19 %.
class LatencyHistogram {
 public:
  void Add(double microseconds);
  double Quantile(double q) const;  // 0 when empty
  uint64_t count() const { return count_; }
  template <class A>
  void serialize(A& a) {
    a(buckets_, count_);
  }

 private:
  std::array<uint64_t, 128> buckets_{};
  uint64_t count_ = 0;
};

// The ids that are looked up most, from every 61st lookup (Space-Saving, Metwally 2005).
class HotKeys {
 public:
  static constexpr size_t kKept = 32;
  void Add(uint64_t key);
  struct Entry {
    uint64_t key = 0, count = 0;
    template <class A>
    void serialize(A& a) {
      a(key, count);
    }
  };
  std::vector<Entry> Top(size_t count) const;

 private:
  std::vector<Entry> entries_;
};

struct TableStats {
  std::string name;
  bool rows_table = false;  // else a dense part
  uint64_t rows = 0, bytes = 0, updates = 0;
  uint64_t pulls = 0, pushes = 0;            // requests that had it in them
  uint64_t pulled_keys = 0, pushed_keys = 0; // rows, or elements
  uint64_t hits = 0, created = 0, refused = 0, evicted = 0, no_room = 0;
  std::vector<HotKeys::Entry> hot;
  double hit_rate() const { return pulled_keys ? double(hits) / double(pulled_keys) : 0; }
  template <class A>
  void serialize(A& a) {
    a(name, rows_table, rows, bytes, updates, pulls, pushes, pulled_keys, pushed_keys, hits,
      created, refused, evicted, no_room, hot);
  }
};

struct WorkerStats {
  uint32_t worker = 0;
  uint64_t generation = 0;
  int64_t steps = 0;
  bool active = false;
  uint64_t pushes = 0, duplicates = 0, waits = 0;
  double waited_seconds = 0;
  template <class A>
  void serialize(A& a) {
    a(worker, generation, steps, active, pushes, duplicates, waits, waited_seconds);
  }
};

struct ServerStats {
  int shard = 0, shards = 1;
  double uptime_seconds = 0;
  int64_t applied_steps = 0;
  uint64_t duplicates = 0, fenced = 0, late = 0, not_finite = 0, errors = 0;
  uint64_t waiting = 0;  // requests that wait for others now
  uint64_t log_bytes = 0, log_segment = 0;
  LatencyHistogram pull_us, push_us;  // time in the server, waiting for others left out
  std::vector<uint64_t> staleness;    // pushes whose pull was i steps stale; the last: more
  std::vector<TableStats> tables;
  std::vector<WorkerStats> workers;
  template <class A>
  void serialize(A& a) {
    a(shard, shards, uptime_seconds, applied_steps, duplicates, fenced, late, not_finite, errors,
      waiting, log_bytes, log_segment, pull_us, push_us, staleness, tables, workers);
  }
};

// Prometheus text format 0.0.4, names tributary_ps_*.
std::string PrometheusText(const ServerStats& stats);
// For a terminal: one line a table; rates against `before` (null: since the start).
std::string TopText(const ServerStats& now, const ServerStats* before);

}  // namespace tributary::ps
