// Parameter-server jobs: the same bits by any carrier and for any number of servers, what
// one device computes, and on from where they were stopped.

#include <gmock/gmock.h>

#include <fstream>

#include "core/io/bundle_reader.h"
#include "core/io/env.h"
#include "distribute/transport/tcp/asio.h"
#include "tests/multiprocess/mpirun.h"
#include "tests/multiprocess/ps_job.h"
#include "trainer/checkpoint/checkpoint_state.h"

namespace tributary {
namespace {

using testing::HasSubstr;

class PsTraining : public PsJobTest {
 protected:
  PsState Train(const std::string& name, const PsJobOptions& options) {
    PsJob job(folder_.path(), name, options);
    EXPECT_EQ(job.Run(), 0) << job.Output();
    EXPECT_THAT(job.Processes(), testing::IsEmpty());
    return FinalState(job.run_dir());
  }

  // The figure "final" of result.json.
  double FinalLoss(const std::string& name) {
    std::ifstream file(folder_.path() + "/" + name + "/result.json");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const size_t at = text.find("\"loss\":", text.find("\"final\""));
    EXPECT_NE(at, std::string::npos) << text;
    return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + 7, nullptr);
  }
};

TEST_F(PsTraining, SyncHasTheSameBitsByAnyCarrierAndAnyNumberOfServers) {
  const PsState first = Train("first", {.carrier = "inproc", .servers = 1});
  for (const char* carrier : {"inproc", "tcp", "mpi"}) {
    for (const int servers : {1, 2, 3}) {
      const std::string name = carrier + std::to_string(servers);
      const PsState state = Train(name, {.carrier = carrier, .servers = servers});
      EXPECT_TRUE(state == first) << name << ": " << LargestDifference(state, first);
    }
  }
}

// The sum of a figure over the pages of a running job's servers.
double FigureOf(const PsJob& job, const std::string& name) {
  double sum = 0;
  for (int s = 0; s < 2; ++s) {
    std::ifstream file(fmt::format("{}/cluster/ps-{}.metrics", job.run_dir(), s));
    const std::string address(std::istreambuf_iterator<char>(file), {});
    const std::string port = address.substr(address.rfind(':') + 1);
    asio::ip::tcp::iostream page("127.0.0.1", port.substr(0, port.find('/')));
    page << "GET /metrics HTTP/1.0\r\n\r\n" << std::flush;
    const std::string text(std::istreambuf_iterator<char>(page), {});
    const std::string series = fmt::format("\n{}{{shard=\"{}\"}} ", name, s);
    const size_t at = text.find(series);
    EXPECT_NE(at, std::string::npos) << address << text;
    if (at != std::string::npos) sum += std::strtod(text.c_str() + at + series.size(), nullptr);
  }
  return sum;
}

TEST_F(PsTraining, KeyListsAreASwitchForWorkersOfAnyCarrier) {
  for (const char* carrier : {"inproc", "tcp", "mpi"}) {
    for (const char* lists : {"true", "false"}) {
      PsJob job(folder_.path(), fmt::format("{}-{}", carrier, lists),
                {.carrier = carrier, .epochs = 10'000,
                 .more = fmt::format("--set strategy.ParameterServer.metrics_port=0 --set "
                                     "strategy.ParameterServer.key_lists={}", lists)});
      job.Start();
      ASSERT_TRUE(job.WaitForStep(20)) << job.Output();
      EXPECT_GT(FigureOf(job, "tributary_ps_applied_steps"), 20);
      EXPECT_EQ(FigureOf(job, "tributary_ps_ids_left_out_total") > 0, lists == std::string("true"))
          << carrier;
    }
  }
}

// One device keeps whole tables; servers the rows that were used.
PsState RowsOfOneDevice(const PsState& state, const PsState& like) {
  PsState rows;
  for (const auto& [name, values] : like) {
    const size_t bracket = name.find("/values[");
    if (bracket == std::string::npos) {
      if (state.contains(name)) rows[name] = state.at(name);
      continue;
    }
    const auto table = state.find("model/" + name.substr(0, bracket) +
                                  "/.ATTRIBUTES/VARIABLE_VALUE");
    EXPECT_NE(table, state.end()) << name;
    if (table == state.end()) return rows;
    const auto id = std::strtoll(name.c_str() + bracket + 8, nullptr, 10);
    const auto width = static_cast<std::ptrdiff_t>(values.size());
    const auto row = table->second.begin() + static_cast<std::ptrdiff_t>(id) * width;
    rows[name].assign(row, row + width);
  }
  return rows;
}

TEST_F(PsTraining, SyncTrainsAsOneDeviceDoes) {
  const PsState servers = Train("servers", {.carrier = "tcp", .servers = 2, .workers = 4});
  const PsState alone = Train("alone", {.carrier = "inproc", .servers = 2, .workers = 1});
  PsJob device(folder_.path(), "device", {.carrier = "inproc"});
  const Outcome outcome =
      RunShell(TRIBUTARY_PROGRAM " train " + folder_.path() + "/job.yaml --set run_dir=" +
               device.run_dir() + " --set train.epochs=2 --set strategy=one_device");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  const PsState one = RowsOfOneDevice(FinalState(device.run_dir()), servers);
  EXPECT_GT(one.size(), 500u);
  EXPECT_LT(LargestDifference(servers, one), 1e-5);
  EXPECT_LT(LargestDifference(alone, one), 1e-5);
  EXPECT_EQ(alone.size(), servers.size());
}

TEST_F(PsTraining, AsyncAndBoundedLearnAsWell) {
  Train("sync", {.carrier = "tcp", .epochs = 6});
  const double sync = FinalLoss("sync");
  for (const char* consistency : {"async", "bounded"}) {
    for (const char* carrier : {"inproc", "tcp", "mpi"}) {
      const std::string name = std::string(consistency) + "_" + carrier;
      Train(name, {.consistency = consistency, .carrier = carrier, .epochs = 6,
                   .more = "--set strategy.ParameterServer.lease=4"});
      EXPECT_NEAR(FinalLoss(name), sync, 0.02) << name;
    }
  }
}

TEST_F(PsTraining, AStoppedJobGoesOnToTheSameBitsWithAnyNumberOfServers) {
  const PsState whole = Train("whole", {});
  for (const int servers : {2, 3, 1}) {
    for (const char* carrier : {"tcp", "inproc"}) {
      const std::string name = std::string("cut_") + carrier + std::to_string(servers);
      Train(name, {.carrier = carrier, .more = "--set train.steps=37"});
      const PsState state = Train(name, {.carrier = carrier, .servers = servers});
      EXPECT_TRUE(state == whole) << name << ": " << LargestDifference(state, whole);
    }
  }
}

TEST_F(PsTraining, TooFewProcessesAreToldSo) {
  PsJob job(folder_.path(), "few", {.servers = 2, .workers = 0});
  EXPECT_EQ(job.Run(), 78) << job.Output();
  EXPECT_THAT(job.Output(), HasSubstr("3 processes are too few for a chief, a worker and 2 "
                                      "servers; take mpirun -n 4 or more"));
  EXPECT_EQ(job.Count("too few"), 1) << job.Output();
}

}  // namespace
}  // namespace tributary
