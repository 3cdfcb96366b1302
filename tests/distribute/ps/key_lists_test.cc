// Lists of ids that are named, not sent: what a server makes of them is what it makes of the
// ids; what it does not have changes nothing.

#include "distribute/ps/key_lists.h"

#include <gmock/gmock.h>

#include <random>
#include <set>

#include "tests/distribute/ps/ps_harness.h"
#include "tests/temp_dir.h"

namespace tributary::ps {
namespace {

using ::testing::HasSubstr;
using Ids = std::vector<uint64_t>;

constexpr int64_t kWidth = 3;
constexpr int64_t kDense = 5;
constexpr WireFormat kFormats[] = {WireFormat::kFloat32, WireFormat::kBfloat16, WireFormat::kInt8};

Ids RandomIds(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Ids ids(count);
  for (uint64_t& id : ids) id = random() % 60;
  return ids;
}

// --- Signatures and accounts -----------------------------------------------------------

TEST(KeyLists, SignaturesTellListsApart) {
  std::set<uint64_t> seen;
  size_t lists = 0;
  const auto add = [&](const Ids& ids, uint32_t seed) {
    seen.insert(SignatureOf(ids, seed));
    ++lists;
  };
  for (size_t n = 0; n < 40; ++n) {
    Ids ids(n);  // zeros: only their number differs
    add(ids, 7);
    for (size_t i = 0; i < n; ++i) ids[i] = i + 1000;
    if (n > 0) add(ids, 7);
    if (n > 0) add(ids, 8);
    for (size_t i = 0; i < n; ++i) {
      for (const uint64_t bit : {0, 1, 31, 63}) {
        Ids other = ids;
        other[i] ^= uint64_t{1} << bit;
        add(other, 7);
      }
      Ids swapped = ids;
      std::swap(swapped[i], swapped[n - 1]);
      if (i + 1 < n) add(swapped, 7);
    }
  }
  EXPECT_EQ(seen.size(), lists);
  const Ids ids = RandomIds(1000, 1);
  EXPECT_EQ(SignatureOf(ids, 3), SignatureOf(Ids(ids), 3));
  EXPECT_EQ(SignatureSeed(), SignatureSeed());
}

TEST(KeyLists, ThoseUsedLastAreKept) {
  RecentLists lists;
  EXPECT_EQ(lists.Add(1, RecentLists::kMinIds - 1), RecentLists::kNone);
  EXPECT_EQ(lists.Add(1, RecentLists::kMaxIds + 1), RecentLists::kNone);
  EXPECT_EQ(lists.Find(0, 0), RecentLists::kNone) << "nothing is no list";
  for (uint64_t s = 0; s < RecentLists::kMaxLists; ++s) lists.Add(s, 100);
  EXPECT_NE(lists.Find(0, 100), RecentLists::kNone);  // now used last
  EXPECT_EQ(lists.Find(0, 101), RecentLists::kNone) << "another count";
  lists.Add(1000, 100);
  EXPECT_EQ(lists.Find(1, 100), RecentLists::kNone);
  EXPECT_NE(lists.Find(0, 100), RecentLists::kNone);
  EXPECT_EQ(lists.lists(), RecentLists::kMaxLists);
  // By their size: all but the last used go.
  std::vector<int> dropped;
  EXPECT_NE(lists.Add(2000, RecentLists::kMaxIds - 100, [&](int s) { dropped.push_back(s); }),
            RecentLists::kNone);
  EXPECT_EQ(dropped.size(), RecentLists::kMaxLists - 1);
  EXPECT_EQ(lists.ids(), RecentLists::kMaxIds);
  EXPECT_NE(lists.Find(0, 100), RecentLists::kNone);
}

// An account that is begun anew (a client after a miss) names nothing that is not there.
TEST(KeyLists, AnAccountBegunLaterHasNoMoreThanTheOther) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    RecentLists server, client;
    for (int i = 0; i < 3000; ++i) {
      if (random() % 500 == 0) client.Clear();
      const uint64_t list = random() % 600;
      const uint64_t count = 16 + MixSeed(seed, list) % (seed % 2 ? 100'000 : 1000);
      const bool named = client.Find(list, count) != RecentLists::kNone;
      if (!named) client.Add(list, count);
      const bool there = server.Find(list, count) != RecentLists::kNone;
      if (!there) server.Add(list, count);
      ASSERT_TRUE(there || !named);
    }
  }
}

TEST(KeyLists, AListLivesAsLongAsSomebodyNeedsIt) {
  KeptLists kept;
  const Ids first(RecentLists::kMaxIds / 2, 5);
  kept.Keep(1, first);
  const KeyList held = kept.Find(1, first.size());
  ASSERT_TRUE(held);
  EXPECT_FALSE(kept.Find(1, first.size() - 1));
  for (uint64_t s = 2; s < 10; ++s) kept.Keep(s, Ids(RecentLists::kMaxIds / 2, s));
  EXPECT_FALSE(kept.Find(1, first.size()));
  EXPECT_EQ(*held, first);
  EXPECT_EQ(kept.bytes(), RecentLists::kMaxIds * 8);
  EXPECT_EQ(kept.Find(9, first.size())->front(), 9u);
}

// --- A server -----------------------------------------------------------------------------

PsServerOptions Options(Consistency mode, int workers = 1, const std::string& dir = "") {
  PsServerOptions o;
  o.consistency = {.mode = mode, .staleness = 0, .workers = workers, .backup = 0};
  o.dir = dir;
  return o;
}

// A message in two forms: with its ids, and with lists named that were sent before.
struct Message {
  Parts parts;
  bool name;
  std::set<uint64_t> there = {};  // signatures

