#include "launch/roles/train.h"

#include <cstdio>

#include "core/base/logging.h"
#include "core/base/strings.h"
#include "core/io/env.h"
#include "distribute/job/job_context.h"
#include "launch/cli/exit_codes.h"
#include "launch/roles/callbacks.h"
#include "launch/roles/connected.h"
#include "launch/roles/evaluator.h"
#include "launch/roles/job_run.h"
#include "launch/roles/parameter_servers.h"
#include "launch/roles/result.h"
#include "launch/roles/run_dir.h"
#include "launch/roles/stop_signals.h"
#include "launch/roles/terminal.h"
#include "trainer/callbacks/progress.h"
#include "trainer/strategy/one_device.h"

namespace tributary {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kAttempts = 100;  // of a training that is aborted

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// One process's part in the training of a job.
class TrainRole {
 public:
  TrainRole(const JobConfig& job, const TrainOptions& options, JobContext* context,
            StrategyMaker make_strategy)
      : job_(job), options_(options), context_(*context), make_strategy_(std::move(make_strategy)),
        dir_(job), chief_(context->cluster().is_chief) {
    result_.job = job.name;
    result_.hash = job.Hash();
    result_.processes = options.processes > 0 ? options.processes : context->cluster().world_size;
  }

  int Run() {
    try {
      Enter();
      const int code = TrainUntilDone();
      result_.status = code == kExitOk ? "done" : "stopped";
      result_.exit_code = code;
      WriteResult();
      if (chief_ && !options_.quiet) Report();
      return code;
    } catch (const std::exception& e) {
      result_.status = "failed";
      result_.error = e.what();
      result_.exit_code = ExitCodeOf(e);
      WriteResult();
      throw;
    }
  }

 private:
  void Enter() {
    if (context_.cluster().role() != Role::kTrainer) {
      throw FailedPreconditionError("[job] a task of type '{}' takes part in jobs with `strategy: "
                                    "parameter_server`; this job's has chief and workers",
                                    context_.cluster().task.type);
    }
    const std::string moves = RunOnChief(context_, [&] {
      dir_.CheckWritable();
      return dir_.WouldMoveAside(job_, options_.fresh) ? "moves" : "";
    });
    if (!moves.empty()) TryJob();
    RunOnChief(context_, [&] {
      dir_.Prepare(job_, options_.fresh);
      return "";
    });
    entered_ = true;
    const Task& task = context_.cluster().task;
    SetLogFile(dir_.log_file(task.type, task.index));
    SetComputeThreads(job_, options_.processes_here > 0 ? options_.processes_here
                                                        : context_.cluster().local_size);
  }

  // A job that cannot train leaves an earlier run where it is.
  void TryJob() {
    RunAlike(context_, [&] {
      return JobRun(job_, std::make_shared<OneDeviceStrategy>()).Prepare();
    });
  }

  // What a strategy aborts goes on from the last checkpoint, in this process.
  int TrainUntilDone() {
    for (int attempt = 1;; ++attempt) {
      try {
        return Train();
      } catch (const AbortedError& e) {
        if (attempt == kAttempts) throw;
        LogWarning("[job] {}; step {} was reached; all go back to the last checkpoint", e.what(),
                   reached_);
      }
    }
  }

  int Train() {
    std::shared_ptr<Strategy> strategy = make_strategy_();
    std::optional<JobRun> made;
    RunAlike(context_, [&] {
      made.emplace(job_, strategy);
      return made->Prepare();
    });
    JobRun& run = *made;
    Trainer& trainer = *run.trainer;
    FitOptions fit = MakeFitOptions(job_, run);
    fit.callbacks = MakeCallbacks(job_, dir_, options_.quiet);
    run.Build();
    if (chief_) {
      LogStart(run, strategy->Describe());
    }
    const StopSignals signals(&trainer);
    const Clock::time_point start = Clock::now();
    try {
      result_.history = trainer.Fit(*run.train, fit);
    } catch (const AbortedError&) {
      reached_ = trainer.step();
      throw;
    } catch (const NonFiniteError&) {
      throw;
    } catch (const Error& e) {
      // Another process's NaN is the end of all, in its words and with one exit code.
      const std::string text = e.what();
      const size_t words = text.find(NonFiniteError::kWords);
      if (words == std::string::npos) throw;
      throw NonFiniteError(trainer.step(), "", text.substr(text.rfind('[', words)));
    }
    result_.wall_seconds = SecondsSince(start);
    result_.steps = trainer.step();
    result_.epochs = trainer.Save().epoch;
    int64_t examples = 0;
    for (size_t i = 0; i < result_.history.epochs.size(); ++i) examples += PassExamples(run);
    result_.examples_per_second = examples / std::max(result_.wall_seconds, 1e-9);
    if (signals.received() != 0 && result_.history.stopped_early) {
      if (chief_) LogWarning("[job] told to stop: saved at step {}", trainer.step());
      return kExitPreempted;
    }
    MeasureTest(run);
    return kExitOk;
  }

