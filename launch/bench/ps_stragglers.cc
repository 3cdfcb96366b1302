#include "launch/bench/ps_stragglers.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "core/base/errors.h"
#include "distribute/ps/ps_client.h"
#include "distribute/ps/ps_server.h"

namespace tributary {
namespace {

constexpr int64_t kElements = 256;
constexpr uint32_t kVariable = 1;
using Delays = std::vector<std::vector<double>>;

ps::VariableSpec Variable() {
  return {.id = kVariable, .name = "weights", .shape = {kElements}, .begin = 0, .end = kElements};
}

// One measurement: a server, and a thread and a client for each worker.
class Race {
 public:
  Race(const StragglerOptions& options, const ps::ConsistencyOptions& consistency,
       const Delays& delays)
      : options_(options), delays_(delays), server_({.consistency = consistency}),
        listening_(Listen(Address(), server_.handler(), {.hello = {.role = "ps"}})),
        start_(options.workers + 1) {
    for (int w = 0; w < options.workers; ++w) {
      clients_.push_back(std::make_unique<ps::PsClient>(ps::PsClientOptions{
          .hello = {.role = "worker", .task = static_cast<uint32_t>(w), .generation = 1},
          .servers = 1,
          .find = [this](int) { return listening_->address(); }}));
      clients_.back()->Join();
    }
    clients_[0]->CallAll(ps::kCreateVariable, ps::Pack(Variable()));
  }

  // Steps a second of each worker, until the last one is done.
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
    ps::PsClient& client = *clients_[static_cast<size_t>(worker)];
    const std::vector<float> gradient(kElements, 1e-3f);
    std::vector<float> weights(kElements);
    ps::StepExchange step(1);
    const std::chrono::duration<double, std::milli> unit(options_.step_ms);
    start_.arrive_and_wait();
    try {
      for (int64_t t = 0; t < options_.steps; ++t) {
        const double delay = delays_[static_cast<size_t>(t)][static_cast<size_t>(worker)];
        std::this_thread::sleep_for(unit * delay);
        const bool last = t + 1 == options_.steps;
        step.Begin(last ? ps::kPush : ps::kPushPull, t, -1, ps::kEndOfStep);
        step.PushDense(0, kVariable, gradient);
        if (!last) step.PullDense(0, kVariable, weights, nullptr);
        client.Run(&step);
      }
    } catch (const std::exception&) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  const StragglerOptions& options_;
  const Delays& delays_;
  ps::PsServer server_;
  std::unique_ptr<Server> listening_;
  std::vector<std::unique_ptr<ps::PsClient>> clients_;
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
  using Times = std::vector<double>;
  const bool async = consistency.mode == ps::Consistency::kAsync;
  const auto slack = consistency.mode == ps::Consistency::kBounded
                         ? static_cast<size_t>(consistency.staleness) : size_t{0};
  std::vector<Times> done = {Times(delays.at(0).size(), 0.0)};  // done[k]: k steps, by worker
  for (size_t t = 0; t < delays.size(); ++t) {
    // All others are as far as a worker must see them to begin step t.
    const bool waits = !async && t >= slack;
    const double others = waits ? *std::max_element(done[t - slack].begin(), done[t - slack].end())
                                : 0.0;
    Times next = done[t];
    for (size_t w = 0; w < next.size(); ++w) next[w] = std::max(next[w], others) + delays[t][w];
    done.push_back(std::move(next));
  }
  return *std::max_element(done.back().begin(), done.back().end());
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