  // The part of a list, whose ids go to `payload` unless they are there.
  PartControl List(uint32_t table, const Ids& ids, std::string* payload,
                   WireFormat format = WireFormat::kFloat32) {
    PartControl part{.target = table, .kind = PartKind::kRows, .encoding = format,
                     .count = ids.size()};
    if (name) {
      part.version = SignatureOf(ids, 0);
      part.ids = there.insert(part.version).second ? PartIds::kHereToKeep : PartIds::kKept;
    }
    if (!part.kept()) {
      payload->append(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(uint64_t));
    }
    return part;
  }
  void Push(uint32_t table, const Ids& ids, uint64_t seed, WireFormat format) {
    parts.push.push_back(List(table, ids, &parts.pushed, format));
    std::mt19937_64 random(seed);
    std::vector<float> grads(ids.size() * kWidth);
    for (float& g : grads) g = static_cast<float>(random() % 1000) / 997.0f - 0.5f;
    const WireValues values = WireValues::Rows(format, ids.size(), kWidth);
    std::string encoded(values.bytes(), '\0');
    Encode(values, grads.data(), reinterpret_cast<std::byte*>(encoded.data()));
    Parts::Append(&parts.pushed, encoded.data(), encoded.size());
  }
  void Pull(uint32_t table, const Ids& ids) {
    parts.pull.push_back(List(table, ids, &parts.pulled_ids));
  }
};

Parts Keeping(const Ids& ids) {
  Message m{.name = true};
  m.Pull(2, ids);
  return m.parts;
}
Parts Naming(const Ids& ids) {
  Message m{.name = true, .there = {SignatureOf(ids, 0)}};
  m.Pull(2, ids);
  return m.parts;
}
Parts PushNaming(const Ids& ids) {
  Message m{.name = true, .there = {SignatureOf(ids, 0)}};
  m.Push(2, ids, 1, WireFormat::kFloat32);
  return m.parts;
}

Code CodeOf(const CallPtr& call) {
  EXPECT_TRUE(call->answered);
  return call->error ? call->error->code() : Code::kOk;
}

std::vector<Client> Begin(PsServer* ps, int workers) {
  std::vector<Client> clients;
  for (int w = 0; w < workers; ++w) {
    clients.emplace_back(ps, w);
    clients.back().Join();
  }
  clients[0].Control(kCreateVariable, DenseSpec(1, {kDense}, "Adam"));
  clients[0].Control(kCreateTable, RowsSpec(2, kWidth, "Adagrad"));
  clients[0].Control(kCreateTable, RowsSpec(3, kWidth, "Adam"));
  return clients;
}

// A step as training sends it: pushes of what was pulled before, two tables of the same ids,
// one of its own; then pulls of the next batch.
Parts StepOf(int worker, int step, bool name, std::set<uint64_t>* there) {
  const auto batch = [&](int t, int which) {
    return RandomIds(20 + static_cast<size_t>(which),
                     static_cast<uint64_t>(100 * t + 10 * worker + which));
  };
  const WireFormat format = kFormats[(step + worker) % 3];
  Message m{.name = name, .there = *there};
  m.parts.Dense(1, std::vector<float>(kDense, 0.1f * static_cast<float>(step + 1)));
  m.Push(2, batch(step, 0), 1, format);
  m.Push(3, batch(step, 0), 2, format);
  m.Push(3, batch(step, 1), 3, WireFormat::kFloat32);
  m.Pull(2, batch(step + 1, 0));
  m.parts.PullDense(1, kDense);
  m.Pull(3, batch(step + 1, 0));
  m.Pull(3, batch(step + 1, 1));
  *there = m.there;
  return m.parts;
}

TEST(PsKeyLists, WhatIsNamedIsWhatTheIdsAre) {
  for (const auto mode : {Consistency::kAsync, Consistency::kBounded, Consistency::kSync}) {
    const TempDir dir("key_lists");
    auto named = std::make_unique<PsServer>(Options(mode, 2, dir.path()));
    PsServer plain(Options(mode, 2));
    named->Recover();
    auto a = Begin(named.get(), 2), b = Begin(&plain, 2);
    std::set<uint64_t> there[2];
    for (int step = 0; step < 8; ++step) {
      CallPtr calls[2], expected[2];
      for (int w = 0; w < 2; ++w) {
        const Parts parts = StepOf(w, step, true, &there[w]);
        const Parts full = StepOf(w, step, false, &there[w]);
        EXPECT_LT(parts.pushed.size() + parts.pulled_ids.size(),
                  full.pushed.size() + full.pulled_ids.size());
        calls[w] = a[w].Step(kPushPull, step, parts);
        expected[w] = b[w].Step(kPushPull, step, full);
      }
      for (int w = 0; w < 2; ++w) {
        ASSERT_TRUE(calls[w]->ok()) << calls[w]->error->what();
        EXPECT_TRUE(calls[w]->reply_payload == expected[w]->reply_payload) << step;
      }
    }
    const auto contents = ContentsOf(&plain.shard());
    EXPECT_TRUE(ContentsOf(&named->shard()) == contents);
    EXPECT_GT(named->stats().ids_left_out, 0u);
    EXPECT_GT(named->stats().list_bytes, 0u);
    EXPECT_EQ(named->stats().errors, 0u);
    // The log needs no lists.
    named = std::make_unique<PsServer>(Options(mode, 2, dir.path()));
    EXPECT_GT(named->Recover(), 16u);
    EXPECT_TRUE(ContentsOf(&named->shard()) == contents);
    EXPECT_EQ(named->stats().list_bytes, 0u);
  }
}

TEST(PsKeyLists, APushStandsInTheLogAsItWouldWithItsIds) {
  const TempDir dir("key_lists");
  PsServer ps(Options(Consistency::kAsync, 1, dir.path()));
  ps.Recover();
  auto w = Begin(&ps, 1);
  const Ids ids = RandomIds(33, 5);
  w[0].Pull(0, Keeping(ids));
  Message named{.name = true, .there = {SignatureOf(ids, 0)}}, full{.name = false};
  for (Message* m : {&named, &full}) {
    m->parts.Dense(1, {1, 2, 3, 4, 5});
    m->Push(2, ids, 4, WireFormat::kInt8);
    m->Pull(2, ids);
  }
  ASSERT_TRUE(w[0].Step(kPushPull, 0, named.parts)->ok());
  PushLogReader reader(PosixEnv(), {dir.path(), 0, 1}, 1);
  LogRecord record;
  while (reader.Read(&record) && record.header.kind != kPushPull) continue;
  ASSERT_EQ(record.header.kind, kPushPull);
  EXPECT_EQ(record.header.sequence, w[0].sequence());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(record.payload.data()),
                        record.payload.size()), full.parts.pushed);
  StepMessage message;
  message.Parse(record.control);
  EXPECT_TRUE(message.pull().empty());
  ASSERT_EQ(message.push().size(), 2u);
  EXPECT_EQ(message.push()[1].ids, PartIds::kHere);
  EXPECT_EQ(message.push()[1].count, ids.size());
}

