// The command line under mpirun: ranks train as one, and a job that was killed goes
// on as if it never had been.

#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "core/io/bundle_reader.h"
#include "core/io/env.h"
#include "core/tensor/npy.h"
#include "tests/multiprocess/mpirun.h"
#include "tests/temp_dir.h"
#include "trainer/checkpoint/checkpoint_state.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Training : public testing::Test {
 protected:
  // A job on generated digits with all that makes resuming hard: shuffling,
  // dropout, Adam, saves at odd steps.
  std::string WriteJob(int epochs, const std::string& extra = "") {
    const std::string path = folder_.path() + "/job.yaml";
    std::ofstream(path) << R"(job: resumed
seed: 3
data:
  train: {source: digits, count: 1200, split: "[:1000]", shuffle: 1000, batch: 20}
model:
  - Flatten
  - Dense: {units: 33, activation: relu}
  - Dropout: {rate: 0.2}
  - Dense: {units: 10}
loss: SparseCategoricalCrossentropy
metrics: [accuracy]
optimizer: {)" << optimizer_ << R"(}
train: {epochs: )" << epochs << R"(}
checkpoint: {every: 7 steps, keep: 3}
)" << extra;
    return path;
  }

  static std::string Command(const std::string& job, const std::string& run_dir,
                             const std::string& more = "") {
    return std::string(TRIBUTARY_PROGRAM " train ") + job + " --set run_dir=" + run_dir + " " +
           more;
  }

  static std::map<std::string, std::vector<uint8_t>> FinalWeights(const std::string& run_dir) {
    const std::string prefix = LatestCheckpoint(PosixEnv(), run_dir + "/checkpoints");
    EXPECT_NE(prefix, "") << run_dir;
    std::map<std::string, std::vector<uint8_t>> weights;
    if (prefix.empty()) return weights;
    const BundleReader reader(PosixEnv(), prefix);
    for (const auto& [name, info] : reader.tensors()) {
      const bool state = name.find("model/") == 0 || name.find("optimizer/") == 0;
      if (!state || info.dtype_name == "string") continue;
      const Tensor value = reader.Read(name);
      const auto* bytes = static_cast<const uint8_t*>(value.raw_data());
      weights[name].assign(bytes, bytes + value.bytes());
    }
    // Four of the model, iterations and rate; Adam adds its slots.
    EXPECT_GE(weights.size(), 6u) << prefix;
    return weights;
  }

  static double Largest(const std::map<std::string, std::vector<uint8_t>>& a,
                        const std::map<std::string, std::vector<uint8_t>>& b) {
    double largest = 0;
    EXPECT_EQ(a.size(), b.size());
    for (const auto& [name, bytes] : a) {
      if (bytes.size() < 8 || name.find("kernel") == std::string::npos) continue;
      const auto* x = reinterpret_cast<const float*>(bytes.data());
      const auto* y = reinterpret_cast<const float*>(b.at(name).data());
      for (size_t i = 0; i < bytes.size() / 4; ++i) {
        largest = std::max(largest, static_cast<double>(std::abs(x[i] - y[i])));
      }
    }
    return largest;
  }

  const TempDir folder_{"training"};
  std::string optimizer_ = "Adam: {learning_rate: 0.002}";
};

// The ranks of the job in `run_dir`, found by their command lines.
std::vector<int> PidsOf(const std::string& run_dir) {
  std::vector<int> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "cmdline");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    if (text.find(TRIBUTARY_PROGRAM) == 0 && text.find("run_dir=" + run_dir) != std::string::npos) {
      pids.push_back(std::stoi(name));
    }
  }
  return pids;
}

