#pragma once
// A parameter-server job of real processes, which tests watch, wound and end.
//
//   PsJob job(folder, "killed", {.consistency = "sync", .servers = 2, .workers = 2});
//   job.Start();
//   ASSERT_TRUE(job.WaitForStep(50));
//   job.Signal("ps-1", SIGKILL);
//   EXPECT_EQ(job.Wait(30), 0);
//
// Every wait ends by its deadline, and nothing that it has started outlives a PsJob.

#include <gtest/gtest.h>
#include <signal.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/temp_dir.h"

namespace tributary {

struct PsJobOptions {
  std::string consistency = "sync", carrier = "tcp";  // inproc: without mpirun
  int servers = 2, workers = 2;
  int64_t epochs = 2;  // of 64 steps
  std::string more;    // further arguments
};

class PsJob {
 public:
  // The run's folder is <folder>/<name>; several jobs may follow one another there.
  PsJob(const std::string& folder, const std::string& name, PsJobOptions options);
  ~PsJob();
  PsJob(const PsJob&) = delete;
  PsJob& operator=(const PsJob&) = delete;

  const std::string& run_dir() const { return run_dir_; }
  // Of the job as it is started; a relaunch may have others.
  PsJobOptions& options() { return options_; }

  // mpirun (or the process itself) is a child of this one, its output goes to a file.
  void Start();
  pid_t launcher() const { return launcher_; }
  // Its exit code, 128 + a signal; -1, and a failure of the test, when it does not end.
  int Wait(double seconds);
  int Run(double seconds = 30) {
    Start();
    return Wait(seconds);
  }

  // False, and a failure of the test with the job's output, when it did not come true.
  bool WaitFor(const std::string& what, double seconds, const std::function<bool()>& condition);
  // Until a checkpoint of at least this step is there: the job trains, and is past it.
  bool WaitForStep(int64_t step, double seconds = 30);
  // Until the output has `text` `times` times.
  bool WaitForOutput(const std::string& text, double seconds = 30, int times = 1);

  std::string Output() const;
  int Count(const std::string& text) const;
  int64_t LatestStep() const;  // of the checkpoints; 0: none
  // The present life of "worker-0", "ps-1": below the supervisor. 0: not there.
  pid_t PidOf(const std::string& task) const;
  void Signal(const std::string& task, int number);
  // All processes of this run, the launcher too.
  std::vector<pid_t> Processes() const;

 private:
  std::vector<std::string> CommandLine() const;

  const std::string folder_, run_dir_, output_file_;
  PsJobOptions options_;
  pid_t launcher_ = 0;
};

// What the newest checkpoint of a run holds: dense variables and their slots by name,
// rows by "<table>/<field>[<id>]".
using PsState = std::map<std::string, std::vector<float>>;
PsState FinalState(const std::string& run_dir);

// The largest difference of what both have; rows that one of them lacks do not count.
double LargestDifference(const PsState& a, const PsState& b);

// "/proc/<pid>/stat": 0 when it is gone.
pid_t ParentOf(pid_t pid);
bool IsThere(pid_t pid);  // a zombie is not

class PsJobTest : public testing::Test {
 protected:
  const TempDir folder_{"ps"};
};

}  // namespace tributary
