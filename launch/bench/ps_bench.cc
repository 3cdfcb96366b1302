#include "launch/bench/ps_bench.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>

#include "core/base/denormals.h"
#include "core/base/errors.h"
#include "distribute/ps/protocol.h"
#include "launch/bench/ps_rows.h"
#include "launch/bench/server_processes.h"

namespace tributary {
namespace {

using ps::PsClient;
using ps::StepExchange;

constexpr int kMostTurns = 5;
constexpr double kRate = 0.01;

double MicrosSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void Append(std::vector<double>* to, const std::vector<double>& values) {
  to->insert(to->end(), values.begin(), values.end());
}

// What `exchange` takes on the bare socket, several times.
class RawTimes {
 public:
  RawTimes(size_t out, size_t in, const MeasureOptions& pinned)
      : out_(out), in_(in), pinned_(pinned) {}
  void Measure(double seconds) {
    const int rounds = micros_.empty() ? 3 : static_cast<int>(seconds * 1e6 / micros_.back());
    micros_.push_back(RawExchange(out_, in_, std::clamp(rounds, 3, 1000), pinned_).p50_us);
  }
  double median() const { return Median(micros_); }

 private:
  size_t out_, in_;
  MeasureOptions pinned_;
  std::vector<double> micros_;
};

// The log of a server that is measured; gone afterwards.
class LogFolder {
 public:
  LogFolder() : path_(std::filesystem::temp_directory_path() / "tributary-bench-XXXXXX") {
    if (!mkdtemp(path_.data())) {
      throw UnavailableError("[bench] there can be no folder {} for a log", path_);
    }
  }
  ~LogFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A server process and this worker's connection to it.
class Session {
 public:
  explicit Session(ServerProcesses* processes, const std::string& log_dir = "")
      : processes_(processes), server_(processes->Start(log_dir)) {
    ps::PsClientOptions options;
    options.hello = {.role = "worker", .task = 0, .generation = 1};
    options.find = [this](int) { return server_.address; };
    options.patience = Millis(0);
    client_ = std::make_unique<PsClient>(std::move(options));
    client_->Join();
  }
  ~Session() {
    client_.reset();
    processes_->Stop(server_);
  }
  PsClient& client() { return *client_; }

 private:
  ServerProcesses* processes_;
  ServerProcesses::Server server_;
  std::unique_ptr<PsClient> client_;
};

ps::TableSpec Table(int dim, const std::string& optimizer, int64_t rows) {
  ps::TableSpec spec;
  spec.id = 1;
  spec.name = "bench";
  spec.width = dim;
  spec.optimizer = {optimizer, {{"learning_rate", fmt::format("{}", kRate)}}};
  spec.expected_rows = static_cast<uint64_t>(rows);
  return spec;
}

class Bench {
 public:
  explicit Bench(const PsBenchOptions& options)
      : options_(options),
        turns_(std::clamp(static_cast<int>(options.seconds / 0.1), 1, kMostTurns)),
        share_(options.seconds / turns_), pinned_(Cores()), processes_(pinned_.server_core),
        batches_(options.rows) {
    ::sched_getaffinity(0, sizeof(before_), &before_);
    PinThread(pinned_.client_core);
  }
  ~Bench() { ::sched_setaffinity(0, sizeof(before_), &before_); }

  PsBenchResult Run() {
    PsBenchResult result;
    result.keys_per_batch = ZipfBatches::kIds;
    result.unique_keys = batches_.unique;
    result.worker_core = pinned_.client_core;
    result.server_core = pinned_.server_core;
    result.pull = OneKeyPull();
    result.dense = DensePushPull();
    for (const int dim : options_.dims) {
      for (const std::string& optimizer : options_.optimizers) {
        result.rows.push_back(LookupPush(dim, optimizer));
      }
    }
    if (options_.log) result.log.push_back(CostOfLog(options_.dims[0]));
    return result;
  }

