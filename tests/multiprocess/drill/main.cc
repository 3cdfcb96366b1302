// A drill of parameter servers: real servers and workers are killed and stopped at random
// while workers push whole numbers, so that what the servers hold in the end is known
// exactly: every batch once on every server, over restarts and evictions.
//
//   ps_drill FAULTS [SEED [async|bounded|sync]]
//
// Each batch has a row of its own on every server, with a column for each worker: -1 is
// added by whoever pushes it. Dense variables add the batches' numbers up. async, bounded:
// each batch is one worker's; sync: each worker's part of it is there once, and nobody is ever
// evicted (who is stopped comes back within the grace).
//
// Exit code 0: all is exact, no request waited for more than ten seconds beside the time
// in which somebody was stopped, and the job went on all the time.

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "core/base/logging.h"
#include "launch/roles/supervise.h"
#include "tests/multiprocess/drill/chief.h"
#include "tests/multiprocess/drill/members.h"

namespace tributary::drill {
namespace {

namespace fs = std::filesystem;

// A member under its supervisor; both end with this process.
pid_t Launch(const Drill& drill, const std::string& name, const std::function<int()>& body) {
  std::fflush(nullptr);
  const pid_t parent = getpid(), pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  const std::string log = drill.dir + "/" + name + ".log";
  if (!std::freopen(log.c_str(), "a", stderr)) _exit(1);
  _exit(RunSupervised(name.c_str(), 1'000'000, [&](int) {
    try {
      return body();
    } catch (const std::exception& error) {
      LogError("[drill] {}: {}", name, error.what());
      return 1;
    }
  }));
}

// Requests of workers that took too long.
int CountSlow(const Drill& drill, const Injector& injector, double* longest) {
  int slow = 0;
  for (int w = 0; w < kWorkers; ++w) {
    std::ifstream file(fmt::format("{}/worker-{}.slow", drill.dir, w));
    double begin = 0, end = 0;
    std::string what;
    while (file >> begin >> end >> what) {
      const double waited = end - begin - injector.Stopped(begin, end);
      *longest = std::max(*longest, waited);
      if (waited <= kLongestWait) continue;
      ++slow;
      std::printf("SLOW: %s of worker %d took %.1f s\n", what.c_str(), w, end - begin);
    }
  }
  return slow;
}

int Run(int faults, uint32_t seed, const std::string& mode) {
  std::string dir = (fs::temp_directory_path() / "ps_drill_XXXXXX").string();
  if (!mkdtemp(dir.data())) return 1;
  const Drill drill{dir, mode == "sync"      ? ps::Consistency::kSync
                         : mode == "bounded" ? ps::Consistency::kBounded
                                             : ps::Consistency::kAsync};
  fmt::print("drill in {}: {} faults, seed {}, {}\n", dir, faults, seed, mode);
  std::vector<pid_t> children;
  for (int s = 0; s < kServers; ++s) {
    children.push_back(
        Launch(drill, fmt::format("ps-{}", s), [&, s] { return RunServer(drill, s); }));
  }
  for (int w = 0; w < kWorkers; ++w) {
    children.push_back(
        Launch(drill, fmt::format("worker-{}", w), [&, w] { return RunWorker(drill, w); }));
  }
  SetLogFile(dir + "/chief.log");
  SetLogPrefix("chief");
  SetLogLevel(LogLevel::kInfo);
  const double start = Now();
  DrillChief chief(drill);
  Injector injector(drill, faults, seed);
  const bool moved = chief.Train(injector);
  if (!moved) {
    std::fflush(stdout);
    _exit(1);  // takes all others with it
  }
  injector.Join();
  const int wrong = chief.Judge();
  const uint32_t losses = chief.losses();
  const uint64_t bases = chief.bases();
  chief.End();
  int failed = 0;
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    failed += !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  double longest = 0;
  const int slow = CountSlow(drill, injector, &longest);
  fmt::print("{}: {} kills, {} stops, {} workers lost, {} batches, {} saves and at least {} bases "
             "in {:.1f} s; {} wrong, {} waited too long (longest {:.1f} s), {} ended badly\n",
             wrong + slow + failed == 0 ? "PASSED" : "FAILED", injector.kills, injector.stops,
             losses, chief.batches(), chief.saves(), bases, Now() - start, wrong, slow, longest,
             failed);
  if (wrong + slow + failed != 0) return 1;
  fs::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace tributary::drill

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) return 64;
  const auto seed = static_cast<uint32_t>(argc > 2 ? std::atoi(argv[2]) : 1);
  return tributary::drill::Run(std::atoi(argv[1]), seed, argc > 3 ? argv[3] : "async");
}
