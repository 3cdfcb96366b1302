// Clients that leave out ids which a server has: how many bytes travel, and what happens when
// it does not have them.

#include <gmock/gmock.h>

#include <functional>
#include <random>

#include "distribute/ps/ps_client.h"
#include "tests/distribute/ps/ps_harness.h"

namespace tributary::ps {
namespace {

using Ids = std::vector<uint64_t>;

// One server that a client reaches over a carrier. `before` sees each request first.
class Reached {
 public:
  explicit Reached(const std::string& address, bool key_lists = true,
                   std::function<void(PsServer*, const Request&)> before = nullptr)
      : server_(Listen(address,
                       [this, before](const Request& r, Responder to) {
                         if (before) before(&ps_, r);
                         ps_.Handle(r, std::move(to));
                       },
                       {.hello = {.role = "ps"}})),
        client_({.hello = {.role = "worker", .generation = 1}, .servers = 1,
                 .find = [this](int) { return server_->address(); }, .key_lists = key_lists}) {
    client_.Join();
  }
  PsServer& ps() { return ps_; }
  PsClient& client() { return client_; }

 private:
  PsServer ps_{PsServerOptions{}};
  std::unique_ptr<Server> server_;
  PsClient client_;
};

Ids RandomIds(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Ids ids(count);
  for (uint64_t& id : ids) id = random() % 1'000'000;
  return ids;
}

struct Sent {
  uint64_t bytes = 0;        // there and back, beside the first step's
  std::vector<float> rows;   // of the last step
};

// Steps that push what the one before has pulled, of one table or of two of the same ids.
// `batch` numbers the ids of a step.
Sent Train(const std::string& address, bool key_lists, int64_t width, int tables,
           WireFormat format, const std::function<uint64_t(int)>& batch) {
  constexpr size_t kIds = 10'000;
  constexpr int kSteps = 6;
  Reached job(address, key_lists);
  StepExchange step(1);
  step.SetWireFormat(format, format);
  for (int t = 0; t < tables; ++t) {
    job.client().CallAll(kCreateTable, Pack(RowsSpec(static_cast<uint32_t>(t + 1), width)));
  }
  const std::vector<float> grads(kIds * static_cast<size_t>(width), 0.5f);
  std::vector<std::vector<float>> rows(static_cast<size_t>(tables), grads);
  Sent sent;
  for (int s = 0; s < kSteps; ++s) {
    const Ids now = RandomIds(kIds, batch(s)), next = RandomIds(kIds, batch(s + 1));
    step.Begin(kPushPull, s, 0.1, kEndOfStep);
    for (int t = 0; t < tables; ++t) step.PushRows(0, static_cast<uint32_t>(t + 1), now, grads);
    for (int t = 0; t < tables; ++t) {
      step.PullRows(0, static_cast<uint32_t>(t + 1), next, rows[static_cast<size_t>(t)]);
    }
    job.client().Run(&step);
    if (s == 0) sent.bytes -= step.bytes_in() + step.bytes_out();
  }
  sent.bytes += step.bytes_in() + step.bytes_out();
  EXPECT_EQ(job.client().stats().unknown_lists, 0u);
  EXPECT_EQ(job.client().stats().retries, 0u);
  for (const auto& r : rows) sent.rows.insert(sent.rows.end(), r.begin(), r.end());
  return sent;
}

double Saved(int64_t width, int tables, WireFormat format,
             const std::function<uint64_t(int)>& batch) {
  double share = 0;
  for (const char* address : {"inproc://ps-lists", "tcp://127.0.0.1:0"}) {
    const Sent with = Train(address, true, width, tables, format, batch);
    const Sent without = Train(address, false, width, tables, format, batch);
    EXPECT_EQ(with.rows, without.rows);
    const double saved = 1 - static_cast<double>(with.bytes) / static_cast<double>(without.bytes);
    EXPECT_TRUE(share == 0 || share == saved) << "the carrier does not matter";
    share = saved;
  }
  return share;
}

// Of 16 bytes of ids and 8 * width bytes of values for each row: all the ids, and that is
// half of it for a width of 2 (less a header of 240 bytes).
TEST(PsClientLists, ABatchThatIsRepeatedTravelsWithoutIds) {
  const auto same = [](int) { return uint64_t{7}; };
  EXPECT_GE(Saved(2, 1, WireFormat::kFloat32, same), 0.499);
  EXPECT_GE(Saved(16, 1, WireFormat::kFloat32, same), 0.11);
  EXPECT_GE(Saved(16, 1, WireFormat::kInt8, same), 0.28);
  EXPECT_GE(Saved(2, 2, WireFormat::kBfloat16, same), 0.66);
}

// New ids in each step are sent when they are pulled and not when they are pushed.
TEST(PsClientLists, NewIdsTravelOnce) {
  const auto fresh = [](int step) { return static_cast<uint64_t>(step); };
  EXPECT_GE(Saved(2, 1, WireFormat::kFloat32, fresh), 0.249);
  EXPECT_GE(Saved(16, 1, WireFormat::kFloat32, fresh), 0.055);
  EXPECT_GE(Saved(2, 2, WireFormat::kFloat32, fresh), 0.374) << "for both tables";
}

// Drops what a server keeps of the client: who joins begins without lists.
void Forget(PsServer* ps) { Client(ps, 0, 1).Join(); }

TEST(PsClientLists, AServerThatHasForgottenIsToldAgain) {
  for (const char* address : {"inproc://ps-lists-forgotten", "tcp://127.0.0.1:0"}) {
    bool forget = false;
    int requests = 0;
    Reached job(address, true, [&](PsServer* ps, const Request& r) {
      if (r.header.kind != kPushPull) return;
      ++requests;
      if (std::exchange(forget, false)) Forget(ps);
    });
    PsClient& client = job.client();
    client.CallAll(kCreateTable, Pack(RowsSpec(1, 3, "Adam")));
    client.CallAll(kCreateTable, Pack(RowsSpec(2, 3, "Adam")));
    const Ids ids = RandomIds(100, 1);
    const std::vector<float> grads(300, 0.5f);
    std::vector<float> rows(300), expected(300);
    EmbeddingTable local(RowsSpec(1, 3, "Adam"));
    StepExchange step(1);
    for (int s = 0; s < 6; ++s) {
      forget = s == 2 || s == 4;
      step.Begin(kPushPull, s, 0.1, kEndOfStep);
      step.PushRows(0, 1, ids, grads);
      step.PushRows(0, 2, ids, grads);
      step.PullRows(0, 1, ids, rows);
      client.Run(&step);
      EXPECT_EQ(step.reply_flags(), 0u);
      local.Push(ids, grads.data(), 0.1);
      local.Lookup(ids, expected.data());
      EXPECT_EQ(rows, expected) << s;
    }
    EXPECT_EQ(client.stats().unknown_lists, 2u);
    EXPECT_EQ(client.stats().retries, 0u);
    EXPECT_EQ(requests, 8);
    EXPECT_EQ(job.ps().stats().unknown_lists, 2u);
    EXPECT_EQ(job.ps().stats().errors, 0u);
    EXPECT_EQ(job.ps().shard().table(2).updates(), 6u);
  }
}

// Several are under way when the server forgets: each is said again, once.
TEST(PsClientLists, AllThatIsUnderWayIsSaidAgain) {
  Reached job("inproc://ps-lists-under-way");
  PsClient& client = job.client();
  client.CallAll(kCreateTable, Pack(RowsSpec(1, 1)));
  const Ids ids = RandomIds(50, 1);
  const std::vector<float> grads(50, 1.0f);
  std::vector<float> rows(50);
  std::vector<StepExchange> steps(3, StepExchange(1));
  const auto begin = [&](int64_t first) {
    for (int64_t i = 0; i < 3; ++i) {
      StepExchange& e = steps[static_cast<size_t>(i)];
      e.Begin(i == 1 ? kPull : kPush, first + i, 0.1, i == 1 ? 0u : kEndOfStep);
      if (i == 1) e.PullRows(0, 1, ids, rows);
      if (i != 1) e.PushRows(0, 1, ids, grads);
      client.Start(&e);
    }
  };
  const auto finish = [&] {
    for (const size_t i : {2, 0, 1}) client.Finish(&steps[i]);
  };
  begin(0);
  finish();
  EXPECT_EQ(client.stats().unknown_lists, 0u);
  Client(&job.ps(), 0, 1).Join();
  begin(3);
  finish();
  EXPECT_EQ(client.stats().unknown_lists, 3u);
  EXPECT_EQ(job.ps().shard().table(1).updates(), 4u);
}

TEST(PsClientLists, AServerThatAlwaysForgetsIsNotAskedForLong) {
  int requests = 0;
  Reached job("inproc://ps-lists-useless", true, [&](PsServer* ps, const Request& r) {
    if (r.header.kind != kPull) return;
    ++requests;
    Forget(ps);
  });
  job.client().CallAll(kCreateTable, Pack(RowsSpec(1, 1)));
  const Ids ids = RandomIds(50, 1);
  std::vector<float> rows(50);
  StepExchange step(1);
  for (int s = 0; s < 100; ++s) {
    step.Begin(kPull, s, -1, 0);
    step.PullRows(0, 1, ids, rows);
    job.client().Run(&step);
  }
  EXPECT_EQ(job.client().stats().unknown_lists, 16u);
  EXPECT_EQ(requests, 116);
}

TEST(PsClientLists, WhatIsRefusedIsStillThrown) {
  Reached job("inproc://ps-lists-refused");
  job.client().CallAll(kCreateTable, Pack(RowsSpec(1, 1)));
  const Ids ids = RandomIds(50, 1);
  std::vector<float> rows(50);
  StepExchange step(1);
  for (const uint32_t table : {1, 1, 9, 1}) {
    step.Begin(kPull, 0, -1, 0);
    step.PullRows(0, table, ids, rows);
    if (table == 9) {
      EXPECT_THROW(job.client().Run(&step), NotFoundError) << "no such table";
    } else {
      job.client().Run(&step);
    }
  }
  // A new life that has not joined names nothing, and is told that it has not.
  job.client().SetGeneration(2);
  step.Begin(kPush, 0, -1, kEndOfStep);
  step.PushRows(0, 1, ids, rows);
  EXPECT_THROW(job.client().Run(&step), FailedPreconditionError);
}

}  // namespace
}  // namespace tributary::ps
