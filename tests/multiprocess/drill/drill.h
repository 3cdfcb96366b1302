#pragma once
// What all processes of the drill (tests/multiprocess/drill/main.cc) agree on: the job, and
// what each batch adds to it.

#include <array>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "distribute/ps/ps_session.h"
#include "distribute/ps/sharding.h"

namespace tributary::drill {

constexpr int kServers = 2, kWorkers = 3;
constexpr int kVariables = 4;
constexpr int64_t kElements = 24;      // of each dense variable
constexpr int64_t kWindow = 150;       // batches
constexpr uint64_t kLogLimit = 20'000;  // bytes; servers make bases between two saves
constexpr double kLongestWait = 10;    // seconds of a request
constexpr Millis kPatience{30'000};

struct Drill {
  std::string dir;
  ps::Consistency mode = ps::Consistency::kAsync;
  bool sync() const { return mode == ps::Consistency::kSync; }
  ps::ConsistencyOptions consistency() const {
    return {.mode = mode, .staleness = 2, .workers = kWorkers};
  }
};

// Of the steady clock, which all processes share.
inline double Now() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

// A batch's row on a server.
inline uint64_t RowOf(int64_t batch, int server) {
  uint64_t id = static_cast<uint64_t>(batch) * 4096;
  while (ps::ServerOfRow(id, kServers) != server) ++id;
  return id;
}

// What a batch adds to element i of a variable; a worker's part of it in sync mode.
inline float DenseOf(int64_t batch, int64_t variable, int64_t i, int worker) {
  return static_cast<float>((batch * 7 + variable * 3 + i + worker * 5) % 11 - 5);
}

// A process's parameters, declared alike everywhere.
struct Parameters {
  ps::PsSession session;
  std::vector<float> weights = std::vector<float>(kVariables * kElements);
  std::vector<float> gradient = std::vector<float>(kVariables * kElements);
  std::vector<float> rows = std::vector<float>(kServers * kWorkers);
  Tensor ids = Tensor::Empty(DType::kInt64, Shape{kServers});
  std::array<int32_t, kServers> local{};

  explicit Parameters(const Drill& drill) : session(kServers, drill.consistency()) {
    const ps::NamedOptions sgd{"SGD", {{"learning_rate", "1"}}};
    ps::TableSpec table{.name = "batches", .width = kWorkers, .initializer = {"Zeros", {}}};
    session.AddTable(table);
    session.SetTableOptimizer(sgd);
    std::vector<ps::DenseBinding> dense;
    for (int v = 0; v < kVariables; ++v) {
      dense.push_back({.name = fmt::format("dense_{}", v), .shape = {kElements}, .bucket = 0,
                       .offset = v * kElements, .weights = weights.data() + v * kElements});
    }
    session.PlaceDense(dense, sgd, ps::Whole);
  }

  void Announce(int64_t batch) {
    for (int s = 0; s < kServers; ++s) {
      ids.mutable_data<int64_t>()[s] = static_cast<int64_t>(RowOf(batch, s));
    }
    session.Announce({ids});
  }

  // Step `batch` of `worker`, whose next one is `following` (-1: none).
  void Step(int64_t batch, int64_t following, int worker) {
    session.WaitForReads();
    std::array<int64_t, kServers> own{};
    for (int s = 0; s < kServers; ++s) own[s] = static_cast<int64_t>(RowOf(batch, s));
    session.LookUp(0, 0, DType::kInt64, own.data(), kServers, rows.data(), local.data());
    if (following >= 0) Announce(following);
    for (int v = 0; v < kVariables; ++v) {
      for (int64_t i = 0; i < kElements; ++i) {
        gradient[v * kElements + i] = DenseOf(batch, v, i, session.sync() ? worker : 0);
      }
    }
    std::array<float, kServers * kWorkers> row_gradients{};
    for (int s = 0; s < kServers; ++s) row_gradients[s * kWorkers + worker] = 1;
    session.StageRows(0, 0, local, row_gradients.data());
    const float* bucket = gradient.data();
    session.SendStep({&bucket, 1});
  }
};

// async: somebody who does not answer is lost after a second, so that much happens in a
// short drill.
template <typename T>
T Quick(const Drill& drill) {
  T options;
  options.heartbeat_period = Millis(100);
  options.dead_after = Millis(drill.sync() ? 6000 : 1000);
  options.connect_timeout = Millis(1000);
  return options;
}

inline uint64_t NewLife() {
  std::random_device random;
  return (uint64_t{random()} << 32 | random()) | 1;
}

inline Hello HelloOf(const char* role, uint32_t task) {
  return {.role = role, .task = task, .generation = NewLife()};
}

}  // namespace tributary::drill
