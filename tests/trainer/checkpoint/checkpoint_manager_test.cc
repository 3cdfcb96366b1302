#include "trainer/checkpoint/checkpoint_manager.h"

#include "core/base/errors.h"
#include "core/io/fault_env.h"
#include "core/io/memory_env.h"

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

// A model of one variable whose value is the step at which it was saved.
class Managed : public testing::Test {
 protected:
  CheckpointContent Content() const {
    CheckpointContent content{Trackable::Container(), {}};
    content.root->Add("model/w", Trackable::Variable("w", weight_));
    content.extras["step"] = Tensor(static_cast<int64_t>(*weight_.data<float>()));
    return content;
  }
  void SetStep(int64_t step) { *weight_.mutable_data<float>() = static_cast<float>(step); }
  int64_t Step() const { return static_cast<int64_t>(*weight_.data<float>()); }
  CheckpointManagerOptions Options() {
    CheckpointManagerOptions options;
    options.directory = "run/checkpoints";
    options.asynchronous = false;
    options.env = &env_;
    options.clock = [this] { return now_ += 1; };
    return options;
  }
  std::string SaveStep(CheckpointManager* manager, int64_t step) {
    SetStep(step);
    return manager->Save(Content(), step);
  }
  // Restores with a fresh manager; the step found, or -1.
  int64_t RestoredStep() {
    SetStep(-1);
    CheckpointManager manager(Options());
    manager.RestoreOrInitialize(Content().root);
    return Step();
  }
  std::vector<std::string> Files() { return env_.List("run/checkpoints"); }

  MemoryEnv env_;
  double now_ = 1.7e9;
  Tensor weight_ = Tensor::FromVector<float>({0});
};

TEST_F(Managed, KeepsTheNewestAndListsThem) {
  CheckpointManagerOptions options = Options();
  options.max_to_keep = 2;
  CheckpointManager manager(options);
  for (const int64_t step : {10, 20, 30}) SaveStep(&manager, step);
  EXPECT_THAT(manager.checkpoints(),
              ElementsAre("run/checkpoints/ckpt-20", "run/checkpoints/ckpt-30"));
  EXPECT_THAT(Files(), ElementsAre("checkpoint", "ckpt-20.data-00000-of-00001", "ckpt-20.index",
                                   "ckpt-30.data-00000-of-00001", "ckpt-30.index"));
  EXPECT_EQ(manager.latest_checkpoint(), "run/checkpoints/ckpt-30");
  EXPECT_EQ(LatestCheckpoint(&env_, "run/checkpoints"), "run/checkpoints/ckpt-30");
  const auto state = ReadCheckpointState(&env_, "run/checkpoints");
  ASSERT_TRUE(state.has_value());
  ASSERT_EQ(state->all.size(), 2u);
  EXPECT_EQ(state->all[1].path, "ckpt-30");
  EXPECT_GT(state->all[0].timestamp, state->last_preserved);
}

TEST_F(Managed, WithoutANumberTheSaveCounterNames) {
  std::string path;
  {
    CheckpointManager manager(Options());
    EXPECT_EQ(manager.Save(Content()), "run/checkpoints/ckpt-1");
    EXPECT_EQ(manager.Save(Content()), "run/checkpoints/ckpt-2");
  }
  CheckpointManager manager(Options());
  manager.RestoreOrInitialize(Content().root);
  EXPECT_EQ(manager.save_counter(), 2);
  EXPECT_EQ(manager.Save(Content()), "run/checkpoints/ckpt-3");
}

TEST_F(Managed, OneInSoManyHoursIsKeptForEver) {
  CheckpointManagerOptions options = Options();
  options.max_to_keep = 1;
  options.keep_every_n_hours = 1;
  options.clock = [this] { return now_ += 600; };
  CheckpointManager manager(options);
  for (int64_t step = 1; step <= 20; ++step) SaveStep(&manager, step);
  const std::vector<int64_t> kept = CheckpointNumbers(&env_, "run/checkpoints", "ckpt");
  EXPECT_GE(kept.size(), 3u);
  EXPECT_LE(kept.size(), 5u);
  EXPECT_EQ(kept.back(), 20);
  EXPECT_EQ(manager.checkpoints().size(), 1u);
}

TEST_F(Managed, RestoresTheNewestOrInitializes) {
  bool initialized = false;
  {
    CheckpointManager manager(Options());
    EXPECT_FALSE(manager.RestoreOrInitialize(Content().root, [&] { initialized = true; }));
    EXPECT_TRUE(initialized);
    SaveStep(&manager, 7);
    SaveStep(&manager, 8);
    SetStep(0);
  }
  CheckpointManager manager(Options());
  const auto restored = manager.RestoreOrInitialize(Content().root);
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ(restored->path, "run/checkpoints/ckpt-8");
  EXPECT_EQ(restored->extras.at("step").item<int64_t>(), 8);
  EXPECT_EQ(Step(), 8);
}

