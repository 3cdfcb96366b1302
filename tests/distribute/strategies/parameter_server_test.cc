// Parameters on servers: what a job learns does not depend on where they live. Workers
// are threads here; tests/multiprocess has processes.

#include <gmock/gmock.h>

#include "distribute/strategies/parameter_server/hybrid.h"
#include "tests/distribute/run_ranks.h"
#include "tests/distribute/strategies/ps_cluster.h"
#include "trainer/strategy/one_device.h"

namespace tributary {
namespace {

using namespace ps_test;
using ::testing::HasSubstr;

Trained OneDevice(const Job& job) { return Train(job, std::make_shared<OneDeviceStrategy>()); }

// --- One process ---------------------------------------------------------------------------

TEST(PsAlone, LearnsWhatOneDeviceDoesWithEveryOptimizer) {
  for (const std::string optimizer : {"SGD", "Adam", "AdamW", "Adagrad", "RMSprop"}) {
    SCOPED_TRACE(optimizer);
    // Rows that a batch does not touch: servers let those of Adam decay, and no others.
    const bool lazy = optimizer == "RMSprop";
    Job job{.optimizer = optimizer, .options = {{"learning_rate", 0.01}, {"lazy", lazy}}};
    ExpectNear(Train(job, std::make_shared<PsAlone>(Config(2, ps::Consistency::kAsync))),
               OneDevice(job), 1e-5);
  }
}

TEST(PsAlone, MomentumAndSchedulesReachTheServers) {
  const OptionNode schedule = {{"CosineDecay", {{"initial_learning_rate", 0.2},
                                                {"decay_steps", 9}}}};
  for (const OptionNode& options :
       {OptionNode{{"learning_rate", 0.05}, {"momentum", 0.9}, {"nesterov", true}, {"lazy", true}},
        OptionNode{{"learning_rate", schedule}}}) {
    const Job job{.options = options};
    ExpectNear(Train(job, std::make_shared<PsAlone>(Config(3, ps::Consistency::kSync))),
               OneDevice(job), 1e-5);
  }
}

TEST(PsAlone, EveryNumberOfServersGivesTheSameBits) {
  for (const auto mode : {ps::Consistency::kAsync, ps::Consistency::kSync}) {
    const Job job{.optimizer = "Adam", .options = {{"learning_rate", 0.01}}, .shared_ids = true};
    const Trained one = Train(job, std::make_shared<PsAlone>(Config(1, mode)));
    for (const int servers : {2, 3, 5}) {
      PsConfig config = Config(servers, mode);
      config.partitioner = ps::Partitioners().Make("Fixed", {{"num_shards", servers}});
      ExpectSameBits(Train(job, std::make_shared<PsAlone>(config)), one);
    }
  }
}

TEST(PsAlone, RefusesWhatServersCannotDo) {
  const auto refused = [](const Job& job) -> std::string {
    try {
      Train(job, std::make_shared<PsAlone>(Config(1, ps::Consistency::kAsync)));
    } catch (const UnimplementedError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refused({.options = {{"clipnorm", 1.0}}}), HasSubstr("clipnorm"));
}

// --- Chief and workers ---------------------------------------------------------------------

struct Crew {
  ps::Consistency mode;
  int workers, servers;
};
class Crews : public testing::TestWithParam<Crew> {};
INSTANTIATE_TEST_SUITE_P(
    Sizes, Crews,
    testing::Values(Crew{ps::Consistency::kSync, 1, 1}, Crew{ps::Consistency::kSync, 2, 1},
                    Crew{ps::Consistency::kSync, 2, 3}, Crew{ps::Consistency::kSync, 3, 2},
                    Crew{ps::Consistency::kAsync, 1, 1}, Crew{ps::Consistency::kAsync, 3, 2},
                    Crew{ps::Consistency::kBounded, 2, 2}));

TEST_P(Crews, Learn) {
  const Crew& crew = GetParam();
  Job job{.shared_ids = true};
  const std::string name = fmt::format("learn-{}-{}-{}", static_cast<int>(crew.mode),
                                       crew.workers, crew.servers);
  const Trained trained =
      TrainOnCluster(job, Config(crew.servers, crew.mode, crew.workers), name);
  const Trained one = OneDevice(job);
  if (crew.mode == ps::Consistency::kSync || crew.workers == 1) {
    ExpectNear(trained, one, 1e-5);
  } else {
    EXPECT_NEAR(trained.loss, one.loss, 0.05);
  }
}

TEST(PsWorkers, SyncGivesTheSameBitsForEveryNumberOfServers) {
  const Job job{.optimizer = "Adam", .options = {{"learning_rate", 0.01}}};
  const Trained one = TrainOnCluster(job, Config(1, ps::Consistency::kSync, 2), "bits-1");
  for (const int servers : {2, 3}) {
    ExpectSameBits(TrainOnCluster(job, Config(servers, ps::Consistency::kSync, 2),
                                  fmt::format("bits-{}", servers)),
                   one);
  }
}

TEST(PsWorkers, TheChiefsLearningRateReachesThem) {
  Job job;
  job.callbacks = {Callbacks().Make(
      "LearningRateScheduler",
      {{"schedule", OptionNode{{"ExponentialDecay", {{"initial_learning_rate", 0.1},
                                                     {"decay_steps", 1},
                                                     {"decay_rate", 0.5}}}}}},
      {})};
  ExpectNear(TrainOnCluster(job, Config(2, ps::Consistency::kSync, 2), "rate"), OneDevice(job),
             1e-5);
}

TEST(PsWorkers, EveryBatchIsCountedOnce) {
  Job job{.epochs = 2, .rows = 24 * 9};
  const PsConfig config = Config(2, ps::Consistency::kAsync, 3);
  PsCluster cluster(config, "once");
  {
    std::vector<std::jthread> workers;
    for (int w = 0; w < 3; ++w) workers.emplace_back([&, w] { cluster.Work(job, w); });
    Train(job, cluster.Chief());
    cluster.coordinator().End("");
  }
  for (int s = 0; s < 2; ++s) {
    int64_t steps = 0;
    for (const ps::WorkerStats& w : cluster.server(s).stats().workers) steps += w.pushes;
    EXPECT_EQ(steps, 2 * 9) << "server " << s;
  }
}

TEST(PsWorkers, KeyListsAreASwitch) {
  const auto from = [](const OptionNode& node) {
    return PsConfig::From(MakeOptions(ParameterServerTable(), node)).key_lists;
  };
  EXPECT_TRUE(from(OptionNode::Map()));
  EXPECT_FALSE(from({{"key_lists", false}}));
  const Job job{.shared_ids = true};
  std::vector<Trained> learned;
  for (const bool lists : {true, false}) {
    PsConfig config = Config(1, ps::Consistency::kSync, 1);
    config.key_lists = lists;
    PsCluster cluster(config, fmt::format("lists-{}", lists));
    std::jthread worker([&] { cluster.Work(job, 0); });
    learned.push_back(Train(job, cluster.Chief()));
    cluster.coordinator().End("");
    EXPECT_EQ(cluster.server(0).stats().ids_left_out > 0, lists);
  }
  ExpectSameBits(learned[0], learned[1]);
}

// --- Hybrid --------------------------------------------------------------------------------

TEST(Hybrid, LearnsWhatOneDeviceDoes) {
  Job job{.shared_ids = true};
  const Trained one = OneDevice(job);
  for (const int ranks : {1, 2, 3}) {
    for (const bool shared : {true, false}) {
      RunRanks(ranks, [&](Communicator& comm) {
        const auto context = JobContext::ForRank(comm.Split(0, comm.rank()));
        {
          const auto strategy =
              std::make_shared<Hybrid>(*context, HybridOptions{.mirrored = {.node_shared = shared}});
          const auto trainer = MakeTrainer(job, strategy);
          const History history = trainer->Fit(Clicks(job), {.epochs = job.epochs});
          ExpectNear(ResultOf(*trainer, job, history), one, 1e-5);
          comm.Barrier();  // servers are threads of the ranks
        }
        context->Finish();
      });
    }
  }
}

TEST(Hybrid, KeyListsAreASwitch) {
  const Job job{.shared_ids = true};
  for (const bool lists : {true, false}) {
    RunRanks(1, [&](Communicator& comm) {
      const auto context = JobContext::ForRank(comm.Split(0, comm.rank()));
      const auto strategy = std::make_shared<Hybrid>(*context, HybridOptions{.key_lists = lists});
      Train(job, strategy);
      EXPECT_EQ(strategy->server().stats().ids_left_out > 0, lists);
      context->Finish();
    });
  }
}

}  // namespace
}  // namespace tributary
