// What ends a command otherwise than well, and the code that says so.

#include "launch/cli/exit_codes.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "core/base/errors.h"
#include "core/io/env.h"
#include "core/io/memory_env.h"
#include "tests/launch/cli/call.h"
#include "tests/temp_dir.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kJob[] = R"(run_dir: {0}/run
data:
  train: {{source: digits, count: 200, batch: 50}}
  test: {{source: digits, count: 100, batch: 50}}
model: [Flatten, {{Dense: {{units: 10}}}}]
loss: SparseCategoricalCrossentropy
train: {{epochs: 1}}
)";

class ExitCodes : public testing::Test {
 protected:
  const TempDir folder_{"codes"};
  const std::string job_ = folder_.Write("job.yaml", fmt::format(kJob, folder_.path()));
};

// `words` with the file descriptor `fd` as standard output.
Outcome CallInto(int fd, std::vector<std::string> words) {
  words.insert(words.begin(), "tributary");
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  std::fflush(stdout);
  const int kept = dup(STDOUT_FILENO);
  dup2(fd, STDOUT_FILENO);
  testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = RunCommandLine(static_cast<int>(argv.size()), argv.data());
  outcome.err = testing::internal::GetCapturedStderr();
  dup2(kept, STDOUT_FILENO);
  close(kept);
  return outcome;
}

TEST_F(ExitCodes, AFullStandardOutputIsAnError) {
  const int full = open("/dev/full", O_WRONLY);
  if (full < 0) GTEST_SKIP() << "no /dev/full";
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"version"}, {"config", "schema"}, {"config", "show", job_},
        {"graph", job_, "--dot"}, {"--help"}, {"train", job_}}) {
    const Outcome outcome = CallInto(full, words);
    EXPECT_EQ(outcome.code, 74) << words[0];
    EXPECT_THAT(outcome.err, HasSubstr("standard output can't be written: No space left"));
  }
  close(full);
  // Training went on, and has saved.
  EXPECT_EQ(Call({"evaluate", job_}).code, 0);
}

TEST_F(ExitCodes, ThatNobodyReadsAnyMoreEndsNothing) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  const Outcome trained = CallInto(ends[1], {"train", job_});
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(CallInto(ends[1], {"config", "schema"}).code, 0);
  close(ends[1]);
  EXPECT_EQ(Call({"evaluate", job_}).code, 0);
}

TEST_F(ExitCodes, ALostTerminalStopsATrainingThatThenSaves) {
  std::atomic<bool> ended{false};
  std::thread hangs_up([&] {
    struct sigaction present = {};
    while (!ended) {
      sigaction(SIGHUP, nullptr, &present);
      if (present.sa_handler != SIG_DFL) {
        // As a terminal's end does: more than one.
        for (int i = 0; i < 3; ++i) kill(getpid(), SIGHUP);
        return;
      }
      std::this_thread::yield();
    }
  });
  const Outcome outcome = Call({"train", job_, "--quiet", "--set", "train.epochs=5000"});
  ended = true;
  hangs_up.join();
  EXPECT_EQ(outcome.code, 75) << outcome.err;
  EXPECT_EQ(Call({"evaluate", job_}).code, 0);
}

TEST_F(ExitCodes, AnOutputThatCannotBeWrittenIsSeventyThree) {
  ASSERT_EQ(Call({"train", job_, "--quiet"}).code, 0);
  for (const std::string& file : {folder_.path() + "/nowhere/x.npy", folder_.path()}) {
    const Outcome outcome = Call({"predict", job_, "--output", file});
    EXPECT_EQ(outcome.code, 73) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(file));
  }
  const std::string link = folder_.path() + "/full";
  ASSERT_EQ(symlink("/dev/full", link.c_str()), 0);
  EXPECT_EQ(Call({"predict", job_, "--output", link}).code, 73);
  // A reader gets the bytes, and nothing else.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(CallInto(ends[1], {"predict", job_, "--output", "/dev/stdout", "--limit", "2"}).code, 0);
  char bytes[1024];
  const ssize_t got = read(ends[0], bytes, sizeof(bytes));
  EXPECT_EQ(got, 128 + 2 * 10 * 4);
  EXPECT_EQ(std::string(bytes + 1, 5), "NUMPY");
  close(ends[0]);
  close(ends[1]);
}

