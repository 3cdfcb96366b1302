#include "distribute/cluster/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "distribute/cluster/resolvers/slurm.h"
#include "distribute/cluster/resolvers/tf_config.h"

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Environment Env(std::map<std::string, std::string> values) {
  return [values](const std::string& name) -> std::optional<std::string> {
    const auto it = values.find(name);
    if (it == values.end()) return std::nullopt;
    return it->second;
  };
}

std::string ErrorOf(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const InvalidArgumentError& e) {
    return e.what();
  }
  return "no error";
}

TEST(Cluster, WithoutLauncherThisProcessIsItsOwnChief) {
  const Cluster cluster = ResolveCluster("auto", Env({}));
  EXPECT_EQ(cluster.resolver, "none");
  EXPECT_EQ(cluster.world_size, 1);
  EXPECT_TRUE(cluster.is_chief);
  EXPECT_EQ(cluster.communicator, "");
  EXPECT_EQ(cluster.LogPrefix(), "worker 0@" + HostName());
}

TEST(Cluster, MpirunRankZeroIsChief) {
  std::map<std::string, std::string> vars{{"OMPI_COMM_WORLD_SIZE", "4"},
                                          {"OMPI_COMM_WORLD_RANK", "2"},
                                          {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                          {"OMPI_COMM_WORLD_LOCAL_RANK", "0"}};
  const Cluster cluster = ResolveCluster("auto", Env(vars));
  EXPECT_EQ(cluster.resolver, "mpirun");
  EXPECT_EQ(cluster.rank, 2);
  EXPECT_EQ(cluster.world_size, 4);
  EXPECT_EQ(cluster.local_size, 2);
  EXPECT_FALSE(cluster.is_chief);
  EXPECT_EQ(cluster.communicator, "mpi");
  EXPECT_EQ(cluster.task, (Task{"worker", 2}));
  EXPECT_EQ(cluster.spec.NumTasks("worker"), 4);
  vars["OMPI_COMM_WORLD_RANK"] = "0";
  EXPECT_TRUE(ResolveCluster("auto", Env(vars)).is_chief);
}

TEST(Cluster, BadLauncherVariableIsNamed) {
  EXPECT_THAT(ErrorOf([] {
                ResolveCluster("auto", Env({{"OMPI_COMM_WORLD_SIZE", "2"},
                                            {"OMPI_COMM_WORLD_RANK", "2"}}));
              }),
              HasSubstr("OMPI_COMM_WORLD_RANK: expected a number in [0, 1], got '2'"));
  EXPECT_THAT(ErrorOf([] { ResolveCluster("auto", Env({{"OMPI_COMM_WORLD_SIZE", "x"}})); }),
              HasSubstr("OMPI_COMM_WORLD_SIZE"));
}

TEST(Cluster, AskingForAnAbsentLauncherFails) {
  EXPECT_THROW(ResolveCluster("slurm", Env({})), FailedPreconditionError);
  EXPECT_THROW(ResolveCluster("slrum", Env({})), NotFoundError);
}

TEST(Slurm, StepVariablesGiveRankHostAndAddresses) {
  const Cluster cluster =
      ResolveCluster("auto", Env({{"SLURM_PROCID", "2"},
                                  {"SLURM_STEP_NUM_TASKS", "3"},
                                  {"SLURM_STEP_NODELIST", "node[01-02]"},
                                  {"SLURM_STEP_TASKS_PER_NODE", "2,1"},
                                  {"PMIX_RANK", "2"}}));
  EXPECT_EQ(cluster.resolver, "slurm");
  EXPECT_EQ(cluster.rank, 2);
  EXPECT_EQ(cluster.local_rank, 0);
  EXPECT_EQ(cluster.local_size, 1);
  EXPECT_EQ(cluster.communicator, "mpi");
  EXPECT_EQ(cluster.LogPrefix(), "worker 2@node02");
  EXPECT_EQ(cluster.spec.Address({"worker", 1}), "node01:8889");
}

// A batch script has SLURM_PROCID=0 and SLURM_NTASKS, yet is no task of a step.
TEST(Slurm, BatchScriptItselfIsAlone) {
  EXPECT_EQ(ResolveCluster("auto", Env({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}})).resolver,
            "none");
}

