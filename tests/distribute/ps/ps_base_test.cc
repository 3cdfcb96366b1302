// A log that is bounded: a server begins it anew with a copy of its part, and comes back from
// that with the same bits, whenever it died.

#include <gmock/gmock.h>

#include "core/io/fault_env.h"
#include "core/io/memory_env.h"
#include "distribute/ps/ps_server.h"
#include "distribute/ps/sharding.h"
#include "tests/distribute/ps/ps_driver.h"
#include "tests/temp_dir.h"

namespace tributary::ps {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr uint64_t kLimit = 20'000;  // some twenty pushes
constexpr uint64_t kRecord = 2000;   // more than any record of the driver's
constexpr Consistency kModes[] = {Consistency::kAsync, Consistency::kBounded, Consistency::kSync};

PsServerOptions Limited(const std::string& dir, Consistency mode, Env* env = nullptr) {
  PsServerOptions options = Options(dir, mode);
  options.log_limit = kLimit;
  options.env = env;
  return options;
}

LogPlace PlaceIn(const std::string& dir) { return {dir, 0, 1}; }

uint64_t LogBytesIn(Env* env, const std::string& dir) {
  uint64_t bytes = 0;
  for (const uint64_t segment : LogSegments(env, PlaceIn(dir))) {
    bytes += static_cast<uint64_t>(env->FileSize(LogSegmentName(PlaceIn(dir), segment)));
  }
  return bytes;
}

// Prefixes of the bases that are there, whole or not.
std::set<std::string> BasesIn(Env* env, const std::string& dir) {
  std::set<std::string> bases;
  for (const std::string& name : env->List(dir)) {
    if (name.find(".base-") != std::string::npos) {
      bases.insert(name.substr(0, name.find('.', name.find(".base-") + 1)));
    }
  }
  return bases;
}

// A server of a copy of these files as they are now, as a crash would leave them; it goes on
// with no harm to the one that they belong to.
struct Twin {
  MemoryEnv files;
  std::unique_ptr<PsServer> server;

