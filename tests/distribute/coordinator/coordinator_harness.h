#pragma once
// A job around a coordinator: what its servers would know, and workers that train nothing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/errors.h"
#include "distribute/coordinator/coordinator.h"
#include "distribute/coordinator/coordinator_client.h"
#include "tests/distribute/transport/contract_server.h"

namespace tributary::coordinator {

inline Window Batches(int64_t begin, int64_t end) {
  return {.epoch = 0, .begin = begin, .end = end, .first_step = begin};
}

// What all parameter servers know of workers and their pushes. Any thread.
class Pushes {
 public:
  explicit Pushes(int servers) : servers_(static_cast<size_t>(servers)) {}

  void Join(uint32_t worker, uint64_t generation) {
    const std::lock_guard lock(mutex_);
    for (Server& s : servers_) {
      Entry& e = s.workers[worker];
      if (generation < e.lowest) throw FailedPreconditionError("[test] {} is fenced", worker);
      e = {.lowest = generation, .generation = generation, .clock = 0};
    }
  }
  // The end of a worker's step; what it pushes, unless it skips that.
  void Push(int server, uint32_t worker, uint64_t generation, int64_t batch, bool skip) {
    const std::lock_guard lock(mutex_);
    Server& s = servers_[static_cast<size_t>(server)];
    Entry& e = s.workers[worker];
    if (e.generation != generation || generation < e.lowest) {
      throw FailedPreconditionError("[test] {} is fenced", worker);
    }
    ++e.clock;
    if (!skip) ++s.pushed[batch];
  }
  std::vector<int64_t> Evict(uint32_t worker, uint64_t generation) {
    const std::lock_guard lock(mutex_);
    evicted_.emplace_back(worker, generation);
    std::vector<int64_t> clocks;
    for (Server& s : servers_) {
      Entry& e = s.workers[worker];
      e.lowest = std::max(generation, e.generation + 1);
      clocks.push_back(e.clock);
    }
    return clocks;
  }
  std::vector<std::pair<uint32_t, uint64_t>> evicted() const {
    const std::lock_guard lock(mutex_);
    return evicted_;
  }
  // All batches below `end`, so many times on each server.
  void ExpectAll(int64_t end, int times) const {
    const std::lock_guard lock(mutex_);
    for (size_t s = 0; s < servers_.size(); ++s) {
      EXPECT_EQ(static_cast<int64_t>(servers_[s].pushed.size()), end);
      for (const auto& [batch, count] : servers_[s].pushed) {
        EXPECT_EQ(count, times) << "batch " << batch << " on server " << s;
        EXPECT_LT(batch, end);
      }
    }
  }
  int servers() const { return static_cast<int>(servers_.size()); }

 private:
  struct Entry {
    uint64_t lowest = 0, generation = 0;
    int64_t clock = 0;
  };
  struct Server {
    std::map<uint32_t, Entry> workers;
    std::map<int64_t, int> pushed;
  };
  mutable std::mutex mutex_;
  std::vector<Server> servers_;
  std::vector<std::pair<uint32_t, uint64_t>> evicted_;
};

// A worker's process. One thread.
class TestWorker {
 public:
  TestWorker(uint32_t id, std::function<std::string()> find, Pushes* pushes,
             Millis patience = Millis(20'000))
      : id_(id), pushes_(pushes),
        client_({.hello = {.role = kWorkerRole, .task = id}, .find = std::move(find),
                 .channel = {}, .patience = patience}) {}

  // `clock` stays where the work of all is counted in steps of the training.
  uint64_t Register(int64_t clock = 0) {
    const uint64_t generation = client_.RegisterWorker().generation;
    pushes_->Join(id_, generation);
    clock_ = clock;
    return generation;
  }
  std::optional<Lease> Take() { return client_.Take(clock_); }
  // Batch `i` of the lease, on one server.
  void Push(const Lease& lease, int64_t i, int server) {
    const bool skip = !lease.done.empty() && i < lease.done[static_cast<size_t>(server)];
    pushes_->Push(server, id_, client_.generation(), lease.first_step + i, skip);
  }
  void Work(const Lease& lease) {
    for (int64_t i = 0; i < lease.length(); ++i) {
      for (int s = 0; s < pushes_->servers(); ++s) Push(lease, i, s);
    }
  }
  void Done(const Lease& lease) {
    const double figures[] = {static_cast<double>(lease.length()), 0.5};
    client_.Done(lease.id, figures);
    clock_ += lease.length();
  }
  // Until the job has ended; what is said of that.
  std::string WorkToTheEnd() {
    while (const auto lease = Take()) {
      Work(*lease);
      Done(*lease);
    }
    return client_.AwaitEnd();
  }
  CoordinatorClient& client() { return client_; }
  int64_t clock() const { return clock_; }

 private:
  const uint32_t id_;
  Pushes* const pushes_;
  CoordinatorClient client_;
  int64_t clock_ = 0;
};

// By carrier.
class CoordinatorTest : public testing::TestWithParam<const char*> {
 protected:
  void Start(CoordinatorOptions options, int servers = 2) {
    static int count = 0;
    options.address = GetParam();
    if (options.address == "inproc://") options.address += fmt::format("chief-{}", count++);
    options.job = "test";
    options.servers = servers;
    pushes_ = std::make_unique<Pushes>(servers);
    chief_ = std::make_unique<Coordinator>(options);
    chief_->SetEvict([this](uint32_t w, uint64_t g) { return pushes_->Evict(w, g); });
    find_ = [address = chief_->address()] { return address; };
  }
  std::unique_ptr<TestWorker> Worker(uint32_t id, Millis patience = Millis(20'000)) {
    return std::make_unique<TestWorker>(id, find_, pushes_.get(), patience);
  }
  Coordinator::Progress AwaitComplete() {
    for (;;) {
      const auto progress = chief_->Await(Millis(20'000));
      if (progress.complete) return progress;
    }
  }
  std::string StateOf(uint32_t worker) const {
    for (const WorkerStatus& s : chief_->WorkerStates()) {
      if (s.id == worker) return s.state;
    }
    return "";
  }
  bool Becomes(uint32_t worker, const std::string& state) const {
    return Eventually([&] { return StateOf(worker) == state; });
  }

  std::unique_ptr<Pushes> pushes_;
  std::unique_ptr<Coordinator> chief_;
  std::function<std::string()> find_;
};

}  // namespace tributary::coordinator