TEST(Slurm, OneOfSeveralTasksThatDoesNotKnowWhichDoesNotTrainAlone) {
  const Environment half = Env({{"SLURM_STEP_NUM_TASKS", "2"}});
  EXPECT_THAT([&] { ResolveCluster("auto", half); },
              testing::ThrowsMessage<FailedPreconditionError>(
                  testing::AllOf(HasSubstr("SLURM_STEP_NUM_TASKS says that 2 tasks"),
                                 HasSubstr("SLURM_PROCID"), HasSubstr("resolver to none"))));
  EXPECT_EQ(ResolveCluster("none", half).world_size, 1);
  EXPECT_EQ(ResolveCluster("auto", Env({{"SLURM_STEP_NUM_TASKS", "1"}})).resolver, "none");
}

TEST(Slurm, ExpandsLists) {
  EXPECT_THAT(ExpandHostList("n[08-10,2],login"),
              ElementsAre("n08", "n09", "n10", "n2", "login"));
  EXPECT_THAT(ExpandHostList("r[1-2]n[3-4]"), ElementsAre("r1n3", "r1n4", "r2n3", "r2n4"));
  EXPECT_THAT(ExpandTasksPerNode("2(x3),1"), ElementsAre(2, 2, 2, 1));
  for (const char* bad : {"n[", "n]", "n[3-1]", "n[a]", "a,,b", "n[1-999999999]", "n[]"}) {
    EXPECT_THROW(ExpandHostList(bad), InvalidArgumentError) << bad;
  }
  for (const char* bad : {"", "2(x", "2(x3", "-1", "1(x99999999)"}) {
    EXPECT_THROW(ExpandTasksPerNode(bad), InvalidArgumentError) << bad;
  }
}

TEST(TfConfig, EmptyMeansAlone) {
  for (const char* text : {"", " ", "{}", R"({"cluster":{}})", R"({"task":{}})"}) {
    const Cluster cluster = ParseTfConfig(text);
    EXPECT_EQ(cluster.world_size, 1) << text;
    EXPECT_TRUE(cluster.is_chief) << text;
  }
}

constexpr char kFull[] =
    R"({"cluster":{"chief":["h0:2222"],"worker":["h1:2222","h2:2222"],"ps":{"3":"h3:2222"}},)"
    R"("task":{"type":")";

Cluster Full(const std::string& type, const std::string& index) {
  return ParseTfConfig(kFull + type + R"(","index":)" + index + "}}");
}

TEST(TfConfig, ChiefComesBeforeWorkers) {
  EXPECT_EQ(Full("chief", "0").rank, 0);
  EXPECT_TRUE(Full("chief", "0").is_chief);
  const Cluster worker = Full("worker", "1");
  EXPECT_EQ(worker.rank, 2);
  EXPECT_EQ(worker.world_size, 3);
  EXPECT_FALSE(worker.is_chief);
  EXPECT_EQ(worker.LogPrefix(), "worker 1@h2");
  EXPECT_EQ(CollectiveLeader(worker.spec, worker.task), "/job:chief/replica:0/task:0");
}

TEST(TfConfig, IndexMayBeTextAndJobsSparse) {
  EXPECT_EQ(Full("worker", "\"0\"").rank, 1);
  const Cluster ps = Full("ps", "3");
  EXPECT_EQ(ps.role(), Role::kParameterServer);
  EXPECT_FALSE(ps.is_chief);
  EXPECT_THROW(WorkerCount(ps.spec, ps.task), InvalidArgumentError);
  EXPECT_THROW(IdInCluster(ps.spec, ps.task), InvalidArgumentError);
}

TEST(TfConfig, WorkerZeroIsChiefWithoutAChiefJob) {
  const Cluster cluster = ParseTfConfig(
      R"({"cluster":{"worker":["a:1","b:1"]},"task":{"type":"worker","index":0}})");
  EXPECT_TRUE(cluster.is_chief);
  EXPECT_EQ(CollectiveLeader(cluster.spec, cluster.task), "/job:worker/replica:0/task:0");
}