// What waits does not lose its lists, though they are no longer kept; nor does a log that
// begins meanwhile.
TEST(PsKeyLists, WhatWaitsHasItsLists) {
  for (const bool restart : {false, true}) {
    const TempDir dir("key_lists");
    auto named = std::make_unique<PsServer>(Options(Consistency::kSync, 2, dir.path()));
    PsServer plain(Options(Consistency::kSync, 2));
    named->Recover();
    auto a = Begin(named.get(), 2), b = Begin(&plain, 2);
    const Ids ids = RandomIds(40, 1);
    ASSERT_TRUE(a[0].Pull(0, Keeping(ids))->ok());
    Message push{.name = true, .there = {SignatureOf(ids, 0)}}, full{.name = false};
    for (Message* m : {&push, &full}) {
      m->Push(2, ids, 4, WireFormat::kFloat32);
      m->Pull(2, ids);
    }
    const auto waits = a[0].Step(kPushPull, 0, push.parts);
    const auto expected = b[0].Step(kPushPull, 0, full.parts);
    EXPECT_FALSE(waits->answered);
    for (uint64_t s = 0; s < RecentLists::kMaxLists; ++s) {
      ASSERT_TRUE(a[0].Pull(0, Keeping(RandomIds(20, 100 + s)))->ok());
    }
    EXPECT_EQ(CodeOf(a[0].Pull(0, Naming(ids))), Code::kNotFound);
    if (restart) {
      const std::string prefix = JoinPath(dir.path(), "ckpt-1");
      Client chief(named.get(), 1000);
      const auto saved = chief.Control(kSave, SaveControl{prefix, 0});
      named->WaitForSave();
      ASSERT_TRUE(saved->ok());
      CommitBundleShards(PosixEnv(), prefix,
                         {Unpack<SaveReply>(AsBytes(saved->reply_control), "reply").entries});
      chief.Control(kCommit, CommitControl{prefix});
      named.reset();
      named = std::make_unique<PsServer>(Options(Consistency::kSync, 2, dir.path()));
      named->Recover();
      for (Client& c : a) c.set_server(named.get());
    }
    std::set<uint64_t> none;
    const Parts other = StepOf(1, 0, false, &none);
    ASSERT_TRUE(a[1].Step(kPushPull, 0, other)->ok());
    ASSERT_TRUE(b[1].Step(kPushPull, 0, other)->ok());
    if (!restart) {
      ASSERT_TRUE(waits->ok());
      EXPECT_TRUE(waits->reply_payload == expected->reply_payload);
    }
    EXPECT_TRUE(ContentsOf(&named->shard()) == ContentsOf(&plain.shard())) << restart;
  }
}