  explicit Twin(PsServerOptions options) {
    Env* env = options.env ? options.env : PosixEnv();
    files.CreateDirs(options.dir);
    for (const std::string& name : env->List(options.dir)) {
      const std::string path = JoinPath(options.dir, name);
      files.Overwrite(path, ReadFile(env, path));
    }
    options.env = &files;
    server = std::make_unique<PsServer>(options);
    server->Recover();
  }
};

void ExpectSame(PsServer* ps, const PsServerOptions& options) {
  const Twin twin(options);
  EXPECT_TRUE(ContentsOf(&twin.server->shard()) == ContentsOf(&ps->shard()));
  EXPECT_EQ(twin.server->shard().Pending().size(), ps->shard().Pending().size());
}

// --- Bounded ----------------------------------------------------------------------------

TEST(PsBase, TheLogStaysBoundedOverThousandsOfPushes) {
  for (const Consistency mode : kModes) {
    SCOPED_TRACE(static_cast<int>(mode));
    const TempDir dir("ps_base");
    PsServer ps(Limited(dir.path(), mode));
    ps.Begin();
    Driver driver(&ps);
    for (uint64_t i = 0; i < 3000; ++i) {
      driver.Send(i);
      ps.WaitForSave();
      ASSERT_LE(LogBytesIn(PosixEnv(), dir.path()), kLimit + kRecord);
      if (i % 500 == 17) ExpectSame(&ps, Options(dir.path(), mode));
    }
    const ServerStats stats = ps.stats();
    EXPECT_GT(stats.bases, 100u);
    EXPECT_LT(stats.log_bytes, kLimit);
    EXPECT_THAT(BasesIn(PosixEnv(), dir.path()), SizeIs(1));
  }
}

TEST(PsBase, TheLimitGrowsWithTheShardUnlessItIsGiven) {
  const TempDir dir("ps_base");
  PsServer ps(Options(dir.path(), Consistency::kAsync));
  ps.Begin();
  Driver driver(&ps);
  for (uint64_t i = 0; i < 100; ++i) driver.Send(i);
  EXPECT_EQ(ps.stats().bases, 0u) << "far below 1 GiB";
  PsServerOptions none = Limited(dir.path() + "/none", Consistency::kAsync);
  none.durability = Durability::kCheckpoint;
  PsServer without(none);
  without.Begin();
  Driver other(&without);
  for (uint64_t i = 0; i < 100; ++i) other.Send(i);
  EXPECT_EQ(without.stats().bases, 0u) << "there is no log";
}

// --- The same bits ----------------------------------------------------------------------

// Bases are written while pushes go on, and begin at any of them.
TEST(PsBase, ARestartGoesOnWithTheSameBits) {
  for (const Consistency mode : kModes) {
    SCOPED_TRACE(static_cast<int>(mode));
    const TempDir dir("ps_base");
    const PsServerOptions options = Limited(dir.path(), mode);
    PsServer ps(options), oracle(Options("", mode));
    ps.Begin();
    Driver driver(&ps), straight(&oracle);
    for (uint64_t i = 0; i < 400; ++i) {
      driver.Send(i);
      straight.Send(i);
      if (i % 23 != 0) continue;
      ps.WaitForSave();
      const Twin twin(options);
      EXPECT_TRUE(ContentsOf(&twin.server->shard()) == ContentsOf(&oracle.shard())) << i;
    }
    EXPECT_GT(ps.stats().bases, 5u);
  }
}

TEST(PsBase, AStepThatIsHalfCompleteAtTheCutIsCompletedAfterTheRestart) {
  const TempDir dir("ps_base");
  int with_half_a_step = 0;
  for (uint64_t n = 20; n < 60; ++n) {
    const std::string path = fmt::format("{}/{}", dir.path(), n);
    PsServer oracle(Options("", Consistency::kSync));
    Driver straight(&oracle);
    {
      PsServer ps(Limited(path, Consistency::kSync));
      ps.Begin();
      Driver driver(&ps);
      for (uint64_t i = 0; i < n; ++i) {
        driver.Send(i);
        straight.Send(i);
      }
      ps.WaitForSave();
    }
    PsServer back(Options(path, Consistency::kSync));
    back.Recover();
    EXPECT_EQ(back.shard().Pending().size(), n % kWorkers);
    const std::vector<uint64_t> segments = LogSegments(PosixEnv(), PlaceIn(path));
    PushLogReader first(PosixEnv(), PlaceIn(path), segments[0]);
    LogRecord record;
    with_half_a_step += first.Read(&record) && (record.header.flags & kLogPending);
    Driver again(&back);
    for (uint64_t i = n; i < n + 6; ++i) {
      again.Send(i);
      straight.Send(i);
    }
    EXPECT_TRUE(ContentsOf(&back.shard()) == ContentsOf(&oracle.shard())) << n;
  }
  EXPECT_GT(with_half_a_step, 5);
}

// One of three: parts of variables, and nobody else's files.
TEST(PsBase, AShardAloneIsRestoredByItsOwnServerOnly) {
  const TempDir dir("ps_base");
  PsServerOptions options = Options(dir.path(), Consistency::kAsync, 1, 3);
  options.log_limit = 1;  // a base after every push
  PsServer ps(options);
  ps.Begin();
  Client w(&ps, 0);
  w.Join();
  VariableSpec part = DenseSpec(1, {12, 2}, "Adam");
  part.begin = 4;
  part.end = 8;
  ASSERT_TRUE(w.Control(kCreateVariable, part)->ok());
  ASSERT_TRUE(w.Control(kCreateVariable, DenseSpec(2, {}, "Adagrad"))->ok());
  ASSERT_TRUE(w.Control(kCreateTable, RowsSpec(3, 2, "Adam"))->ok());
  ASSERT_TRUE(w.Control(kCreateTable, RowsSpec(4, 2))->ok()) << "stays empty";
  std::vector<uint64_t> ids;
  for (uint64_t id = 0; ids.size() < 5; ++id) {
    if (ServerOfRow(id, 3) == 1) ids.push_back(id);
  }
  for (int step = 0; step < 3; ++step) {
    const std::vector<float> ones(10, 1.0f + step);
    ASSERT_TRUE(w.Push(step, Parts().Dense(1, std::vector<float>(8, 0.5f)).Dense(2, {2})
                                 .Rows(3, ids, ones))->ok());
    ps.WaitForSave();
    ExpectSame(&ps, options);
  }
  EXPECT_GE(ps.stats().bases, 3u);
  const auto bases = BasesIn(PosixEnv(), dir.path());
  ASSERT_THAT(bases, SizeIs(1));
  Shard other(options.consistency);
  const std::string base = JoinPath(dir.path(), *bases.begin());
  EXPECT_THROW(RestoreShard(PosixEnv(), base, 0, 3, &other), NotFoundError);
  EXPECT_THROW(RestoreShard(PosixEnv(), base, 1, 2, &other), NotFoundError);
}

// --- Crashes and full disks -------------------------------------------------------------

// Every call of the file system in turn is the last one that the process makes. What it has
// acknowledged is there, on disk too (fsync).
TEST(PsBase, ACrashBetweenAnyTwoStepsLosesNothing) {
  for (const bool power_cut : {false, true}) {
    for (const Consistency mode : kModes) {
      SCOPED_TRACE(fmt::format("{} {}", static_cast<int>(mode), power_cut));
      bool through = false;
      for (int call = 0; !through; ++call) {
        SCOPED_TRACE(call);
        ASSERT_LT(call, 1000);
        MemoryEnv memory;
        FaultEnv env(&memory);
        PsServerOptions options = Limited("/ps", mode, &env);
        options.log_limit = 6000;
        if (power_cut) options.durability = Durability::kFsync;
        PsServer oracle(Options("", mode));
        Driver straight(&oracle);
        uint64_t sent = 0, known = 0;
        {
          PsServer ps(options);
          ps.Begin();
          Driver driver(&ps);
          const auto send = [&] {
            const CallPtr push = driver.Send(sent++);
            ps.WaitForSave();
            return push->error.has_value();
          };
          while (ps.stats().bases < 2) send();  // the first one is old by now
          while (ps.stats().log_bytes < 5000) send();
          env.FailAt(call, Code::kDataLoss, true);
          const uint64_t bases = ps.stats().bases;
          while (ps.stats().bases == bases && !send()) {
          }
          through = env.calls() <= call;
          env.FailNothing();
          known = RequestsOf(&ps);
        }
        if (power_cut) memory.LoseUnsynced();
        PsServer back(options);
        back.Recover();
        ASSERT_GE(RequestsOf(&back), known) << "an acknowledged push was lost";
        ASSERT_LE(RequestsOf(&back), sent);
        for (uint64_t i = 0; i < RequestsOf(&back); ++i) straight.Send(i);
        EXPECT_TRUE(ContentsOf(&back.shard()) == ContentsOf(&oracle.shard()));
        EXPECT_LE(BasesIn(&memory, "/ps").size(), 1u) << "what was left over is removed";
      }
    }
  }
}

TEST(PsBase, AFullDiskCostsABaseAndNoPushAndIsTriedAgainLater) {
  MemoryEnv memory;
  PsServerOptions options = Limited("/ps", Consistency::kAsync, &memory);
  PsServer ps(options);
  ps.Begin();
  Driver driver(&ps);
  uint64_t i = 0;
  while (ps.stats().log_bytes < kLimit - kRecord) driver.Send(i++);
  // Room for the log and not for the base beside it.
  memory.SetCapacity(static_cast<int64_t>(LogBytesIn(&memory, "/ps") + 3 * kRecord));
  testing::internal::CaptureStderr();
  while (ps.stats().log_bytes < kLimit + kRecord) {
    ASSERT_TRUE(driver.Send(i++)->ok());
    ps.WaitForSave();
  }
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("server 0 can't write /ps/ps-00000-of-00001.base-0000000002"));
  EXPECT_THAT(log, HasSubstr("no space left"));
  EXPECT_EQ(log.find("can't write"), log.rfind("can't write")) << "tried once";
  EXPECT_EQ(ps.stats().bases, 0u);
  EXPECT_THAT(BasesIn(&memory, "/ps"), SizeIs(0)) << "nothing takes room";
  memory.SetCapacity(int64_t{1} << 40);
  while (ps.stats().log_bytes < 2 * kLimit - kRecord) driver.Send(i++);
  ps.WaitForSave();
  EXPECT_EQ(ps.stats().bases, 0u) << "the log has to grow by another limit";
  ExpectSame(&ps, options);
  for (int more = 0; more < 10; ++more) {
    driver.Send(i++);
    ps.WaitForSave();
  }
  EXPECT_EQ(ps.stats().bases, 1u);
  EXPECT_LT(ps.stats().log_bytes, kLimit);
  ExpectSame(&ps, options);
}

