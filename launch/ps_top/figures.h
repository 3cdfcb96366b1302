#pragma once
// What `tributary ps top` shows: two looks at all servers made into rates, and the
// servers' shares of tables and workers put together. No input or output here.

#include <string>
#include <vector>

#include "distribute/ps/stats.h"

namespace tributary {

// One server at one moment.
struct PsSample {
  std::string address;
  std::string error;  // why there are no figures; empty: there are
  ps::ServerStats stats;
};

// Time in the server of requests, without what they waited for others, in the interval.
struct RequestFigures {
  double per_second = 0, p50_us = 0, p99_us = 0;
};

struct ServerFigures {
  std::string address, error;
  int shard = 0;
  double uptime_seconds = 0, interval_seconds = 0;
  int64_t applied_steps = 0;
  double steps_per_second = 0;
  RequestFigures pulls, pushes;
  uint64_t resident_bytes = 0, log_bytes = 0, bases = 0, waiting = 0;
  uint64_t duplicates = 0, late = 0, fenced = 0, not_finite = 0, errors = 0;
};

// The same of a table's parts of requests, or of those of all dense variables (ps::PartStats).
struct PartFigures {
  RequestFigures pulls, pushes;
  double staleness_p50 = 0, staleness_p99 = 0;  // steps, of the pushes in the interval
  bool pushed = false;                          // there were any
};

struct HotKeyFigures {
  uint64_t key = 0;
  double share = 0;  // of all rows pulled, at least
};

// Of all servers that have answered.
struct TableFigures {
  std::string name;
  bool rows_table = false;  // else a dense variable
  int servers = 0;
  uint64_t rows = 0, bytes = 0;
  double pulls_per_second = 0, pushes_per_second = 0;
  double pulled_keys_per_second = 0, pushed_keys_per_second = 0;
  double hit_rate = 0;  // of the rows pulled in the interval; without any: since the start
  double created_per_second = 0;
  uint64_t evicted = 0, refused = 0, no_room = 0;
  std::vector<HotKeyFigures> hot;  // at most five
  PartFigures parts;               // of rows
};

struct WorkerFigures {
  uint32_t worker = 0;
  uint64_t generation = 0;
  bool active = false;
  int64_t steps = 0;
  double steps_per_second = 0;
  double stalled = 0;          // share of the interval that it waited for other workers
  double waiting_seconds = 0;  // its oldest request that waits now
  uint64_t waits = 0, retries = 0;
  double waited_seconds = 0;   // of all waits that are over
};

struct PsFigures {
  std::vector<ServerFigures> servers;  // as asked
  std::vector<TableFigures> tables;    // embeddings first, then the largest
  std::vector<WorkerFigures> workers;  // by number
  int answered = 0;
  int64_t applied_steps = 0;  // of the server that is least far
  double steps_per_second = 0;
  double staleness_p50 = 0, staleness_p99 = 0;  // steps, of the pushes in the interval
  uint64_t bytes = 0;         // of all tables
  PartFigures dense;          // of all dense variables together
};

// `before` holds the same servers in the same order, or fewer. Where one is missing, failed or
// was started since, its rates are those since its start.
PsFigures Summarize(const std::vector<PsSample>& now, const std::vector<PsSample>& before);

}  // namespace tributary