// --- Lists that are not there ---------------------------------------------------------------

TEST(PsKeyLists, WhatIsNotThereChangesNothingAndComesAgainInFull) {
  for (const auto mode : {Consistency::kAsync, Consistency::kSync}) {
    PsServer ps(Options(mode, 1));
    auto w = Begin(&ps, 1);
    const Ids ids = RandomIds(20, 1);
    const auto before = ContentsOf(&ps.shard());
    const auto unknown = w[0].Step(kPush, 0, PushNaming(ids), kEndOfStep, -1, 1);
    EXPECT_EQ(CodeOf(unknown), Code::kNotFound);
    EXPECT_THAT(unknown->error->what(), HasSubstr("list of 20 ids"));
    EXPECT_TRUE(ContentsOf(&ps.shard()) == before);
    EXPECT_EQ(ps.stats().unknown_lists, 1u);
    EXPECT_EQ(ps.stats().errors, 0u);
    Message full{.name = false};
    full.Push(2, ids, 1, WireFormat::kFloat32);
    const auto again = w[0].Step(kPush, 0, full.parts, kEndOfStep, -1, 1);
    ASSERT_TRUE(again->ok());
    EXPECT_EQ(again->step().flags, 0u);
    w[0].Resend(again);
    EXPECT_EQ(again->step().flags, kDuplicate);
    EXPECT_EQ(ps.shard().table(2).updates(), 1u);
    // A retry that names what has gone meanwhile: known already, once it can be read.
    w[0].Resend(unknown);
    EXPECT_EQ(CodeOf(unknown), Code::kNotFound);
    EXPECT_EQ(ps.shard().table(2).updates(), 1u);
  }
}