// --- Beside checkpoints -----------------------------------------------------------------

struct Saved {
  std::string prefix, entries;
};

Saved Save(PsServer* ps, const std::string& prefix) {
  const auto saved = Client(ps, 1000).Control(kSave, SaveControl{prefix, 0});
  ps->WaitForSave();
  EXPECT_TRUE(saved->ok()) << (saved->error ? saved->error->what() : "waits");
  return {prefix, Unpack<SaveReply>(AsBytes(saved->reply_control), "reply").entries};
}

void Commit(PsServer* ps, const Saved& saved) {
  CommitBundleShards(PosixEnv(), saved.prefix, {saved.entries});
  EXPECT_TRUE(Client(ps, 1000).Control(kCommit, CommitControl{saved.prefix})->ok());
}

TEST(PsBase, ALateCommitDoesNotBringAnOlderStartBack) {
  for (const bool another_life : {false, true}) {
    const TempDir dir("ps_base");
    const PsServerOptions options = Limited(dir.path(), Consistency::kAsync);
    auto ps = std::make_unique<PsServer>(options);
    ps->Begin();
    Driver first(ps.get());
    uint64_t i = 0;
    for (; i < 10; ++i) first.Send(i);
    const Saved saved = Save(ps.get(), dir.path() + "/ckpt-1");
    while (ps->stats().bases < 1) {
      first.Send(i++);
      ps->WaitForSave();
    }
    const auto bases = BasesIn(PosixEnv(), dir.path());
    if (another_life) {
      ps.reset();
      ps = std::make_unique<PsServer>(options);
      ps->Recover();
    }
    Commit(ps.get(), saved);
    EXPECT_EQ(BasesIn(PosixEnv(), dir.path()), bases);
    ExpectSame(ps.get(), options);
    PsServer older(options);
    EXPECT_THROW(older.Recover(saved.prefix), DataLossError);
    // The next one is later than the base, which goes.
    Driver driver(ps.get());
    driver.Send(i++);
    Commit(ps.get(), Save(ps.get(), dir.path() + "/ckpt-2"));
    driver.Send(i++);
    EXPECT_THAT(BasesIn(PosixEnv(), dir.path()), SizeIs(0));
    ExpectSame(ps.get(), options);
    EXPECT_LT(ps->stats().log_bytes, 2 * kRecord);
  }
}

