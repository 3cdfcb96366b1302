#pragma once
// A rank that is made to fail while the others wait for it, and what is expected of them
// then: tables of these serve every way to start a job.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "tests/multiprocess/mpirun.h"

namespace tributary {

struct RankFault {
  const char *wait, *fault;
  int ranks, victim;
  int fake_hosts;      // 0: all on this one
  const char* reason;  // the part of the message after the rank
};

inline void PrintTo(const RankFault& f, std::ostream* out) {
  *out << f.fault << " while waiting in " << f.wait << ", rank " << f.victim << " of " << f.ranks
       << ", hosts " << f.fake_hosts;
}

// The program that has the fault, and its arguments; "none" as the fault: it ends well.
inline std::string FailingRankCommand(const RankFault& f) {
  return std::string(FAILING_RANK_PROGRAM " ") + f.wait + " " + f.fault + " " +
         std::to_string(f.victim);
}

// For the shell, after a rank's command: tells how it has ended, which mpirun does not.
inline std::string EchoEnd(const std::string& rank) {
  return "echo \"ENDED " + rank + " code $?.\"";
}
inline std::string Ended(int rank, int code) {
  return "ENDED " + std::to_string(rank) + " code " + std::to_string(code) + ".";
}

// Everything was over soon after the fault, with the reason.
inline void ExpectEndOfFault(const Outcome& outcome, const RankFault& f) {
  EXPECT_GE(outcome.seconds_after_fault, 0);
  EXPECT_LT(outcome.seconds_after_fault, 10);
  EXPECT_THAT(outcome.output, testing::HasSubstr(f.reason));
}

// And the others all ended with `blame` and the code for a lost process, while the victim's
// code is not that of success, unless that was the fault. Needs the ranks' EchoEnd.
inline void ExpectOthersBlame(const Outcome& outcome, const RankFault& f,
                              const std::string& blame) {
  ExpectEndOfFault(outcome, f);
  EXPECT_THAT(outcome.output, testing::HasSubstr(blame));
  for (int r = 0; r < f.ranks; ++r) {
    if (r == f.victim) continue;
    EXPECT_THAT(outcome.output, testing::HasSubstr(Ended(r, 69)));
  }
  if (std::string(f.fault) == "exit0") return;
  EXPECT_THAT(outcome.output, testing::Not(testing::HasSubstr(Ended(f.victim, 0))));
}

}  // namespace tributary