TEST(PsKeyLists, HostileNamesFindNothing) {
  PsServer ps(Options(Consistency::kAsync));
  auto w = Begin(&ps, 2);
  const Ids ids = RandomIds(20, 1), other = RandomIds(20, 2);
  ASSERT_TRUE(w[0].Pull(0, Keeping(ids))->ok());
  ASSERT_TRUE(w[0].Pull(0, Naming(ids))->ok());
  const auto before = ContentsOf(&ps.shard());
  // Another count, as little or as large as it may be.
  for (const uint64_t count : {uint64_t{0}, uint64_t{19}, uint64_t{21}, uint64_t{1} << 30}) {
    Parts pull = Naming(ids), push = PushNaming(ids);
    pull.pull[0].count = push.push[0].count = count;
    EXPECT_EQ(CodeOf(w[0].Pull(0, pull)), Code::kNotFound) << count;
    EXPECT_EQ(CodeOf(w[0].Push(0, push)), Code::kNotFound) << count;
  }
  // Ids under the signature of others: not kept, so that nothing is mixed up.
  Parts false_name = Keeping(other);
  false_name.pull[0].version = SignatureOf(ids, 1);
  ASSERT_TRUE(w[0].Pull(0, false_name)->ok());
  Parts named = Naming(other);
  named.pull[0].version = false_name.pull[0].version;
  EXPECT_EQ(CodeOf(w[0].Pull(0, named)), Code::kNotFound);
  // More values than ids, or fewer; ids that are named and sent.
  Parts more = PushNaming(ids), fewer = PushNaming(ids);
  more.pushed += std::string(8, '\0');
  fewer.pushed.resize(fewer.pushed.size() - 8);
  EXPECT_EQ(CodeOf(w[0].Push(0, more)), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf(w[0].Push(0, fewer)), Code::kInvalidArgument);
  Parts strange = Naming(ids);
  strange.pull[0].ids = static_cast<PartIds>(3);
  EXPECT_EQ(CodeOf(w[0].Pull(0, strange)), Code::kUnimplemented);
  Parts short_list = Keeping(other);
  short_list.pull[0].count = 21;
  EXPECT_EQ(CodeOf(w[0].Pull(0, short_list)), Code::kInvalidArgument);
  short_list.pull[0].count = uint64_t{1} << 40;
  EXPECT_EQ(CodeOf(w[0].Pull(0, short_list)), Code::kInvalidArgument);
  Parts lookup_bomb;
  for (int i = 0; i < 10'000; ++i) lookup_bomb.pull.push_back(Naming(ids).pull[0]);
  EXPECT_EQ(w[0].Pull(0, lookup_bomb)->reply_payload.size(), 10'000u * 20 * kWidth * 4);
  // Other workers' lists are theirs.
  EXPECT_EQ(CodeOf(w[1].Pull(0, Naming(ids))), Code::kNotFound);
  EXPECT_TRUE(ContentsOf(&ps.shard()) == before);
}

TEST(PsKeyLists, ANewLifeHasNoLists) {
  PsServer ps(Options(Consistency::kAsync));
  auto w = Begin(&ps, 2);
  const Ids ids = RandomIds(20, 1);
  const auto keep = [&](Client* c) {
    ASSERT_TRUE(c->Pull(0, Keeping(ids))->ok());
    ASSERT_TRUE(c->Pull(0, Naming(ids))->ok());
  };
  keep(&w[0]);
  keep(&w[1]);
  Client next(&ps, 0, 2);
  EXPECT_EQ(CodeOf(next.Pull(0, Naming(ids))), Code::kNotFound) << "it has not joined";
  ASSERT_TRUE(next.Pull(0, Keeping(ids))->ok());
  EXPECT_EQ(CodeOf(next.Pull(0, Naming(ids))), Code::kNotFound);
  ASSERT_TRUE(next.Join()->ok());
  EXPECT_EQ(CodeOf(next.Pull(0, Naming(ids))), Code::kNotFound);
  keep(&next);
  EXPECT_EQ(CodeOf(w[0].Push(0, PushNaming(ids))), Code::kFailedPrecondition) << "fenced";
  ASSERT_TRUE(w[1].Pull(0, Naming(ids))->ok());
  // Evicted; gone back to nothing.
  ASSERT_TRUE(next.Control(kEvict, EvictControl{1, 2})->ok());
  EXPECT_EQ(CodeOf(w[1].Pull(0, Naming(ids))), Code::kNotFound);
  ASSERT_TRUE(next.Control(kRestore, RestoreControl{""})->ok());
  EXPECT_EQ(ps.stats().list_bytes, 0u);
  next.Control(kCreateTable, RowsSpec(2, kWidth));
  EXPECT_EQ(CodeOf(next.Pull(0, Naming(ids))), Code::kNotFound);
}

TEST(PsKeyLists, MemoryIsBounded) {
  PsServer ps(Options(Consistency::kAsync));
  auto w = Begin(&ps, 1);
  Ids last;
  for (uint64_t s = 0; s < 40; ++s) {
    last = RandomIds(100'000, s);
    ASSERT_TRUE(w[0].Pull(0, Keeping(last))->ok());
    ASSERT_LE(ps.stats().list_bytes, RecentLists::kMaxIds * 8);
  }
  EXPECT_GT(ps.stats().list_bytes, RecentLists::kMaxIds * 7);
  EXPECT_TRUE(w[0].Pull(0, Naming(last))->ok());
  EXPECT_EQ(CodeOf(w[0].Pull(0, Naming(RandomIds(100'000, 0)))), Code::kNotFound);
}

}  // namespace
}  // namespace tributary::ps
