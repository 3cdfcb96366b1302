// Processes that a plain shell script starts, each with its TF_CONFIG: they train as
// those of mpirun do, and when one is lost the others end within 10 seconds with an
// error that names it.

#include <gmock/gmock.h>

#include <fstream>

#include "core/io/bundle_reader.h"
#include "core/io/env.h"
#include "tests/distribute/comm/tcp_ranks.h"
#include "tests/multiprocess/rank_fault.h"
#include "tests/temp_dir.h"
#include "trainer/checkpoint/checkpoint_state.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::Not;

class TcpJob : public testing::Test {
 protected:
  // A chief and workers, in the background of a script; "ENDED <rank> code <code>." tells
  // how each ended.
  Outcome Launch(int ranks, const std::string& program, const std::string& environment = "") {
    const std::vector<std::string> addresses = FreeAddresses(ranks);
    std::string workers;
    for (int r = 1; r < ranks; ++r) {
      workers += (r > 1 ? ",\"" : "\"") + addresses[r] + "\"";
    }
    const std::string cluster = R"({"cluster":{"chief":[")" + addresses[0] + R"("],"worker":[)" +
                                workers + R"(]},"task":{"type":")";
    std::ofstream script(folder_.path() + "/launch.sh");
    script << "run() {\n  " << environment << " timeout -k 5 60 " << program
           << "\n  " << EchoEnd("$1") << "\n}\n";
    for (int r = 0; r < ranks; ++r) {
      const std::string task = r == 0 ? R"(chief","index":0}})"
                                      : R"(worker","index":)" + std::to_string(r - 1) + "}}";
      script << "TF_CONFIG='" << cluster << task << "' run " << r << " &\n";
    }
    script << "wait\n";
    script.close();
    return RunShell("sh " + folder_.path() + "/launch.sh");
  }

  const TempDir folder_{"tcp_job"};
};

// --- Training

class TcpTraining : public TcpJob {
 protected:
  std::string Train(const std::string& run_dir, const std::string& node_shared) {
    const std::string job = folder_.path() + "/job.yaml";
    std::ofstream(job) << R"(job: by_tcp
seed: 3
data:
  train: {source: digits, count: 600, shuffle: 600, batch: 24}
model:
  - Flatten
  - Dense: {units: 33, activation: relu}
  - Dense: {units: 10}
loss: SparseCategoricalCrossentropy
optimizer: {Adam: {learning_rate: 0.002}}
train: {epochs: 3}
strategy: {MultiWorkerMirrored: {node_shared: )" << node_shared << "}}\n";
    return std::string(TRIBUTARY_PROGRAM " train ") + job + " --set run_dir=" + folder_.path() +
           "/" + run_dir;
  }
  std::map<std::string, std::vector<uint8_t>> Weights(const std::string& run_dir) const {
    std::map<std::string, std::vector<uint8_t>> weights;
    const std::string prefix =
        LatestCheckpoint(PosixEnv(), folder_.path() + "/" + run_dir + "/checkpoints");
    EXPECT_NE(prefix, "") << run_dir;
    if (prefix.empty()) return weights;
    const BundleReader reader(PosixEnv(), prefix);
    for (const auto& [name, info] : reader.tensors()) {
      if (name.find("model/") != 0 || info.dtype_name == "string") continue;
      const Tensor value = reader.Read(name);
      const auto* bytes = static_cast<const uint8_t*>(value.raw_data());
      weights[name].assign(bytes, bytes + value.bytes());
    }
    EXPECT_GE(weights.size(), 4u) << prefix;
    return weights;
  }
};

TEST_F(TcpTraining, TwoProcessesEndWithTheWeightsOfMpirun) {
  for (const char* shared : {"false", "true"}) {
    SCOPED_TRACE(std::string("node_shared ") + shared);
    const std::string tcp = std::string("tcp_") + shared, mpi = std::string("mpi_") + shared;
    const Outcome outcome = Launch(2, Train(tcp, shared));
    SCOPED_TRACE(outcome.output);
    EXPECT_THAT(outcome.output, HasSubstr(Ended(0, 0)));
    EXPECT_THAT(outcome.output, HasSubstr(Ended(1, 0)));
    EXPECT_THAT(outcome.output, HasSubstr("[tcp] 2 ranks are connected"));
    const Outcome reference = Mpirun(2, Train(mpi, shared));
    ASSERT_EQ(reference.exit_code, 0) << reference.output;
    EXPECT_EQ(Weights(tcp), Weights(mpi));
  }
}

