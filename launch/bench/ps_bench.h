#pragma once
// Parameter servers against what a socket of this machine allows, over loopback TCP: one
// server process and one worker, each on its own core. What is compared is measured in
// turns, and medians are compared.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "distribute/transport/measure.h"

namespace tributary {

struct PsBenchOptions {
  double seconds = 2.0;        // of measuring, for each figure
  int64_t rows = 2'000'000;    // of the embedding table
  std::vector<int> dims = {16, 64};
  std::vector<std::string> optimizers = {"SGD", "Adagrad", "Adam"};
  bool log = true;             // measure what the log costs, too
  // Told before each measurement, which may take its time.
  std::function<void(const std::string& what)> progress;
};

// A lookup and a push of a batch of 4096 x 26 Zipf(1.05) ids, counted as keys: ids of the
// batch, over the time of a whole step.
struct PsRowsResult {
  int dim = 0;
  std::string optimizer;
  double keys_per_second = 0;           // worker and server at work together
  double in_turns_keys_per_second = 0;  // one thing after another
  double raw_keys_per_second = 0;       // the bare socket: the bytes there and back
  double target = 0;                    // 0: none

  // Target, or 60 % of the socket's, whichever is less.
  double required() const { return std::min(target, 0.6 * raw_keys_per_second); }
  bool holds() const { return keys_per_second >= required(); }
};

struct PsPullResult {  // of one key
  Latency ours, raw;
  static constexpr double kTarget50 = 1.5, kTarget99 = 2;
  double ratio50() const { return ours.p50_us / raw.p50_us; }
  double ratio99() const { return ours.p99_us / raw.p99_us; }
  bool holds() const { return ratio50() <= kTarget50 && ratio99() <= kTarget99; }
};

struct PsDenseResult {  // gigabytes a second; ours: both directions added
  double ours = 0, raw = 0, raw_duplex = 0;
  static constexpr double kTarget = 0.6;  // of raw: one direction at a time
  double ratio() const { return ours / raw; }
  bool holds() const { return ratio() >= kTarget; }
};

struct PsLogResult {
  int dim = 0;
  double with_keys_per_second = 0, without_keys_per_second = 0;
  static constexpr double kTargetPercent = 25;
  double cost_percent() const {
    return 100 * (1 - with_keys_per_second / without_keys_per_second);
  }
  bool holds() const { return cost_percent() <= kTargetPercent; }
};

struct PsBenchResult {
  int64_t keys_per_batch = 0, unique_keys = 0;
  int worker_core = -1, server_core = -1;  // -1: the machine has one only
  std::vector<PsRowsResult> rows;
  PsPullResult pull;
  PsDenseResult dense;
  std::vector<PsLogResult> log;  // one, or none
};

// Call before this process has threads: it forks. Throws what servers and sockets throw.
PsBenchResult BenchPs(const PsBenchOptions& options);

}  // namespace tributary
