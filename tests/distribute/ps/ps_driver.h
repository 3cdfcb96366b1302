#pragma once
// Training that brings a server's every part to use, for tests of what comes back.

#include <random>

#include "core/io/bundle_shard.h"
#include "core/io/env.h"
#include "tests/distribute/ps/ps_harness.h"

namespace tributary::ps {

inline constexpr int kWorkers = 2;

inline PsServerOptions Options(const std::string& dir, Consistency mode, int shard = 0,
                               int shards = 1) {
  PsServerOptions o;
  o.shard = shard;
  o.shards = shards;
  o.consistency = {.mode = mode, .staleness = 0, .workers = kWorkers, .backup = 0};
  o.dir = dir;
  return o;
}

inline TableSpec ChurningTable() {
  TableSpec spec = RowsSpec(2, 4, "Adam");
  spec.policy.max_bytes = 20'000;
  spec.policy.admit_after = 1;
  spec.policy.evict_after = 60;
  return spec;
}

// Request number i of the training: two workers in turn, a step each.
struct Driver {
  std::vector<Client> clients;
  std::vector<CallPtr> calls;

  explicit Driver(PsServer* ps) {
    for (int w = 0; w < kWorkers; ++w) {
      clients.emplace_back(ps, w);
      calls.push_back(clients[w].Join());
    }
    calls.push_back(clients[0].Control(kCreateVariable, DenseSpec(1, {7, 3}, "Adam")));
    calls.push_back(clients[0].Control(kCreateTable, ChurningTable()));
    calls.push_back(clients[0].Control(kCreateTable, RowsSpec(3, 5, "Adagrad")));
    for (const CallPtr& call : calls) EXPECT_TRUE(call->ok());
    calls.clear();
  }
  CallPtr Send(uint64_t i) {
    std::mt19937_64 r(i);
    std::vector<float> dense(21);
    for (float& g : dense) g = static_cast<float>(r() % 100) / 99.0f - 0.5f;
    std::vector<uint64_t> ids(20), more(10);
    for (uint64_t& id : ids) id = r() % 700;
    for (uint64_t& id : more) id = r() % 100;
    std::vector<float> a(80), b(50);
    for (float& g : a) g = static_cast<float>(r() % 100) / 99.0f - 0.5f;
    for (float& g : b) g = static_cast<float>(r() % 100) / 99.0f - 0.5f;
    calls.push_back(clients[i % kWorkers].Step(
        kPush, static_cast<int64_t>(i / kWorkers),
        Parts().Dense(1, dense).Rows(2, ids, a).Rows(3, more, b), kEndOfStep, -1,
        i / kWorkers + 1));
    return calls.back();
  }
};

inline std::string LastCommit(const std::string& dir) {
  std::string best;
  int best_number = -1;
  for (const std::string& name : PosixEnv()->List(dir)) {
    if (!name.starts_with("ckpt-") || !name.ends_with(".index")) continue;
    const int number = std::stoi(name.substr(5));
    if (number > best_number) best = JoinPath(dir, name.substr(0, name.size() - 6));
    best_number = std::max(best_number, number);
  }
  return best;
}

// Saves all servers' shards and commits; returns the prefix.
inline std::string SaveAll(std::vector<PsServer*> servers, const std::string& dir, int number) {
  const std::string prefix = JoinPath(dir, fmt::format("ckpt-{}", number));
  std::vector<std::string> entries;
  for (PsServer* ps : servers) {
    Client chief(ps, 1000);
    const auto saved = chief.Control(kSave, SaveControl{prefix, 0});
    ps->WaitForSave();
    EXPECT_TRUE(saved->ok()) << (saved->error ? saved->error->what() : "waits");
    entries.push_back(Unpack<SaveReply>(AsBytes(saved->reply_control), "reply").entries);
  }
  CommitBundleShards(PosixEnv(), prefix, entries);
  for (PsServer* ps : servers) Client(ps, 1000).Control(kCommit, CommitControl{prefix});
  return prefix;
}

// How many requests of each worker the server knows.
inline uint64_t RequestsOf(PsServer* ps) {
  uint64_t n = 0;
  for (const auto& [worker, e] : ps->shard().ledger().entries()) n += e.seen.highest();
  return n;
}

}  // namespace tributary::ps
