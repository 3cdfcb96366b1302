#pragma once
// What a server tells of itself: plain structs that travel by cereal, and the page of them
// for Prometheus. Counters count from the server's start.

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
  static constexpr size_t kBuckets = 128;
  void Add(double microseconds);
  // What was added to another one as well.
  void Add(const LatencyHistogram& other);
  // What was added since it was like `before`.
  LatencyHistogram Since(const LatencyHistogram& before) const;
  double Quantile(double q) const;  // 0 when empty
  uint64_t count() const { return count_; }
  double sum() const { return sum_; }  // microseconds
  const std::array<uint64_t, kBuckets>& buckets() const { return buckets_; }
  static double UpperBound(size_t bucket);
  template <class A>
  void serialize(A& a) {
    a(buckets_, count_, sum_);
  }

 private:
  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  double sum_ = 0;
};

// The ids that are looked up most, from every 61st lookup (Space-Saving, Metwally 2005).
class HotKeys {
 public:
  static constexpr size_t kKept = 32;
  static constexpr uint64_t kEvery = 61;
  void Add(uint64_t key);
  struct Entry {
    // It was met `count` times at most, and `count - error` at least.
    uint64_t key = 0, count = 0, error = 0;
    uint64_t at_least() const { return count - error; }
    template <class A>
    void serialize(A& a) {
      a(key, count, error);
    }
  };
  // By at_least(), the most first.
  std::vector<Entry> Top(size_t count) const;

 private:
  std::vector<Entry> entries_;
};

// Of an embedding table, or of all dense variables together. Each lookup of a request counts by
// itself; its parts of dense variables count as one.
struct PartStats {
  // A pull's: finding the rows and encoding them. A push's: decoding and applying its gradients;
  // in sync mode those of a whole step at once, summed over the workers and applied by
  // whichever push completes it, so that there is one a step. Reading, checking and logging a
  // request is in no table's time, only in the server's.
  LatencyHistogram pull_us, push_us;
  std::vector<uint64_t> staleness;  // as ServerStats has it, of pushes that had it in them
  template <class A>
  void serialize(A& a) {
    a(pull_us, push_us, staleness);
  }
};

struct TableStats {
  std::string name;
  bool rows_table = false;  // else a dense part
  uint64_t rows = 0, bytes = 0, updates = 0;
  uint64_t pulls = 0, pushes = 0;            // requests that had it in them; each lookup counts
  uint64_t pulled_keys = 0, pushed_keys = 0; // rows, or elements
  // Of rows: pulled ones that there were, new ones, pushes of ids not admitted, removed
  // ones, pushes dropped because the table was full of rows in use.
  uint64_t hits = 0, created = 0, refused = 0, evicted = 0, no_room = 0;
  std::vector<HotKeys::Entry> hot;
  PartStats parts;  // of rows
  double hit_rate() const { return pulled_keys ? double(hits) / double(pulled_keys) : 0; }
  template <class A>
  void serialize(A& a) {
    a(name, rows_table, rows, bytes, updates, pulls, pushes, pulled_keys, pushed_keys, hits,
      created, refused, evicted, no_room, hot);
    if (rows_table) a(parts);
  }
};

struct WorkerStats {
  uint32_t worker = 0;
  uint64_t generation = 0;
  int64_t steps = 0;
  bool active = false;
  uint64_t pushes = 0;
  uint64_t duplicates = 0;    // retries that were known already
  uint64_t waits = 0;         // requests that waited for other workers
  double waited_seconds = 0;  // those that are over
  double waiting_seconds = 0; // its oldest request that waits now
  template <class A>
  void serialize(A& a) {
    a(worker, generation, steps, active, pushes, duplicates, waits, waited_seconds,
      waiting_seconds);
  }
};

struct ServerStats {
  int shard = 0, shards = 1;
  double uptime_seconds = 0;
  int64_t applied_steps = 0;
  uint64_t duplicates = 0, fenced = 0, late = 0, not_finite = 0, errors = 0;
  uint64_t waiting = 0;  // requests that wait for others now
  // Ids left out of requests, as they were kept; requests that named a list that was not;
  // memory of those kept.
  uint64_t ids_left_out = 0, unknown_lists = 0, list_bytes = 0;
  uint64_t log_bytes = 0, log_segment = 0;  // that a restart would replay; the present one
  uint64_t bases = 0;  // copies of its part that it has begun the log anew with
  uint64_t resident_bytes = 0;  // of the whole process
  LatencyHistogram pull_us, push_us;  // time in the server, waiting for others left out
  std::vector<uint64_t> staleness;    // pushes whose pull was i steps stale; the last: more
  PartStats dense;                    // of all dense variables
  std::vector<TableStats> tables;
  std::vector<WorkerStats> workers;
  template <class A>
  void serialize(A& a) {
    a(shard, shards, uptime_seconds, applied_steps, duplicates, fenced, late, not_finite, errors,
      waiting, ids_left_out, unknown_lists, list_bytes, log_bytes, log_segment, bases,
      resident_bytes, pull_us, push_us, staleness, dense, tables, workers);
  }
};

// Prometheus text format 0.0.4, names tributary_ps_*: distribute/metrics/README.md lists
// them. For a terminal: launch/ps_top.
std::string PrometheusText(const ServerStats& stats);

}  // namespace tributary::ps