 private:
  // The first two cores that this process may use.
  static MeasureOptions Cores() {
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) < 2) return {};
    MeasureOptions options;
    for (int core = 0; options.server_core < 0; ++core) {
      if (!CPU_ISSET(core, &set)) continue;
      (options.client_core < 0 ? options.client_core : options.server_core) = core;
    }
    return options;
  }
  void Say(const std::string& what) const {
    if (options_.progress) options_.progress(what);
  }
  static double KeysPerSecond(double micros) { return ZipfBatches::kIds / micros * 1e6; }

  PsRowsResult LookupPush(int dim, const std::string& optimizer);
  PsPullResult OneKeyPull();
  PsDenseResult DensePushPull();
  PsLogResult CostOfLog(int dim);

  const PsBenchOptions& options_;
  const int turns_;
  const double share_;  // seconds of a figure in each turn
  const MeasureOptions pinned_;
  ServerProcesses processes_;
  ZipfBatches batches_;
  cpu_set_t before_;
};

PsRowsResult Bench::LookupPush(int dim, const std::string& optimizer) {
  Say(fmt::format("lookup + push, {} weights a row, {}", dim, optimizer));
  Session session(&processes_);
  RowsWorker worker(&session.client(), Table(dim, optimizer, options_.rows), &batches_);
  const size_t unique = static_cast<size_t>(batches_.unique), row = 4 * static_cast<size_t>(dim);
  RawTimes raw(unique * (8 + row), unique * row, pinned_);
  std::vector<double> together, in_turns;
  for (int turn = 0; turn < turns_; ++turn) {
    raw.Measure(share_);
    Append(&together, worker.RunTogether(share_));
    Append(&in_turns, worker.RunInTurns(share_));
  }
  const bool aimed_at = optimizer == "SGD" && (dim == 16 || dim == 64);
  return {.dim = dim,
          .optimizer = optimizer,
          .keys_per_second = KeysPerSecond(Median(together)),
          .in_turns_keys_per_second = KeysPerSecond(Median(in_turns)),
          .raw_keys_per_second = KeysPerSecond(raw.median()),
          .target = !aimed_at ? 0 : dim == 16 ? 22e6 : 9e6};
}

PsPullResult Bench::OneKeyPull() {
  Say("pull of one key");
  constexpr int kDim = 16;
  Session session(&processes_);
  session.client().CallAll(ps::kCreateTable, ps::Pack(Table(kDim, "SGD", 1)));
  const uint64_t id = 7;
  std::vector<float> row(kDim);
  StepExchange exchange(1);
  const auto pull = [&] {
    exchange.Begin(ps::kPull, 0, kRate, 0);
    exchange.PullRows(0, 1, {&id, 1}, row);
    session.client().Run(&exchange);
  };
  pull();
  const size_t out = exchange.bytes_out(), in = exchange.bytes_in();
  std::vector<double> raw50, raw99, ours50, ours99;
  Latency last{.p50_us = 20};
  for (int turn = 0; turn < turns_; ++turn) {
    const double rounds = share_ * 1e6 / last.p50_us;
    last = RawExchange(out, in, std::clamp(static_cast<int>(rounds), 50, 100'000), pinned_);
    raw50.push_back(last.p50_us);
    raw99.push_back(last.p99_us);
    std::vector<double> micros;
    const auto begin = Clock::now();
    while (micros.size() < 50 || MicrosSince(begin) < share_ * 1e6) {
      const auto start = Clock::now();
      pull();
      micros.push_back(MicrosSince(start));
    }
    const Latency ours = SummarizeLatency(std::move(micros));
    ours50.push_back(ours.p50_us);
    ours99.push_back(ours.p99_us);
  }
  return {.ours = {.p50_us = Median(ours50), .p99_us = Median(ours99)},
          .raw = {.p50_us = Median(raw50), .p99_us = Median(raw99)}};
}

// Each variable goes in a request of its own, a few at a time, so that the server works on
// one while others travel both ways.
PsDenseResult Bench::DensePushPull() {
  Say("push-pull of 40 variables of 1 MB");
  constexpr int kVariables = 40, kUnderWay = 4;
  constexpr size_t kBytes = 1 << 20, kElements = kBytes / sizeof(float);
  Session session(&processes_);
  PsClient& client = session.client();
  std::vector<std::vector<float>> grads(kVariables), weights(kVariables);
  std::vector<StepExchange> exchanges(kVariables, StepExchange(1));
  for (int v = 0; v < kVariables; ++v) {
    ps::VariableSpec spec;
    spec.id = static_cast<uint32_t>(v + 1);
    spec.name = fmt::format("bench{}", v);
    spec.shape = {static_cast<int64_t>(kElements)};
    spec.end = spec.shape[0];
    client.CallAll(ps::kCreateVariable, ps::Pack(spec));
    grads[v].assign(kElements, 1e-3f);
    weights[v].resize(kElements);
  }
  int64_t step = 0;
  const auto push_pull = [&] {
    for (int v = 0; v < kVariables; ++v) {
      if (v >= kUnderWay) client.Finish(&exchanges[v - kUnderWay]);
      StepExchange& e = exchanges[v];
      e.Begin(ps::kPushPull, step, kRate, v + 1 == kVariables ? ps::kEndOfStep : 0u);
      e.PushDense(0, static_cast<uint32_t>(v + 1), grads[v]);
      e.PullDense(0, static_cast<uint32_t>(v + 1), weights[v], nullptr);
      client.Start(&e);
    }
    for (int v = kVariables - kUnderWay; v < kVariables; ++v) client.Finish(&exchanges[v]);
    ++step;
  };
  for (int i = 0; i < 3; ++i) push_pull();
  std::vector<double> ours, raw, duplex;
  double stream = 4;
  for (int turn = 0; turn < turns_; ++turn) {
    const size_t total = std::max<size_t>(kVariables * kBytes,
                                          static_cast<size_t>(share_ * stream * 1e9 / 4));
    raw.push_back(stream = RawStream(total, kBytes, pinned_));
    duplex.push_back(RawDuplexStream(total, kBytes, pinned_));
    const auto begin = Clock::now();
    do {
      const auto start = Clock::now();
      push_pull();
      ours.push_back(2.0 * kVariables * kBytes / MicrosSince(start) / 1e3);
    } while (MicrosSince(begin) < share_ * 1e6);
  }
  return {.ours = Median(ours), .raw = Median(raw), .raw_duplex = Median(duplex)};
}

PsLogResult Bench::CostOfLog(int dim) {
  Say(fmt::format("lookup + push, {} weights a row, SGD, with a log", dim));
  constexpr double kLogBytes = 2e9;  // at most, besides what creates the rows
  const double step_bytes = static_cast<double>(batches_.unique) * (8 + 4 * dim);
  const auto steps = static_cast<int64_t>(kLogBytes / step_bytes / turns_);
  const LogFolder folder;
  Session plain(&processes_), logged(&processes_, folder.path());
  const ps::TableSpec table = Table(dim, "SGD", options_.rows);
  RowsWorker without(&plain.client(), table, &batches_), with(&logged.client(), table, &batches_);
  std::vector<double> without_micros, with_micros;
  for (int turn = 0; turn < turns_; ++turn) {
    Append(&without_micros, without.RunTogether(share_, steps));
    Append(&with_micros, with.RunTogether(share_, steps));
  }
  return {.dim = dim,
          .with_keys_per_second = KeysPerSecond(Median(with_micros)),
          .without_keys_per_second = KeysPerSecond(Median(without_micros))};
}

}  // namespace

PsBenchResult BenchPs(const PsBenchOptions& options) {
  if (options.dims.empty() || options.optimizers.empty() || options.rows < 1 ||
      !(options.seconds > 0)) {
    throw InvalidArgumentError("[bench] {} dims, {} optimizers, {} rows, {} seconds; expected some "
                               "of each", options.dims.size(), options.optimizers.size(),
                               options.rows, options.seconds);
  }
  const ScopedFlushDenormals flush;
  return Bench(options).Run();
}

}  // namespace tributary