TEST(ExitCodeOf, AFullDiskIsNoLackOfMemory) {
  MemoryEnv env;
  env.SetCapacity(3);
  try {
    env.OpenWritable("f", OpenMode::kCreate)->Append("1234");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(ExitCodeOf(e), 73);
  }
  EXPECT_EQ(ExitCodeOf(ResourceExhaustedError("[checkpoint] {} has too little space", "x")), 73);
  EXPECT_EQ(ExitCodeOf(ResourceExhaustedError("[cpu] out of memory")), 137);
}

TEST(ExitCodeOf, DeniedAccessDependsOnWhatItWasFor) {
  EXPECT_EQ(ExitCodeOf(PermissionDeniedError("[job] 'j.yaml' cannot be read: denied")), 77);
  EXPECT_EQ(ExitCodeOf(PermissionDeniedError("[log] can't write x")), 73);
  EXPECT_EQ(ExitCodeOf(InvalidArgumentError("[cluster] TF_CONFIG: no JSON")), 78);
  EXPECT_EQ(ExitCodeOf(InvalidArgumentError("[data] no digit")), 65);
}

TEST_F(ExitCodes, AWrongTfConfigIsAMistakeOfTheJob) {
  setenv("TF_CONFIG", "{nonsense", 1);
  EXPECT_EQ(Call({"evaluate", job_}).code, 78);
  unsetenv("TF_CONFIG");
}

TEST_F(ExitCodes, NestedCommandsTakeTheCommonOptionsAndHaveTheirOwnHelp) {
  EXPECT_EQ(Call({"config", "show", job_, "--log-format", "json"}).code, 0);
  EXPECT_THAT(Call({"config", "show", job_, "--jsn"}).err,
              HasSubstr("Try `tributary config show --help`."));
  EXPECT_THAT(Call({"graph", job_, "--rows", "0"}).err,
              HasSubstr("Try `tributary graph --help`."));
  EXPECT_THAT(Call({"trian"}).err, HasSubstr("Try `tributary --help`."));
}

TEST_F(ExitCodes, NumbersAndPairsOfOptionsAreChecked) {
  EXPECT_THAT(Call({"predict", job_, "--limit", "0"}).err,
              HasSubstr("--limit: expected a whole number of at least 1, got 0"));
  const Outcome rows = Call({"graph", job_, "--rows", "99999999999"});
  EXPECT_EQ(rows.code, 64);
  EXPECT_THAT(rows.err, HasSubstr("at most 2147483647, got 99999999999"));
  EXPECT_EQ(Call({"graph", job_, "--dot", "--json"}).code, 64);
  EXPECT_EQ(Call({"graph", job_, "--graphdef", "--dot"}).code, 64);
  EXPECT_EQ(Call({"graph", job_, "--rows", "3"}).code, 0);
}

TEST_F(ExitCodes, OneRankOfALaunchDoesWhatOneCanDo) {
  setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"version"}, {"doctor"}, {"config", "schema"},
        {"config", "show", job_}, {"graph", job_}, {"predict", job_}, {"inspect", job_},
        {"completion", "bash"}, {"--version"}}) {
    setenv("OMPI_COMM_WORLD_RANK", "1", 1);
    const Outcome other = Call(words);
    EXPECT_EQ(other.code, 0) << words[0];
    if (words[0] == "predict") {  // each process may have meant its own part
      EXPECT_THAT(other.err, HasSubstr("rank 0 alone does `predict`"));
    } else {
      EXPECT_THAT(other.out + other.err, IsEmpty()) << words[0];
    }
  }
  setenv("OMPI_COMM_WORLD_RANK", "0", 1);
  EXPECT_THAT(Call({"version"}).out, Not(IsEmpty()));
  unsetenv("OMPI_COMM_WORLD_SIZE");
  unsetenv("OMPI_COMM_WORLD_RANK");
}

TEST_F(ExitCodes, AMistypedVariableIsTold) {
  setenv("TRIBUTARY_LOG", "foo", 1);
  setenv("TRIBUTARY_LOG_FORMAT", "xml", 1);
  const Outcome outcome = Call({"version"});
  unsetenv("TRIBUTARY_LOG");
  unsetenv("TRIBUTARY_LOG_FORMAT");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("TRIBUTARY_LOG is 'foo'; expected debug, info"));
  EXPECT_THAT(outcome.err, HasSubstr("TRIBUTARY_LOG_FORMAT is 'xml'; expected text or json"));
  EXPECT_THAT(Call({"version"}).err, IsEmpty());
}

}  // namespace
}  // namespace tributary
