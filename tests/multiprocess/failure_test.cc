// A rank that dies, hangs, raises or leaves: every other one ends within 10
// seconds with an error that names it, and no exit code is 0. Also where mpirun
// keeps the others alive (--enable-recovery).

#include <gmock/gmock.h>

#include "tests/multiprocess/mpirun.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Case {
  const char *wait, *fault;
  int ranks, victim, fake_hosts;
  const char* reason;  // the part of the message after the rank
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.fault << " while waiting in " << c.wait << ", rank " << c.victim << " of " << c.ranks
       << ", hosts " << c.fake_hosts;
}

class FailingRank : public testing::TestWithParam<Case> {
 protected:
  Outcome Run(const std::string& flags) {
    const Case& c = GetParam();
    MpirunOptions options{.flags = flags, .seconds = 40};
    if (c.fake_hosts > 0) {
      options.environment.push_back("TRIBUTARY_FAKE_HOSTS=" + std::to_string(c.fake_hosts));
    }
    // The shell tells the exit code of each rank, which mpirun does not.
    const std::string script = "'\"$0\" \"$@\"; echo \"ENDED $OMPI_COMM_WORLD_RANK code $?.\"'";
    const std::string program = std::string("sh -c ") + script + " " FAILING_RANK_PROGRAM " " +
                                c.wait + " " + c.fault + " " + std::to_string(c.victim);
    return Mpirun(c.ranks, program, options);
  }
  std::string Named() const {
    return "the job has failed: rank " + std::to_string(GetParam().victim) + " ";
  }
};

TEST_P(FailingRank, EndsTheOthersWithItsName) {
  const Case& c = GetParam();
  const Outcome outcome = Run("--enable-recovery");
  SCOPED_TRACE(outcome.output);
  EXPECT_GE(outcome.seconds_after_fault, 0);
  EXPECT_LT(outcome.seconds_after_fault, 10);
  EXPECT_THAT(outcome.output, HasSubstr(Named()));
  EXPECT_THAT(outcome.output, HasSubstr(c.reason));
  for (int r = 0; r < c.ranks; ++r) {
    const std::string ended = "ENDED " + std::to_string(r) + " code ";
    if (r != c.victim) {
      EXPECT_THAT(outcome.output, HasSubstr(ended + "69."));
      EXPECT_THAT(outcome.output, HasSubstr("[worker " + std::to_string(r) + "@"));
    } else if (std::string(c.fault) != "exit0") {
      EXPECT_THAT(outcome.output, Not(HasSubstr(ended + "0.")));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Faults, FailingRank,
    testing::Values(Case{"allreduce", "kill", 3, 1, 0, ") died"},
                    Case{"window", "kill", 2, 0, 0, ") died"},
                    Case{"allreduce", "stop", 2, 1, 0, "(the process is stopped)"},
                    Case{"window", "stop", 3, 0, 0, "(the process is stopped)"},
                    Case{"allreduce", "throw", 2, 0, 0, "failed: [test] bad record 17"},
                    Case{"barrier", "throw", 4, 3, 0, "failed: [test] bad record 17"},
                    Case{"recv", "abort", 3, 2, 0, "gave up: [test] no more data"},
                    Case{"allreduce", "exit0", 2, 1, 0, ") died"},
                    Case{"window", "exit3", 2, 1, 0, ") died"},
                    Case{"allreduce", "kill", 4, 2, 2, ""},
                    Case{"allreduce", "throw", 4, 3, 2, "bad record 17"}));

class UnderPlainMpirun : public FailingRank {};

TEST_P(UnderPlainMpirun, ExitCodeIsNotZero) {
  const Outcome outcome = Run("");
  SCOPED_TRACE(outcome.output);
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.exit_code, 124) << "mpirun had to be killed";
  EXPECT_GE(outcome.seconds_after_fault, 0);
  EXPECT_LT(outcome.seconds_after_fault, 10);
  EXPECT_THAT(outcome.output, HasSubstr(GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(Faults, UnderPlainMpirun,
                         testing::Values(Case{"allreduce", "kill", 2, 1, 0, ""},
                                         Case{"window", "stop", 2, 1, 0, ""},
                                         Case{"allreduce", "throw", 2, 0, 0, ""},
                                         Case{"window", "exit0", 2, 1, 0, ""},
                                         // Across hosts the leaders find out.
                                         Case{"recv", "stop", 2, 1, 2, "hangs or is lost"}));

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

// A rank that computes for ever looks alive; the deadline of the others' call ends
// the job and names it.
TEST(HungComputation, DeadlineOfABlockingCallNamesWhoIsMissing) {
  const Outcome outcome = Mpirun(2, FAILING_RANK_PROGRAM " allreduce spin 1",
                                 {.environment = {"TRIBUTARY_COMM_TIMEOUT_MS=3000"}});
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_LT(outcome.seconds_after_fault, 10);
  EXPECT_THAT(outcome.output, HasSubstr("the deadline of AllReduce on rank 0 has passed; it "
                                        "waits for rank 1"));
}

}  // namespace
}  // namespace tributary