// Starts the job and kills one of its ranks as soon as `checkpoints` have been
// written, after some more of its time. Returns how it ended.
Outcome KillWhileTraining(const std::string& command, const std::string& run_dir, int ranks,
                          std::mt19937& random) {
  Outcome outcome;
  std::thread job([&] { outcome = Mpirun(ranks, command, {.seconds = 300}); });
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!fs::exists(run_dir + "/checkpoints/checkpoint") &&
         std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::this_thread::sleep_for(std::chrono::microseconds(random() % 100'000));
  const std::vector<int> pids = PidsOf(run_dir);
  if (!pids.empty()) kill(pids[random() % pids.size()], SIGKILL);
  job.join();
  return outcome;
}

TEST_F(Training, KilledJobsGoOnToTheSameWeightsBitForBit) {
  std::mt19937 random(20240611);
  for (const char* shared : {"true", "false"}) {
    SCOPED_TRACE(std::string("node_shared ") + shared);
    const std::string job = WriteJob(
        30, std::string("strategy: {MultiWorkerMirrored: {node_shared: ") + shared + "}}\n");
    const std::string whole = folder_.path() + "/whole_" + shared;
    const std::string cut = folder_.path() + "/cut_" + shared;
    const Outcome reference = Mpirun(2, Command(job, whole), {.seconds = 300});
    ASSERT_EQ(reference.exit_code, 0) << reference.output;

    int kills = 0;
    for (int attempt = 0; attempt < 3; ++attempt) {
      const Outcome killed = KillWhileTraining(Command(job, cut), cut, 2, random);
      kills += killed.exit_code != 0;
    }
    EXPECT_GT(kills, 0) << "the job was over before it could be killed";
    const Outcome last = Mpirun(2, Command(job, cut), {.seconds = 300});
    ASSERT_EQ(last.exit_code, 0) << last.output;
    EXPECT_EQ(FinalWeights(cut), FinalWeights(whole));
  }
}

TEST_F(Training, RanksTrainAsOneProcessWould) {
  optimizer_ = "SGD: {learning_rate: 0.05}";
  const std::string job = WriteJob(2);
  ASSERT_EQ(RunShell(Command(job, folder_.path() + "/one")).exit_code, 0);
  const auto one = FinalWeights(folder_.path() + "/one");
  for (const int ranks : {2, 4}) {
    const std::string run_dir = folder_.path() + "/ranks" + std::to_string(ranks);
    const Outcome outcome = Mpirun(ranks, Command(job, run_dir));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    // 100 steps of rounding.
    EXPECT_LT(Largest(FinalWeights(run_dir), one), 1e-5) << ranks << " ranks";
  }
  const Outcome hosts = Mpirun(4, Command(job, folder_.path() + "/hosts"),
                               {.environment = {"TRIBUTARY_FAKE_HOSTS=2"}});
  ASSERT_EQ(hosts.exit_code, 0) << hosts.output;
  EXPECT_THAT(hosts.output, HasSubstr("4 replicas on 2 hosts, node-shared"));
  EXPECT_LT(Largest(FinalWeights(folder_.path() + "/hosts"), one), 1e-5);
}

TEST_F(Training, StoppedRankEndsTheJobByName) {
  const std::string job = WriteJob(100000), run_dir = folder_.path() + "/stopped";
  Outcome outcome;
  std::thread thread([&] { outcome = Mpirun(2, Command(job, run_dir), {.seconds = 120}); });
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!fs::exists(run_dir + "/checkpoints/checkpoint") &&
         std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const std::vector<int> pids = PidsOf(run_dir);
  const auto stopped = std::chrono::steady_clock::now();
  if (!pids.empty()) kill(pids.back(), SIGSTOP);
  thread.join();
  EXPECT_LT(std::chrono::steady_clock::now() - stopped, std::chrono::seconds(12));
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("the process is stopped"));
}

// What all ranks find alike is told once, with what to do, and by no rank that mpirun
// has ended before it could.
TEST_F(Training, ErrorsThatAllRanksHaveAreToldOnce) {
  const auto count = [](const std::string& text, const std::string& part) {
    int found = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  };
  const std::string job = WriteJob(1);
  const std::string run = folder_.path() + "/run";
  struct Case {
    const char* more;
    const char* told;
    int code;
  };
  for (const Case& c : {
           Case{"--set \"data.train={source: mnist, split: 'test[:900]', batch: 20}\"",
                "set TRIBUTARY_DATA_DIR", 66},
           Case{"--set model.1.Dense.units=0", "nothing was started", 78},
           Case{"--set data.train.skip=5000", "holds no example", 65},
           Case{"--set loss=MeanSquaredError", "do not fit", 65},
           Case{"--set run_dir=/proc/xx", "take another run_dir", 73},
           Case{"--set checkpoint.resume=required", "to go on from", 66}}) {
    for (const char* hosts : {"0", "2"}) {
      const Outcome outcome =
          Mpirun(2, Command(job, run, c.more),
                 {.environment = {"TRIBUTARY_DATA_DIR=" + folder_.path(),
                                  std::string("TRIBUTARY_FAKE_HOSTS=") + hosts}});
      SCOPED_TRACE(std::string(c.more) + "\n" + outcome.output);
      EXPECT_EQ(outcome.exit_code, c.code);
      EXPECT_EQ(count(outcome.output, c.told), 1);
      EXPECT_EQ(count(outcome.output, "failed:"), 0);
    }
  }
  // While they train, the ranks of a host know of the first.
  const Outcome nan = Mpirun(2, Command(job, run, "--set optimizer.Adam.learning_rate=1e38 "
                                                  "--set train.epochs=9"));
  EXPECT_EQ(nan.exit_code, 80) << nan.output;
  EXPECT_EQ(count(nan.output, "error: [fit] step"), 1) << nan.output;
}

TEST_F(Training, ANaNOfAnyRankEndsAllWithItsCode) {
  const std::string job = WriteJob(1), x = folder_.path() + "/x.npy", y = folder_.path() + "/y.npy";
  Tensor images = Tensor::Full<float>({40, 4}, 0.5f);
  images.mutable_data<float>()[17 * 4] = std::numeric_limits<float>::quiet_NaN();
  WriteNpy(PosixEnv(), x, images);
  WriteNpy(PosixEnv(), y, Tensor::Full<int32_t>({40}, 1));
  for (const char* hosts : {"0", "2"}) {
    const Outcome nan =
        Mpirun(2, Command(job, folder_.path() + "/run",
                          "--fresh --set \"data.train={source: npy, x: " + x + ", y: " + y +
                              ", batch: 20}\" --set model.0=Flatten"),
               {.environment = {std::string("TRIBUTARY_FAKE_HOSTS=") + hosts}});
    EXPECT_EQ(nan.exit_code, 80) << nan.output;
    EXPECT_THAT(nan.output, HasSubstr("row 17 of the batch"));
  }
}

TEST_F(Training, AFreshStartThatFailsLeavesTheRunWhereItIs) {
  const std::string job = WriteJob(1), run = folder_.path() + "/run";
  const Outcome first = Mpirun(2, Command(job, run), {.environment = {"TERM=xterm"}});
  ASSERT_EQ(first.exit_code, 0) << first.output;
  // A pipe, so no line is written over.
  EXPECT_THAT(first.output, testing::Not(HasSubstr("\x1b[K")));
  EXPECT_EQ(Mpirun(2, Command(job, run, "--fresh --set loss=MeanSquaredError")).exit_code, 65);
  EXPECT_FALSE(fs::exists(run + ".1"));
  EXPECT_TRUE(fs::exists(run + "/result.json"));
  const Outcome again = Mpirun(2, Command(job, run, "--fresh"));
  EXPECT_EQ(again.exit_code, 0) << again.output;
  EXPECT_TRUE(fs::exists(run + ".1/result.json"));
}

TEST_F(Training, CheckRefusesWhatTrainWould) {
  const std::string check = TRIBUTARY_PROGRAM " check " + WriteJob(1) + " --set run_dir=";
  const Outcome fine = Mpirun(2, check + folder_.path() + "/none");
  EXPECT_EQ(fine.exit_code, 0) << fine.output;
  EXPECT_THAT(fine.output, HasSubstr("a step of 10 examples"));
  EXPECT_FALSE(fs::exists(folder_.path() + "/none"));
  const Outcome uneven = Mpirun(3, check + folder_.path() + "/none");
  EXPECT_EQ(uneven.exit_code, 78) << uneven.output;
  EXPECT_THAT(uneven.output, HasSubstr("take a multiple of 3"));
  for (const char* place : {"/proc/xx", "/dev/full"}) {
    EXPECT_EQ(RunShell(check + place).exit_code, 73) << place;
  }
}

}  // namespace
}  // namespace tributary