TEST_F(TcpTraining, ThreeProcessesTrain) {
  const Outcome outcome = Launch(3, Train("three", "false"));
  for (int r = 0; r < 3; ++r) {
    EXPECT_THAT(outcome.output, HasSubstr(Ended(r, 0)));
  }
  EXPECT_THAT(outcome.output, HasSubstr("3 replicas, all-reduced"));
  Weights("three");
}

TEST_F(TcpTraining, ProcessThatIsNotStartedIsNamed) {
  const Outcome outcome = RunShell(
      "TRIBUTARY_START_TIMEOUT_MS=300 TF_CONFIG='{\"cluster\":{\"worker\":[\"127.0.0.1:11901\","
      "\"127.0.0.1:11902\"]},\"task\":{\"type\":\"worker\",\"index\":0}}' " +
      Train("alone", "false"));
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("in vain for rank 1 (127.0.0.1:11902)"));
}

TEST_F(TcpTraining, HostsWithoutAKeyAreRefusedWithTheRemedy) {
  const Outcome outcome = RunShell(
      "TF_CONFIG='{\"cluster\":{\"worker\":[\"0.0.0.0:11903\",\"192.0.2.1:11904\"]},"
      "\"task\":{\"type\":\"worker\",\"index\":0}}' " +
      Train("bare", "false"));
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("TRIBUTARY_KEY_FILE"));
}

// --- Losing one

class TcpFault : public TcpJob, public testing::WithParamInterface<RankFault> {};

TEST_P(TcpFault, EndsTheOthersWithItsName) {
  const RankFault& c = GetParam();
  const std::string environment =
      c.fake_hosts > 0 ? "TRIBUTARY_FAKE_HOSTS=" + std::to_string(c.fake_hosts) : "";
  const Outcome outcome = Launch(c.ranks, FailingRankCommand(c), environment);
  SCOPED_TRACE(outcome.output);
  ExpectOthersBlame(outcome, c, "rank " + std::to_string(c.victim) + " ");
}

INSTANTIATE_TEST_SUITE_P(
    Faults, TcpFault,
    testing::Values(RankFault{"allreduce", "kill", 3, 1, 0, ") died"},
                    RankFault{"window", "kill", 2, 0, 0, ") died"},
                    RankFault{"recv", "stop", 3, 1, 0, "(the process is stopped)"},
                    RankFault{"allreduce", "throw", 3, 2, 0, "failed: [test] bad record 17"},
                    RankFault{"recv", "abort", 3, 2, 0, "gave up: [test] no more data"},
                    RankFault{"barrier", "exit0", 2, 1, 0, ") died"},
                    // As if each had a host of its own: no board, no pidfd.
                    RankFault{"allreduce", "kill", 3, 1, 3, ") died: the connection"},
                    RankFault{"barrier", "throw", 3, 0, 3, "failed: [test] bad record 17"}));

TEST_F(TcpJob, HealthyOneEndsWithZero) {
  for (const char* wait : {"allreduce", "barrier", "window", "recv"}) {
    const Outcome outcome = Launch(3, std::string(FAILING_RANK_PROGRAM " ") + wait + " none 0");
    for (int r = 0; r < 3; ++r) {
      EXPECT_THAT(outcome.output, HasSubstr(Ended(r, 0)));
    }
    EXPECT_THAT(outcome.output, Not(HasSubstr("failed")));
  }
}

// A rank that computes for ever looks alive; the deadline of the others' call names it.
TEST_F(TcpJob, DeadlineNamesWhoIsMissing) {
  const Outcome outcome = Launch(2, FAILING_RANK_PROGRAM " allreduce loop 1",
                                 "TRIBUTARY_COMM_TIMEOUT_MS=2000");
  EXPECT_LT(outcome.seconds_after_fault, 10);
  EXPECT_THAT(outcome.output, HasSubstr("AllReduce: rank 0 waited in vain for rank 1"));
  EXPECT_THAT(outcome.output, HasSubstr(Ended(1, 69)));
}

}  // namespace
}  // namespace tributary