// A crash at any point of a restore leaves what was before or what it brought.
TEST(PsBase, ARestoreEndsBases) {
  bool through = false;
  int before = 0, after = 0;
  for (int call = 0; !through; ++call) {
    SCOPED_TRACE(call);
    ASSERT_LT(call, 1000);
    MemoryEnv memory;
    FaultEnv env(&memory);
    memory.CreateDirs("/c");
    const PsServerOptions options = Limited("/ps", Consistency::kAsync, &env);
    std::map<std::string, std::string> old, restored;
    {
      PsServer ps(options);
      ps.Begin();
      Driver driver(&ps);
      uint64_t i = 0;
      for (; i < 10; ++i) driver.Send(i);
      const Saved saved = Save(&ps, "/c/ckpt-1");
      CommitBundleShards(&memory, saved.prefix, {saved.entries});
      while (ps.stats().bases < 2 || ps.stats().log_bytes < 3 * kRecord) {
        driver.Send(i++);
        ps.WaitForSave();
      }
      old = ContentsOf(&ps.shard());
      env.FailAt(call, Code::kDataLoss, true);
      const auto done = Client(&ps, 1000).Control(kRestore, RestoreControl{saved.prefix});
      through = env.calls() <= call;
      EXPECT_TRUE(!through || done->ok());
      env.FailNothing();
      restored = ContentsOf(&ps.shard());
      ASSERT_FALSE(old == restored);
    }
    PsServer server(options);
    server.Recover();
    const auto back = ContentsOf(&server.shard());
    before += back == old;
    after += back == restored;
    EXPECT_TRUE(back == old || back == restored);
    if (through) EXPECT_THAT(BasesIn(&memory, "/ps"), SizeIs(0));
  }
  EXPECT_GT(before, 5);
  EXPECT_GT(after, 1);
}

TEST(PsBase, ANewJobBeginsWithoutThem) {
  const TempDir dir("ps_base");
  const PsServerOptions options = Limited(dir.path(), Consistency::kAsync);
  {
    PsServer ps(options);
    ps.Begin();
    Driver driver(&ps);
    for (uint64_t i = 0; ps.stats().bases < 1; ++i) {
      driver.Send(i);
      ps.WaitForSave();
    }
  }
  {
    PsServer ps(options);
    ps.Begin();
  }
  EXPECT_THAT(BasesIn(PosixEnv(), dir.path()), SizeIs(0));
  PsServer back(options);
  EXPECT_EQ(back.Recover(), 0u);
  EXPECT_TRUE(back.shard().tables().empty());
}

}  // namespace
}  // namespace tributary::ps