TEST_F(Managed, CheckpointsAreNotOverwritten) {
  CheckpointManager manager(Options());
  SaveStep(&manager, 5);
  EXPECT_THROW(SaveStep(&manager, 5), AlreadyExistsError);
}

TEST_F(Managed, ACorruptCheckpointIsSetAsideAndThePreviousOneUsed) {
  for (const std::string file : {"ckpt-20.index", "ckpt-20.data-00000-of-00001"}) {
    env_.LoseUnsynced();
    for (const std::string& name : Files()) env_.Remove("run/checkpoints/" + name);
    {
      CheckpointManager manager(Options());
      SaveStep(&manager, 10);
      SaveStep(&manager, 20);
    }
    const std::string path = "run/checkpoints/" + file;
    std::string bytes = ReadFile(&env_, path);
    bytes[3] ^= 4;
    env_.Overwrite(path, bytes);
    testing::internal::CaptureStderr();
    EXPECT_EQ(RestoredStep(), 10);
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_THAT(log, HasSubstr(path));
    EXPECT_THAT(log, HasSubstr("10 steps are lost"));
    EXPECT_TRUE(env_.Exists("run/checkpoints/corrupt-ckpt-20.index"));
    EXPECT_FALSE(env_.Exists("run/checkpoints/ckpt-20.index"));
    // The number is free again.
    CheckpointManager manager(Options());
    EXPECT_NO_THROW(SaveStep(&manager, 20));
  }
}

TEST_F(Managed, WithNothingWholeItStartsAnewUnlessResumingIsRequired) {
  for (const bool required : {false, true}) {
    CheckpointManagerOptions options = Options();
    options.directory = required ? "a" : "b";
    options.resume_required = required;
    CheckpointManager manager(options);
    SaveStep(&manager, 10);
    env_.Overwrite(options.directory + "/ckpt-10.index", "garbage");
    if (required) {
      EXPECT_THROW(manager.RestoreOrInitialize(Content().root), DataLossError);
    } else {
      EXPECT_FALSE(manager.RestoreOrInitialize(Content().root).has_value());
    }
  }
}

TEST_F(Managed, ResumingThatIsRequiredNeedsACheckpoint) {
  CheckpointManagerOptions options = Options();
  options.resume_required = true;
  CheckpointManager manager(options);
  EXPECT_THROW(manager.RestoreOrInitialize(Content().root), NotFoundError);
}

TEST_F(Managed, AnotherModelsCheckpointIsNoCorruption) {
  {
    CheckpointManager manager(Options());
    SaveStep(&manager, 10);
  }
  weight_ = Tensor::FromVector<float>({0, 0});
  CheckpointManager manager(Options());
  EXPECT_THROW(manager.RestoreOrInitialize(Content().root), InvalidArgumentError);
  EXPECT_TRUE(env_.Exists("run/checkpoints/ckpt-10.index"));
}

TEST_F(Managed, TwoProcessesMayNotWriteOneDirectory) {
  const CheckpointManager manager(Options());
  EXPECT_THAT([&] { CheckpointManager second(Options()); },
              ThrowsMessage<FailedPreconditionError>(
                  testing::AllOf(HasSubstr("process "), HasSubstr("on host "))));
}

TEST_F(Managed, LeftoversOfACrashAreRemoved) {
  env_.CreateDirs("run/checkpoints");
  env_.Overwrite("run/checkpoints/ckpt-3.index.tempstate99-0", "x");
  env_.Overwrite("run/checkpoints/ckpt-3.data-00000-of-00001", "x");  // no index
  env_.Overwrite("run/checkpoints/checkpoint.tmp-99", "x");
  env_.Overwrite("run/checkpoints/notes.txt", "x");
  const CheckpointManager manager(Options());
  EXPECT_THAT(Files(), ElementsAre("notes.txt"));
}

TEST_F(Managed, ABrokenStateFileIsOnlyAHint) {
  {
    CheckpointManager manager(Options());
    SaveStep(&manager, 10);
  }
  for (const std::string text : {"", "model_checkpoint_path: \"ckpt-9", "}{", "\xff\xfe"}) {
    env_.Overwrite("run/checkpoints/checkpoint", text);
    EXPECT_EQ(RestoredStep(), 10);
    EXPECT_EQ(LatestCheckpoint(&env_, "run/checkpoints"), "run/checkpoints/ckpt-10");
  }
}

