#include "launch/bench/ps_stragglers.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <set>
#include <thread>

#include "core/base/errors.h"
#include "distribute/ps/ps_server.h"
#include "distribute/ps/ps_session.h"

namespace tributary {
namespace {

constexpr int64_t kElements = 256;
using Delays = std::vector<std::vector<double>>;

// A worker: its session, and the variable as it knows it.
struct Racer {
  explicit Racer(const ps::ConsistencyOptions& consistency) : session(1, consistency) {
    session.PlaceDense({{.name = "weights", .shape = {kElements}, .weights = weights.data()}},
                       {"SGD", {}}, ps::Whole);
  }
  std::vector<float> weights = std::vector<float>(kElements);
  ps::PsSession session;
};

// One measurement: a server, and a thread and a session for each worker.
class Race {
 public:
  Race(const StragglerOptions& options, const ps::ConsistencyOptions& consistency,
       const Delays& delays)
      : options_(options), delays_(delays), server_({.consistency = consistency}),
        listening_(Listen(Address(), server_.handler(), {.hello = {.role = "ps"}})),
        left_(options.steps * options.workers), start_(options.workers + 1) {
    for (int w = 0; w < options.workers; ++w) {
      racers_.push_back(std::make_unique<Racer>(consistency));
      racers_.back()->session.Attach(std::make_unique<ps::PsClient>(ps::PsClientOptions{
          .hello = {.role = "worker", .task = static_cast<uint32_t>(w), .generation = 1},
          .servers = 1,
          .find = [this](int) { return listening_->address(); }}));
      if (w == 0) racers_.back()->session.CreateAll();
      racers_.back()->session.Join();
    }
  }

  // Steps a second of a worker on average, until all are made.
  double Run() {
    std::vector<std::jthread> threads;
    for (int w = 0; w < options_.workers; ++w) threads.emplace_back([this, w] { Work(w); });
    start_.arrive_and_wait();
    const auto begin = Clock::now();
    threads.clear();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (failure_) std::rethrow_exception(failure_);
    return static_cast<double>(options_.steps) / seconds;
  }
  int64_t Stalest() const {
    const std::vector<uint64_t> staleness = server_.stats().staleness;
    int64_t stalest = 0;
    for (size_t i = 0; i < staleness.size(); ++i) {
      if (staleness[i] > 0) stalest = static_cast<int64_t>(i);
    }
    return stalest;
  }

 private:
  std::string Address() const {
    static int races = 0;
    return options_.carrier == "tcp" ? "tcp://127.0.0.1:0"
                                     : fmt::format("inproc://stragglers-{}", races++);
  }