  void LogStart(const JobRun& run, const std::string& strategy) const {
    LogEvent(LogLevel::kInfo,
             fmt::format("[job] {} (hash {}): {}; {} parameters; {} examples, batches of {}; "
                         "run_dir {}",
                         job_.name, result_.hash, strategy, run.model->CountParams(),
                         run.train->rows(), run.train->batch_size(), dir_.path()),
             {{"hash", result_.hash},
              {"processes", result_.processes},
              {"strategy", strategy},
              {"parameters", run.model->CountParams()},
              {"examples", run.train->rows()},
              {"batch", run.train->batch_size()},
              {"run_dir", dir_.path()}});
  }

  static int64_t PassExamples(const JobRun& run) {
    const int64_t steps = run.trainer->steps_per_epoch();
    return std::min(steps * run.train->batch_size(), run.train->rows());
  }

  // The last validation was on the test set, unless there is one of its own; and of these
  // weights, unless others were taken or the training went on.
  void MeasureTest(JobRun& run) {
    if (!run.test) return;
    const Logs* last = result_.history.logs.empty() ? nullptr : &result_.history.logs.back();
    if (run.validation || !last || !last->Find("val_loss") || result_.history.weights_set ||
        run.trainer->Save().step_in_epoch > 0) {
      run.trainer->SyncReplicas();
      result_.test = run.trainer->Evaluate(*run.test);
      return;
    }
    for (const auto& [name, value] : *last) {
      if (StartsWith(name, "val_")) result_.test.Set(name.substr(4), value);
    }
  }

  void WriteResult() {
    if (!chief_ || !entered_) return;
    try {
      Env* env = PosixEnv();
      const std::string& file = dir_.result_file();
      const std::string before = env->Exists(file) ? ReadFile(env, file) : "";
      WriteFileAtomically(env, file, ResultJson(result_, before));
    } catch (const std::exception& e) {
      LogError("[job] {} can't be written: {}", dir_.result_file(), e.what());
    }
  }

  void Report() {
    if (GetLogFormat() == LogFormat::kJson) return LogResult();
    fmt::print("{}: {} steps, {} epochs in {:.1f} s\n", job_.name, result_.steps, result_.epochs,
               result_.wall_seconds);
    if (!result_.test.empty()) fmt::print("test: {}\n", FormatLogs(result_.test));
    fmt::print("checkpoints: {}\nsummaries:   {}\nresult:      {}\n", dir_.checkpoints(),
               dir_.summaries(), dir_.result_file());
    std::fflush(stdout);
  }

  void LogResult() const {
    LogFields fields = {{"status", result_.status},
                        {"exit_code", int64_t{result_.exit_code}},
                        {"steps", result_.steps},
                        {"epochs", result_.epochs},
                        {"wall_seconds", result_.wall_seconds},
                        {"checkpoints", dir_.checkpoints()},
                        {"summaries", dir_.summaries()},
                        {"result", dir_.result_file()}};
    for (const auto& [name, value] : result_.test) fields.emplace_back("test_" + name, value);
    LogEvent(LogLevel::kInfo, fmt::format("[job] {}: {} steps, {} epochs", result_.status,
                                          result_.steps, result_.epochs),
             fields);
  }

  const JobConfig& job_;
  const TrainOptions options_;
  JobContext& context_;
  const StrategyMaker make_strategy_;
  const RunDir dir_;
  const bool chief_;
  bool entered_ = false;
  int64_t reached_ = 0;  // the step at which an attempt was aborted
  RunResult result_;
};

}  // namespace

int TrainInJob(const JobConfig& job, const TrainOptions& options, JobContext& context,
               const StrategyMaker& make_strategy) {
  return TrainRole(job, options, &context, make_strategy).Run();
}

int TrainJob(const JobConfig& job, const TrainOptions& options) {
  if (ResolveCluster(job.cluster().String("resolver")).role() == Role::kEvaluator) {
    return RunEvaluator(job);
  }
  if (const std::optional<PsPlace> place = FindPsPlace(job)) {
    return TrainWithParameterServers(job, options, *place);
  }
  return RunConnected(job, [&](JobContext& context) {
    return TrainInJob(job, options, context, [&] { return MakeStrategy(job, context); });
  });
}

}  // namespace tributary