TEST_F(Managed, WhatWasPreservedIsNotPrunedByALaterProcess) {
  CheckpointManagerOptions options = Options();
  options.max_to_keep = 1;
  options.keep_every_n_hours = 1;
  options.clock = [this] { return now_ += 4000; };
  {
    CheckpointManager manager(options);
    for (const int64_t step : {1, 2, 3}) SaveStep(&manager, step);
  }
  const std::vector<int64_t> before = CheckpointNumbers(&env_, "run/checkpoints", "ckpt");
  ASSERT_GE(before.size(), 2u);
  {
    CheckpointManager manager(options);
    EXPECT_EQ(manager.checkpoints().size(), 1u);
    for (const int64_t step : {4, 5}) SaveStep(&manager, step);
  }
  const std::vector<int64_t> after = CheckpointNumbers(&env_, "run/checkpoints", "ckpt");
  EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end() - 1));
}

TEST_F(Managed, ACommitThatTheStateFileMissedIsFound) {
  std::string state;
  {
    CheckpointManager manager(Options());
    SaveStep(&manager, 10);
    state = ReadFile(&env_, "run/checkpoints/checkpoint");
    SaveStep(&manager, 20);
  }
  env_.Overwrite("run/checkpoints/checkpoint", state);
  EXPECT_EQ(LatestCheckpoint(&env_, "run/checkpoints"), "run/checkpoints/ckpt-20");
  {
    CheckpointManager manager(Options());
    EXPECT_EQ(manager.latest_checkpoint(), "run/checkpoints/ckpt-20");
  }
  EXPECT_EQ(RestoredStep(), 20);
}

TEST_F(Managed, AFullDiskIsSurvivedAndTheNextSaveSucceeds) {
  CheckpointManager manager(Options());
  SaveStep(&manager, 10);
  env_.SetCapacity(3000);
  EXPECT_NO_THROW(SaveStep(&manager, 20));
  EXPECT_EQ(manager.failures(), 1);
  EXPECT_THROW(manager.Wait(), ResourceExhaustedError);
  EXPECT_EQ(manager.latest_checkpoint(), "run/checkpoints/ckpt-10");
  env_.SetCapacity(1 << 30);
  SaveStep(&manager, 30);
  EXPECT_NO_THROW(manager.Wait());
  EXPECT_EQ(manager.latest_checkpoint(), "run/checkpoints/ckpt-30");
}

// For every file operation of a save, and for a full disk, an I/O error and a
// crash at it: what is then restored is the old checkpoint or the new one, the
// new one if it was acknowledged, and nothing temporary stays.
TEST_F(Managed, EveryFailurePointLeavesTheOldOrTheNew) {
  FaultEnv faults(&env_);
  const auto clear = [&] {
    for (const std::string& name : Files()) env_.Remove("run/checkpoints/" + name);
    env_.SyncDir("run/checkpoints");
  };
  const auto save_twice = [&](int fail_at, Code code, bool crash) {
    CheckpointManagerOptions options = Options();
    options.env = &faults;
    faults.FailNothing();
    CheckpointManager manager(options);
    SaveStep(&manager, 10);
    faults.FailAt(fail_at, code, crash);
    bool acknowledged = false;
    try {
      SaveStep(&manager, 20);
      acknowledged = manager.failures() == 0;
    } catch (const Error&) {
    }
    return acknowledged;
  };
  env_.CreateDirs("run/checkpoints");
  save_twice(-1, Code::kOk, false);
  const int calls = faults.calls();
  ASSERT_GT(calls, 15);
  for (const Code code : {Code::kResourceExhausted, Code::kDataLoss, Code::kUnavailable}) {
    const bool crash = code == Code::kUnavailable;
    for (int i = 0; i <= calls; ++i) {
      clear();
      const bool acknowledged = save_twice(i, code, crash);
      if (crash) env_.LoseUnsynced();
      for (const std::string& name : Files()) {
        if (!crash) EXPECT_THAT(name, testing::Not(HasSubstr("temp"))) << i;
      }
      const int64_t step = RestoredStep();
      EXPECT_TRUE(step == 20 || (step == 10 && !acknowledged)) << i << " restored " << step;
      // Training on works: the state is not stuck.
      CheckpointManager manager(Options());
      manager.RestoreOrInitialize(Content().root);
      EXPECT_NO_THROW(SaveStep(&manager, 30)) << i;
      EXPECT_EQ(manager.failures(), 0);
    }
  }
}

