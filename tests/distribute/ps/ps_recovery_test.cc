// What comes back: after a kill -9 of a real process, from checkpoints, into any number
// of servers.

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "core/io/bundle_reader.h"
#include "core/io/fault_env.h"
#include "core/io/memory_env.h"
#include "distribute/ps/ps_server.h"
#include "distribute/ps/sharding.h"
#include "tests/distribute/ps/ps_driver.h"
#include "tests/temp_dir.h"

namespace tributary::ps {
namespace {

// Not a test by itself: the process that is killed. Trains from where its files say, and
// writes the number of each acknowledged request to descriptor 3.
TEST(PsCrash, Child) {
  const char* dir = std::getenv("TRIBUTARY_PS_CRASH_DIR");
  if (!dir) GTEST_SKIP() << "only as a child of PsCrash";
  const auto mode = static_cast<Consistency>(std::atoi(std::getenv("TRIBUTARY_PS_CRASH_MODE")));
  PsServerOptions options = Options(dir, mode);
  options.log_limit = std::stoull(std::getenv("TRIBUTARY_PS_CRASH_LIMIT"));
  PsServer ps(options);
  ps.Recover();
  Driver driver(&ps);
  // From the first request that may have got lost; what it had got is dropped as known.
  const uint64_t known = RequestsOf(&ps);
  uint64_t i = known < 4 ? 0 : known - 4;
  i -= i % kWorkers;
  int number = 0;
  for (const std::string last = LastCommit(dir); !last.empty();) {
    number = std::stoi(last.substr(last.rfind('-') + 1));
    break;
  }
  size_t acknowledged = 0;
  for (;; ++i) {
    driver.Send(i);
    for (; acknowledged < driver.calls.size() && driver.calls[acknowledged]->answered;
         ++acknowledged) {
      ASSERT_TRUE(driver.calls[acknowledged]->ok());
    }
    const uint64_t done = i + 1 - (driver.calls.size() - acknowledged);
    if (::write(3, &done, sizeof(done)) != sizeof(done)) return;
    if (i % 90 == 60) SaveAll({&ps}, dir, ++number);
  }
}

// Starts the child, kills it after some requests; the last one that it acknowledged.
uint64_t RunAndKill(const std::string& dir, Consistency mode, uint64_t log_limit, int reports) {
  int fds[2];
  EXPECT_EQ(::pipe(fds), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setenv("TRIBUTARY_PS_CRASH_DIR", dir.c_str(), 1);
    ::setenv("TRIBUTARY_PS_CRASH_MODE", std::to_string(static_cast<int>(mode)).c_str(), 1);
    ::setenv("TRIBUTARY_PS_CRASH_LIMIT", std::to_string(log_limit).c_str(), 1);
    ::dup2(fds[1], 3);
    ::execl("/proc/self/exe", "distribute_tests", "--gtest_filter=PsCrash.Child",
            "--gtest_brief=1", nullptr);
    ::_exit(127);
  }
  ::close(fds[1]);
  uint64_t done = 0, last = 0;
  int n = 0;
  while (::read(fds[0], &done, sizeof(done)) == sizeof(done)) {
    last = done;
    if (++n == reports) ::kill(pid, SIGKILL);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself, status " << status;
  ::close(fds[0]);
  return last;
}

void KillAgainAndAgain(Consistency mode, uint64_t log_limit) {
  std::mt19937 random(77);
  const TempDir dir("ps_recovery");
  PsServer oracle(Options("", mode));
  Driver driver(&oracle);
  uint64_t sent = 0;
  for (int round = 0; round < 12; ++round) {
    const uint64_t acknowledged = RunAndKill(dir.path(), mode, log_limit, 1 + random() % 120);
    PsServer back(Options(dir.path(), mode));
    back.Recover();
    const uint64_t known = RequestsOf(&back);
    ASSERT_GE(known, acknowledged) << "an acknowledged push was lost";
    for (; sent < known; ++sent) driver.Send(sent);
    ASSERT_EQ(sent, known);
    EXPECT_TRUE(ContentsOf(&back.shard()) == ContentsOf(&oracle.shard()))
        << "round " << round << " mode " << static_cast<int>(mode) << " requests " << known;
  }
  EXPECT_GT(sent, 300u);
  EXPECT_FALSE(LastCommit(dir.path()).empty());
}

TEST(PsCrash, AKilledServerComesBackWithTheSameBits) {
  for (const Consistency mode : {Consistency::kAsync, Consistency::kSync}) {
    KillAgainAndAgain(mode, 0);
  }
}

// Killed while it writes bases, too: there is always one under way or just written.
TEST(PsCrash, AKilledServerThatMakesBasesComesBackWithTheSameBits) {
  for (const Consistency mode : {Consistency::kAsync, Consistency::kBounded, Consistency::kSync}) {
    KillAgainAndAgain(mode, 5000);
  }
}

TEST(PsRecovery, WithoutALogTheLastCheckpointComesBack) {
  const TempDir dir("ps_recovery");
  auto options = Options(dir.path(), Consistency::kAsync);
  options.durability = Durability::kCheckpoint;
  std::map<std::string, std::string> at_save;
  std::string prefix;
  {
    PsServer ps(options);
    ps.Recover("");
    Driver driver(&ps);
    for (uint64_t i = 0; i < 50; ++i) driver.Send(i);
    prefix = SaveAll({&ps}, dir.path(), 1);
    at_save = ContentsOf(&ps.shard());
    for (uint64_t i = 50; i < 70; ++i) driver.Send(i);
  }
  EXPECT_TRUE(LogSegments(PosixEnv(), {dir.path(), 0, 1}).empty());
  PsServer back(options);
  EXPECT_EQ(back.Recover(prefix), 0u);
  EXPECT_TRUE(ContentsOf(&back.shard()) == at_save);
}

TEST(PsRecovery, SegmentsThatNoCheckpointNeedsGo) {
  const TempDir dir("ps_recovery");
  PsServer ps(Options(dir.path(), Consistency::kAsync));
  ps.Recover("");
  Driver driver(&ps);
  for (int save = 1; save <= 5; ++save) {
    for (int i = 0; i < 10; ++i) driver.Send(save * 10 + i);
    SaveAll({&ps}, dir.path(), save);
  }
  EXPECT_EQ(LogSegments(PosixEnv(), {dir.path(), 0, 1}), (std::vector<uint64_t>{5, 6}));
}

// It died between its part of a save and the commit; what was saved before may go then.
TEST(PsRecovery, ACommitOfWhatAnEarlierLifeSavedIsNoted) {
  const TempDir dir("ps_recovery");
  PsServer oracle(Options("", Consistency::kAsync));
  Driver same(&oracle);
  std::string entries;
  const std::string second = dir.path() + "/ckpt-2";
  {
    PsServer ps(Options(dir.path(), Consistency::kAsync));
    ps.Begin();
    Driver driver(&ps);
    for (uint64_t i = 0; i < 60; ++i) {
      if (i == 20) SaveAll({&ps}, dir.path(), 1);
      if (i == 40) {
        const auto saved = Client(&ps, 1000).Control(kSave, SaveControl{second, 0});
        ps.WaitForSave();
        entries = Unpack<SaveReply>(AsBytes(saved->reply_control), "reply").entries;
      }
      driver.Send(i);
      same.Send(i);
    }
  }
  {
    PsServer ps(Options(dir.path(), Consistency::kAsync));
    ps.Recover();
    CommitBundleShards(PosixEnv(), second, {entries});
    EXPECT_TRUE(Client(&ps, 1000).Control(kCommit, CommitControl{second})->ok());
  }
  for (const std::string& name : PosixEnv()->List(dir.path())) {
    if (name.starts_with("ckpt-1.")) PosixEnv()->Remove(JoinPath(dir.path(), name));
  }
  PsServer back(Options(dir.path(), Consistency::kAsync));
  EXPECT_GT(back.Recover(), 0u);
  EXPECT_TRUE(ContentsOf(&back.shard()) == ContentsOf(&oracle.shard()));
}

TEST(PsRecovery, AFullDiskRefusesPushesAndLosesNone) {
  for (int call = 0; call < 8; ++call) {
    SCOPED_TRACE(call);
    MemoryEnv memory;
    FaultEnv env(&memory);
    auto options = Options("/log", Consistency::kAsync);
    options.env = &env;
    PsServer ps(options);
    ps.Recover("");
    Driver driver(&ps);
    driver.Send(0);
    const auto before = ContentsOf(&ps.shard());
    env.FailAt(call, Code::kResourceExhausted, true);
    const auto refused = driver.Send(1);
    env.FailNothing();
    if (refused->ok()) {
      EXPECT_GE(call, 4) << "a record is header, control, payload and a flush";
    } else {
      EXPECT_EQ(refused->error->code(), Code::kResourceExhausted);
      EXPECT_TRUE(ContentsOf(&ps.shard()) == before);
      refused->error.reset();
      driver.clients[1].Resend(refused);
      ASSERT_TRUE(refused->ok()) << refused->error->what();
    }
    driver.Send(2);
    PsServer back(options);
    back.Recover("");
    EXPECT_TRUE(ContentsOf(&back.shard()) == ContentsOf(&ps.shard()));
  }
}

// --- N to M -----------------------------------------------------------------------------

struct Fleet {
  std::vector<std::unique_ptr<PsServer>> servers;
  Fleet(int n, const std::string& dir, const std::string& optimizer) {
    for (int s = 0; s < n; ++s) {
      auto o = Options("", Consistency::kAsync, s, n);
      servers.push_back(std::make_unique<PsServer>(o));
      Client chief(servers[s].get(), 0);
      chief.Join();
      VariableSpec dense = DenseSpec(1, {11, 2}, optimizer);
      dense.begin = 11 * s / n;
      dense.end = 11 * (s + 1) / n;
      if (optimizer == "Lamb") dense.begin = 0, dense.end = s == n - 1 ? 11 : 0;
      if (dense.end > dense.begin) {
        EXPECT_TRUE(chief.Control(kCreateVariable, dense)->ok());
      }
      TableSpec rows = RowsSpec(2, 3, optimizer);
      rows.policy.evict_after = 1000;
      EXPECT_TRUE(chief.Control(kCreateTable, rows)->ok());
    }
  }
  std::vector<PsServer*> all() {
    std::vector<PsServer*> list;
    for (auto& s : servers) list.push_back(s.get());
    return list;
  }
  // Everything, whichever server has it.
  std::map<std::string, std::string> Gathered() {
    std::map<std::string, std::string> all;
    for (auto& server : servers) {
      for (const auto& [name, bytes] : ContentsOf(&server->shard())) {
        if (name.starts_with("table2/0") || name == "table2/updates") all[name] = bytes;
      }
      for (const auto& [id, v] : server->shard().variables()) {
        all["weights"].append(reinterpret_cast<const char*>(v->weights().data()),
                              v->weights().size_bytes());
        for (size_t k = 0; k < v->rule().slots.size(); ++k) {
          std::string& slot = all["slot" + std::to_string(k)];
          if (v->slot(k).size() == 1) slot.clear();
          slot.append(reinterpret_cast<const char*>(v->slot(k).data()), v->slot(k).size_bytes());
        }
        all["updates"] = std::to_string(v->updates());
      }
    }
    return all;
  }
};

TEST(PsRecovery, AnyNumberOfServersRestoresWhatAnyNumberSaved) {
  for (const std::string optimizer : {"SGD", "Adam", "Adagrad", "Ftrl"}) {
    const TempDir dir("ps_recovery");
    Fleet first(1, dir.path(), optimizer);
    Client w(first.servers[0].get(), 0);
    std::mt19937_64 r(1);
    for (int step = 0; step < 30; ++step) {
      std::vector<float> dense(22), rows(60);
      for (float& g : dense) g = static_cast<float>(r() % 100) / 99.0f - 0.5f;
      for (float& g : rows) g = static_cast<float>(r() % 100) / 99.0f - 0.5f;
      std::vector<uint64_t> ids(20);
      for (uint64_t& id : ids) id = r() % 400 << (r() % 40);
      ASSERT_TRUE(w.Push(step, Parts().Dense(1, dense).Rows(2, ids, rows))->ok());
    }
    const auto original = first.Gathered();
    std::string prefix = SaveAll(first.all(), dir.path(), 1);
    int number = 1;
    for (const int servers : {2, 3, 5, 5, 1}) {
      Fleet fleet(servers, dir.path(), optimizer);
      for (auto& server : fleet.servers) {
        const auto restored = Client(server.get(), 0).Control(kRestore, RestoreControl{prefix});
        ASSERT_TRUE(restored->ok()) << restored->error->what();
      }
      EXPECT_TRUE(fleet.Gathered() == original) << optimizer << " on " << servers;
      prefix = SaveAll(fleet.all(), dir.path(), ++number);
      const BundleReader reader(PosixEnv(), prefix);
      reader.VerifyAll();
      EXPECT_EQ(reader.num_shards(), servers);
      EXPECT_EQ(reader.Read("dense1").shape(), Shape({11, 2}));
    }
  }
}

TEST(PsRecovery, TensorFlowReadsThePartitionedVariables) {
  const char* python = std::getenv("TRIBUTARY_TF_PYTHON");
  if (!python) GTEST_SKIP() << "TRIBUTARY_TF_PYTHON is not set";
  const TempDir dir("ps_recovery");
  Fleet fleet(3, dir.path(), "Adagrad");
  for (int s = 0; s < 3; ++s) {
    Client w(fleet.servers[s].get(), 0);
    std::vector<uint64_t> ids;
    for (uint64_t id = 0; id < 40; ++id) {
      if (ServerOfRow(id, 3) == s) ids.push_back(id);
    }
    const size_t rows = fleet.servers[s]->shard().variable(1).weights().size();
    ASSERT_TRUE(w.Push(0, Parts().Dense(1, std::vector<float>(rows, static_cast<float>(s)))
                              .Rows(2, ids, std::vector<float>(ids.size() * 3, 1.0f)))->ok());
  }
  const std::string prefix = SaveAll(fleet.all(), dir.path(), 1);
  const std::string script = fmt::format(R"(
import tensorflow as tf, numpy as np
r = tf.train.load_checkpoint('{}')
shapes = r.get_variable_to_shape_map()
assert shapes['dense1'] == [11, 2], shapes
assert shapes['table2/values'] == [40, 3], shapes
d = r.get_tensor('dense1')
assert d[0, 0] == 0 and d[10, 1] < 0 and d[4, 0] < 0, d
a = r.get_tensor('dense1/accumulator')
assert np.allclose(a[10], 4.1), a
ids = r.get_tensor('table2/ids')
assert sorted(ids) == list(range(40)), ids
assert np.allclose(r.get_tensor('table2/accumulator'), 1.1)
print('read', len(shapes))
)", prefix);
  WriteFileAtomically(PosixEnv(), dir.path() + "/read.py", script);
  const std::string command = fmt::format("{} {}/read.py > {}/out 2>&1", python, dir.path(), dir.path());
  EXPECT_EQ(std::system(command.c_str()), 0) << ReadFile(PosixEnv(), dir.path() + "/out");
}

TEST(PsRecovery, ShardsThatDoNotFitTogetherAreNotCommitted) {
  const TempDir dir("ps_recovery");
  Fleet two(2, dir.path(), "SGD");
  const std::string prefix = JoinPath(dir.path(), "ckpt-9");
  std::vector<std::string> entries;
  for (PsServer* ps : two.all()) {
    const auto saved = Client(ps, 9).Control(kSave, SaveControl{prefix, 0});
    ps->WaitForSave();
    entries.push_back(Unpack<SaveReply>(AsBytes(saved->reply_control), "reply").entries);
  }
  EXPECT_THROW(CommitBundleShards(PosixEnv(), prefix, {entries[0]}), InvalidArgumentError);
  EXPECT_THROW(CommitBundleShards(PosixEnv(), prefix, {entries[1], entries[0]}),
               InvalidArgumentError);
  for (size_t cut = 0; cut < entries[1].size(); cut += 7) {
    EXPECT_THROW(CommitBundleShards(PosixEnv(), prefix, {entries[0], entries[1].substr(0, cut)}),
                 InvalidArgumentError) << cut;
  }
  EXPECT_FALSE(PosixEnv()->Exists(prefix + ".index"));
  CommitBundleShards(PosixEnv(), prefix, entries);
  EXPECT_THROW(CommitBundleShards(PosixEnv(), prefix, entries), AlreadyExistsError);
  BundleReader(PosixEnv(), prefix).VerifyAll();
}

TEST(PsRecovery, ASaveInSyncModeWaitsForItsStepAndCarriesTheUnfinishedOne) {
  const TempDir dir("ps_recovery");
  std::map<std::string, std::string> live;
  std::string prefix = JoinPath(dir.path(), "ckpt-1");
  {
    PsServer ps(Options(dir.path(), Consistency::kSync));
    ps.Recover("");
    Driver driver(&ps);
    driver.Send(0);
    Client chief(&ps, 1000);
    const auto save = chief.Control(kSave, SaveControl{prefix, 2});
    for (uint64_t i = 1; i < 3; ++i) driver.Send(i);
    EXPECT_FALSE(save->answered);
    driver.Send(3);  // completes step 1, the second
    ps.WaitForSave();
    ASSERT_TRUE(save->ok());
    CommitBundleShards(PosixEnv(), prefix,
                       {Unpack<SaveReply>(AsBytes(save->reply_control), "reply").entries});
    driver.Send(4);  // half of step 2
    SaveAll({&ps}, dir.path(), 2);
    driver.Send(6);  // and of step 3
  }
  PsServer back(Options(dir.path(), Consistency::kSync));
  back.Recover(LastCommit(dir.path()));
  EXPECT_EQ(back.shard().applied_steps(), 2);
  EXPECT_EQ(back.shard().Pending().size(), 2u);
  Driver again(&back);
  for (uint64_t i = 4; i < 8; ++i) again.Send(i);
  EXPECT_EQ(back.shard().applied_steps(), 4);
  PsServer oracle(Options("", Consistency::kSync));
  Driver straight(&oracle);
  for (uint64_t i = 0; i < 8; ++i) straight.Send(i);
  EXPECT_TRUE(ContentsOf(&back.shard()) == ContentsOf(&oracle.shard()));
}

}  // namespace
}  // namespace tributary::ps