  void Work(int worker) {
    ps::PsSession& session = racers_[static_cast<size_t>(worker)]->session;
    const std::vector<float> gradient(kElements, 1e-3f);
    const float* bucket = gradient.data();
    const std::chrono::duration<double, std::milli> unit(options_.step_ms);
    start_.arrive_and_wait();
    try {
      for (size_t t = 0;; ++t) {
        session.WaitForReads();
        if (session.sync() ? t >= delays_.size() : left_.fetch_sub(1) <= 0) break;
        std::this_thread::sleep_for(unit * delays_[t % delays_.size()][worker]);
        session.SendStep({&bucket, 1});
      }
      session.Park(true);
    } catch (const std::exception&) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  const StragglerOptions& options_;
  const Delays& delays_;
  ps::PsServer server_;
  std::unique_ptr<Server> listening_;
  std::vector<std::unique_ptr<Racer>> racers_;
  std::atomic<int64_t> left_;  // steps that nobody has begun (not sync)
  std::barrier<> start_;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

ps::ConsistencyOptions Consistency(ps::Consistency mode, int workers, int64_t staleness = 0) {
  return {.mode = mode, .staleness = staleness, .workers = workers, .backup = 0};
}

}  // namespace

const StragglerRun& StragglerResult::judged() const {
  const auto it = std::find_if(runs.begin(), runs.end(), [](const StragglerRun& run) {
    return run.staleness == kJudged;
  });
  TRB_CHECK(it != runs.end());
  return *it;
}

Delays StragglerDelays(const StragglerOptions& options) {
  std::mt19937_64 random(options.seed);
  const auto stumbles = [&] {
    return static_cast<double>(random() >> 11) * 0x1p-53 < options.probability;
  };
  const auto workers = static_cast<size_t>(options.workers);
  Delays delays(static_cast<size_t>(options.steps), std::vector<double>(workers, 1.0));
  for (std::vector<double>& step : delays) {
    if (options.pattern == StragglerPattern::kOne) {
      if (stumbles()) step[random() % workers] += options.pause_steps;
      continue;
    }
    for (double& worker : step) {
      if (stumbles()) worker += options.pause_steps;
    }
  }
  return delays;
}

double AllowedTime(const Delays& delays, const ps::ConsistencyOptions& consistency) {
  if (consistency.mode == ps::Consistency::kSync) {
    double time = 0;
    for (const auto& step : delays) time += *std::max_element(step.begin(), step.end());
    return time;
  }
  // The rules of a real shard, and workers that end their steps one after another.
  const auto workers = static_cast<uint32_t>(delays.at(0).size());
  ps::Shard shard(consistency);
  ps::WorkerLedger& ledger = shard.ledger();
  std::vector<uint32_t> waiting(workers);
  std::iota(waiting.begin(), waiting.end(), 0u);
  for (const uint32_t w : waiting) ledger.Join(w, 1, 0);
  std::vector<size_t> steps(workers);
  std::set<std::pair<double, uint32_t>> ends;
  size_t left = delays.size() * workers;
  double now = 0;
  const auto begins = [&](uint32_t w) {
    if (left == 0) {
      ledger.Park(w, 1);
      return true;
    }
    const int64_t pace = ledger.Current(w, 1).pace;
    if (!shard.MayPull(w, 0, pace)) return false;
    ledger.GoOn(w, 1, shard.CountsAs(ledger.OthersThan(w), pace));
    ends.emplace(now + delays[steps[w]++ % delays.size()][w], w);
    --left;
    return true;
  };
  while (true) {
    while (std::erase_if(waiting, begins) > 0) {
    }
    if (ends.empty()) return now;
    const auto [time, worker] = ends.extract(ends.begin()).value();
    now = time;
    ++ledger.Current(worker, 1).pace;
    waiting.push_back(worker);
  }
}

StragglerResult BenchStragglers(const StragglerOptions& options) {
  if (options.workers < 1 || options.steps < 1) {
    throw InvalidArgumentError("[bench] {} workers with {} steps", options.workers, options.steps);
  }
  const Delays delays = StragglerDelays(options);
  StragglerResult result;
  const auto run = [&](const std::string& name, const ps::ConsistencyOptions& consistency) {
    if (options.progress) options.progress(name);
    Race race(options, consistency, delays);
    StragglerRun r{.name = name};
    if (consistency.mode == ps::Consistency::kBounded) r.staleness = consistency.staleness;
    r.steps_per_second = race.Run();
    r.stalest = race.Stalest();
    r.allowed_per_second = static_cast<double>(options.steps) /
                           (AllowedTime(delays, consistency) * options.step_ms * 1e-3);
    const StragglerRun& sync = result.runs.empty() ? r : result.runs[0];
    r.over_sync = r.steps_per_second / sync.steps_per_second;
    r.allowed_over_sync = r.allowed_per_second / sync.allowed_per_second;
    result.runs.push_back(r);
  };
  run("sync", Consistency(ps::Consistency::kSync, options.workers));
  for (const int64_t staleness : {0, 1, 4}) {
    run(fmt::format("staleness {}", staleness),
        Consistency(ps::Consistency::kBounded, options.workers, staleness));
  }
  run("async", Consistency(ps::Consistency::kAsync, options.workers));
  return result;
}

}  // namespace tributary
