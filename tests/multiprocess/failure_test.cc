// A rank that dies, hangs, raises or leaves: every other one ends within 10
// seconds with an error that names it, and no exit code is 0. Also where mpirun
// keeps the others alive (--enable-recovery).

#include <gmock/gmock.h>

#include "tests/multiprocess/rank_fault.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::Not;

class FailingRank : public testing::TestWithParam<RankFault> {
 protected:
  Outcome Run(const std::string& flags) {
    const RankFault& c = GetParam();
    MpirunOptions options{.flags = flags, .seconds = 40};
    if (c.fake_hosts > 0) {
      options.environment.push_back("TRIBUTARY_FAKE_HOSTS=" + std::to_string(c.fake_hosts));
    }
    const std::string script = "'\"$0\" \"$@\"; " + EchoEnd("$OMPI_COMM_WORLD_RANK") + "'";
    const std::string program = "sh -c " + script + " " + FailingRankCommand(c);
    return Mpirun(c.ranks, program, options);
  }
};

TEST_P(FailingRank, EndsTheOthersWithItsName) {
  const RankFault& c = GetParam();
  const Outcome outcome = Run("--enable-recovery");
  SCOPED_TRACE(outcome.output);
  ExpectOthersBlame(outcome, c, "the job has failed: rank " + std::to_string(c.victim) + " ");
  for (int r = 0; r < c.ranks; ++r) {
    if (r == c.victim) continue;
    EXPECT_THAT(outcome.output, HasSubstr("[worker " + std::to_string(r) + "@"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Faults, FailingRank,
    testing::Values(RankFault{"allreduce", "kill", 3, 1, 0, ") died"},
                    RankFault{"window", "kill", 2, 0, 0, ") died"},
                    RankFault{"allreduce", "stop", 2, 1, 0, "(the process is stopped)"},
                    RankFault{"window", "stop", 3, 0, 0, "(the process is stopped)"},
                    RankFault{"allreduce", "throw", 2, 0, 0, "failed: [test] bad record 17"},
                    RankFault{"barrier", "throw", 4, 3, 0, "failed: [test] bad record 17"},
                    RankFault{"recv", "abort", 3, 2, 0, "gave up: [test] no more data"},
                    RankFault{"allreduce", "exit0", 2, 1, 0, ") died"},
                    RankFault{"window", "exit3", 2, 1, 0, ") died"},
                    RankFault{"allreduce", "kill", 4, 2, 2, ""},
                    RankFault{"allreduce", "throw", 4, 3, 2, "bad record 17"}));

class UnderPlainMpirun : public FailingRank {};

TEST_P(UnderPlainMpirun, ExitCodeIsNotZero) {
  const Outcome outcome = Run("");
  SCOPED_TRACE(outcome.output);
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.exit_code, 124) << "mpirun had to be killed";
  ExpectEndOfFault(outcome, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Faults, UnderPlainMpirun,
                         testing::Values(RankFault{"allreduce", "kill", 2, 1, 0, ""},
                                         RankFault{"window", "stop", 2, 1, 0, ""},
                                         RankFault{"allreduce", "throw", 2, 0, 0, ""},
                                         RankFault{"window", "exit0", 2, 1, 0, ""},
                                         // Across hosts the leaders find out.
                                         RankFault{"recv", "stop", 2, 1, 2, "hangs or is lost"}));

TEST(HealthyJob, EndsWithZero) {
  for (const char* wait : {"allreduce", "barrier", "window", "recv"}) {
    const Outcome outcome = Mpirun(3, std::string(FAILING_RANK_PROGRAM " ") + wait + " none 0");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_THAT(outcome.output, Not(HasSubstr("failed")));
  }
  const Outcome hosts = Mpirun(4, FAILING_RANK_PROGRAM " allreduce none 0",
                               {.environment = {"TRIBUTARY_FAKE_HOSTS=2"}});
  EXPECT_EQ(hosts.exit_code, 0) << hosts.output;
}

// A rank that computes for ever looks alive. Its own monitor sees that its step doesn't end
// while the others wait, here and on other hosts.
TEST(HungComputation, IsNamedWithinTenSeconds) {
  for (const int fake_hosts : {0, 2}) {
    const RankFault fault{"fit", "loop", 2, 1, fake_hosts, "hangs: the step after its first 5"};
    MpirunOptions options{.flags = "--enable-recovery", .seconds = 60};
    if (fake_hosts > 0) {
      options.environment.push_back("TRIBUTARY_FAKE_HOSTS=" + std::to_string(fake_hosts));
    }
    const std::string program = "sh -c '\"$0\" \"$@\"; " + EchoEnd("$OMPI_COMM_WORLD_RANK") +
                                "' " + FailingRankCommand(fault);
    const Outcome outcome = Mpirun(fault.ranks, program, options);
    SCOPED_TRACE(outcome.output);
    ExpectOthersBlame(outcome, fault, "the job has failed: rank 1 (pid ");
  }
}

TEST(HungComputation, ASlowStepIsNoFailure) {
  const Outcome outcome = Mpirun(2, FAILING_RANK_PROGRAM " fit slow 1");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, Not(HasSubstr("failed")));
}

// Where the ranks say nothing of steps, the deadline of the others' call names it.
TEST(HungComputation, DeadlineOfABlockingCallNamesWhoIsMissing) {
  const Outcome outcome = Mpirun(2, FAILING_RANK_PROGRAM " allreduce loop 1",
                                 {.environment = {"TRIBUTARY_COMM_TIMEOUT_MS=6000"}});
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_LT(outcome.seconds_after_fault, 10);
  EXPECT_THAT(outcome.output, HasSubstr("the deadline of AllReduce on rank 0 has passed; it "
                                        "waits for rank 1"));
}

}  // namespace
}  // namespace tributary