TEST(TfConfig, EvaluatorStandsApart) {
  const Cluster evaluator = Full("evaluator", "0");
  EXPECT_EQ(evaluator.role(), Role::kEvaluator);
  EXPECT_TRUE(evaluator.is_chief);
  EXPECT_EQ(evaluator.world_size, 1);
  EXPECT_EQ(CollectiveLeader(evaluator.spec, evaluator.task), "");
}

TEST(TfConfig, ErrorsSayWhatIsWrong) {
  const auto error = [](const std::string& text) {
    return ErrorOf([&] { ParseTfConfig(text); });
  };
  EXPECT_THAT(error(R"({"cluster": {"worker": ["a:1"],})"), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(error("[1]"), HasSubstr("expected a JSON object, got array"));
  EXPECT_THAT(error(R"({"cluster":{"worker":["a:1"]}})"), HasSubstr("without `task`"));
  EXPECT_THAT(error(R"({"cluster":{"wroker":["a:1"]},"task":{"type":"worker","index":0}})"),
              HasSubstr("did you mean 'worker'?"));
  EXPECT_THAT(error(R"({"cluster":{"worker":["a:1",5]},"task":{"type":"worker","index":0}})"),
              HasSubstr("cluster.worker[1]: expected \"host:port\", got 5"));
  EXPECT_THAT(error(R"({"cluster":{"worker":"a:1"},"task":{"type":"worker","index":0}})"),
              HasSubstr("cluster.worker: expected a list or an object"));
  EXPECT_THAT(error(R"({"cluster":{"worker":["a:1"]},"task":{"type":"worker","index":1}})"),
              HasSubstr("which the cluster does not list"));
  EXPECT_THAT(error(R"({"cluster":{"worker":["a:1"]},"task":{"type":"worker","index":"one"}})"),
              HasSubstr("task.index"));
  EXPECT_THAT(error(R"({"cluster":{"worker":["a:1"]},"task":{"type":"ps","index":0}})"),
              HasSubstr("/job:ps/task:0"));
  EXPECT_THAT(error(R"({"cluster":{"chief":["a:1","b:1"]},"task":{"type":"chief","index":0}})"),
              HasSubstr("at most 1"));
  EXPECT_THAT(error(R"({"cluster":{"worker":["a:1"],"worker":["b:1"]}})"), HasSubstr("given twice"));
}

TEST(TfConfig, WithoutMpirunTheAddressesConnectTheWorkers) {
  const auto resolve = [](const std::string& text) {
    return ResolveCluster("auto", Env({{"TF_CONFIG", text}}));
  };
  const Cluster cluster = resolve(
      R"({"cluster":{"chief":["a:1"],"worker":["b:1","a:2","b:2"]},"task":{"type":"worker","index":2}})");
  EXPECT_EQ(cluster.communicator, "tcp");
  EXPECT_EQ(cluster.rank, 3);
  EXPECT_EQ(cluster.local_size, 2);
  EXPECT_EQ(cluster.local_rank, 1);
  // One worker is alone; parameter servers have their own ways; evaluators stand apart.
  EXPECT_EQ(resolve(R"({"cluster":{"worker":["a:1"]},"task":{"type":"worker","index":0}})")
                .communicator,
            "");
  for (const char* task : {"chief", "worker", "evaluator"}) {
    EXPECT_EQ(resolve(std::string(kFull) + task + R"(","index":0}})").communicator, "") << task;
  }
}

TEST(TfConfig, MustAgreeWithMpirun) {
  const std::string text =
      R"({"cluster":{"worker":["a:1","b:1"]},"task":{"type":"worker","index":1}})";
  std::map<std::string, std::string> vars{
      {"TF_CONFIG", text}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "1"}};
  const Cluster cluster = ResolveCluster("auto", Env(vars));
  EXPECT_EQ(cluster.resolver, "tf_config");
  EXPECT_EQ(cluster.communicator, "mpi");
  vars["OMPI_COMM_WORLD_RANK"] = "0";
  EXPECT_THAT(ErrorOf([&] { ResolveCluster("auto", Env(vars)); }), HasSubstr("mpirun says rank 0"));
}

}  // namespace
}  // namespace tributary