// Killed at any file operation of a save that retires another: a later process retires
// what the first had no time for.
TEST_F(Managed, NoKillLeavesMoreThanAreKept) {
  FaultEnv faults(&env_);
  CheckpointManagerOptions options = Options();
  options.env = &faults;
  options.max_to_keep = 2;
  int64_t step = 0;
  int calls = 0;
  for (int kill_at = -1; kill_at <= calls; ++kill_at) {
    faults.FailNothing();
    {
      CheckpointManager manager(options);
      manager.RestoreOrInitialize(Content().root);
      SaveStep(&manager, step += 10);
      SaveStep(&manager, step += 10);
      faults.FailAt(kill_at, Code::kUnavailable, /*crash=*/true);
      try {
        SaveStep(&manager, step += 10);
      } catch (const Error&) {
      }
      if (kill_at < 0) calls = faults.calls();
    }
    env_.LoseUnsynced();
    CheckpointManager manager(Options());
    const size_t found = CheckpointNumbers(&env_, "run/checkpoints", "ckpt").size();
    EXPECT_EQ(manager.checkpoints().size(), found) << "killed at " << kill_at;
    EXPECT_LE(found, 3u) << "killed at " << kill_at;
  }
  ASSERT_GT(calls, 15);
  faults.FailNothing();
  CheckpointManager manager(options);
  SaveStep(&manager, step += 10);
  EXPECT_EQ(CheckpointNumbers(&env_, "run/checkpoints", "ckpt").size(), 2u);
}

TEST_F(Managed, ADiskThatStaysFullIsNotToldAtEverySave) {
  CheckpointManager manager(Options());
  env_.SetCapacity(3000);
  testing::internal::CaptureStderr();
  for (int64_t step = 1; step <= 25; ++step) SaveStep(&manager, step);
  std::string log = testing::internal::GetCapturedStderr();
  const auto count = [&](const std::string& text) {
    int found = 0;
    for (size_t at = 0; (at = log.find(text, at)) != std::string::npos; ++at) ++found;
    return found;
  };
  EXPECT_EQ(count("was not saved"), 3) << log;
  EXPECT_EQ(count("ckpt-1 was not saved"), 1) << log;
  EXPECT_EQ(count("(21 saves in a row have failed so)"), 1) << log;
  testing::internal::CaptureStderr();
  now_ += 60;
  SaveStep(&manager, 26);
  env_.SetCapacity(1 << 30);
  SaveStep(&manager, 27);
  log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(count("ckpt-26 was not saved"), 1) << log;
  EXPECT_EQ(count("ckpt-27 is saved; 26 before it were not"), 1) << log;
}

TEST_F(Managed, SavingBehindTrainingTakesTheValuesOfTheCall) {
  CheckpointManagerOptions options = Options();
  options.asynchronous = true;
  std::vector<std::string> saved;
  options.on_saved = [&](const std::string& path) { saved.push_back(path); };
  {
    CheckpointManager manager(options);
    for (int64_t step = 1; step <= 20; ++step) {
      SaveStep(&manager, step);
      SetStep(-step);  // training goes on at once
    }
    manager.Wait();
    EXPECT_EQ(manager.checkpoints().size(), 5u);
  }
  EXPECT_EQ(saved.size(), 20u);
  EXPECT_EQ(RestoredStep(), 20);
}

TEST_F(Managed, AnErrorBehindTrainingIsThrownAtTheNextCall) {
  FaultEnv faults(&env_);
  CheckpointManagerOptions options = Options();
  options.asynchronous = true;
  options.env = &faults;
  CheckpointManager manager(options);
  faults.FailAt(0, Code::kDataLoss);
  SaveStep(&manager, 1);
  EXPECT_THROW(SaveStep(&manager, 2), DataLossError);
  EXPECT_NO_THROW(SaveStep(&manager, 3));
  EXPECT_NO_THROW(manager.Wait());
  EXPECT_EQ(manager.failures(), 1);
}

TEST_F(Managed, StateFilesSurviveOddNames) {
  CheckpointState state;
  state.all.push_back({"with \"quotes\"\n\xff", 1784015290.994252});
  state.last_preserved = 1784015277.175224;
  env_.CreateDirs("d");
  WriteCheckpointState(&env_, "d", state);
  const auto back = ReadCheckpointState(&env_, "d");
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->all[0].path, state.all[0].path);
  EXPECT_EQ(back->all[0].timestamp, state.all[0].timestamp);
  EXPECT_EQ(back->last_preserved, state.last_preserved);
}

}  // namespace
}  // namespace tributary
