#include "launch/roles/evaluator.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <thread>

#include "core/base/logging.h"
#include "core/io/env.h"
#include "distribute/job/job_context.h"
#include "launch/cli/exit_codes.h"
#include "launch/roles/job_run.h"
#include "launch/roles/result.h"
#include "launch/roles/run_dir.h"
#include "launch/roles/stop_signals.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_state.h"
#include "trainer/summary/summary_writer.h"

namespace tributary {
namespace {

using FileTime = std::filesystem::file_time_type;

constexpr std::chrono::milliseconds kLook{500};
std::atomic<int> told{0};

class Evaluator {
 public:
  Evaluator(const JobConfig& job, const std::string& set)
      : dir_(job), run_(job, MakeLocalStrategy(job), JobData::kWithoutTrain),
        set_(!set.empty() ? set : run_.validation ? "validation" : "test"),
        summaries_(EventFileOptions{dir_.summaries() + "/evaluator"}) {
    run_.Set(set_);
    run_.Prepare();
  }

  int Run() {
    while (told == 0) {
      // In this order: a checkpoint that is older than the end of the training is seen.
      const bool ended = TrainingHasEnded();
      const std::string newest = LatestCheckpoint(PosixEnv(), dir_.checkpoints());
      if (!newest.empty() && newest != last_) {
        Measure(newest);
      } else if (ended) {
        return kExitOk;
      } else {
        std::this_thread::sleep_for(kLook);
      }
    }
    return kExitPreempted;
  }

 private:
  // Since this evaluator has begun.
  bool TrainingHasEnded() const {
    std::error_code none;
    const FileTime written = std::filesystem::last_write_time(dir_.result_file(), none);
    return !none && written >= start_;
  }

  void Measure(const std::string& checkpoint) {
    try {
      run_.RestoreModel(checkpoint);
    } catch (const NotFoundError& e) {
      LogWarning("[evaluator] {} was retired before it was read: {}", checkpoint, e.what());
      last_ = checkpoint;
      return;
    }
    const int64_t step = CheckpointFile(PosixEnv(), checkpoint).Extra("step").item<int64_t>();
    const Logs logs = run_.trainer->Evaluate(run_.Set(set_));
    for (const auto& [name, value] : logs) summaries_.Scalar("epoch_" + name, value, step);
    summaries_.Flush();
    LogInfo("[evaluator] step {}: {} {}", step, set_, FormatLogs(logs));
    last_ = checkpoint;
  }

  const FileTime start_ = FileTime::clock::now();
  const RunDir dir_;
  JobRun run_;
  const std::string set_;
  SummaryWriter summaries_;
  std::string last_;
};

}  // namespace

int RunEvaluator(const JobConfig& job, const std::string& set) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    if (number != SIGHUP || !IgnoresHangUp()) std::signal(number, [](int n) { told = n; });
  }
  Cluster alone;
  alone.task = {kEvaluator, 0};
  alone.is_chief = false;
  alone.host = HostName();
  const auto context = JobContext::Connect(alone);
  const int code = Evaluator(job, set).Run();
  context->Finish();
  return code;
}

}  // namespace tributary
