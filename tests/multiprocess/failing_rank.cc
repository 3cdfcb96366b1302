// A job in which one rank goes wrong at its third step.
//   failing_rank WAIT FAULT VICTIM
// WAIT: what the ranks wait in: allreduce (MPI), barrier (MPI), window (shared
// memory), recv, fit (MultiWorkerMirrored). FAULT: kill, stop, throw, abort, exit0, exit3,
// loop (computes for ever, its heartbeat goes on), slow (for 6 s), none.

#include <signal.h>
#include <unistd.h>

#include <iostream>

#include "distribute/comm/node_shared/node_group.h"
#include "distribute/job/job_context.h"
#include "distribute/strategies/multi_worker_mirrored.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

void GoWrong(JobContext& job, const std::string& fault) {
  // On the clock that every process of a machine reads alike.
  const double now = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
  std::cerr << fmt::format("FAULT {} rank {} at {:.3f}\n", fault, job.world().rank(), now);
  if (fault == "kill") raise(SIGKILL);
  if (fault == "stop") raise(SIGSTOP);
  if (fault == "throw") throw InvalidArgumentError("[test] bad record 17");
  if (fault == "abort") job.world().Abort("[test] no more data");
  if (fault == "exit0") exit(0);
  if (fault == "exit3") _exit(3);
  const auto start = Clock::now();
  for (std::atomic<uint64_t> work{0}; fault == "loop" || fault == "slow"; ++work) {
    if (fault == "slow" && Clock::now() - start > Millis(6000)) return;
  }
}

// Goes wrong where an update of the model begins.
class FaultySchedule final : public LearningRateSchedule {
 public:
  explicit FaultySchedule(std::function<void()> fault) : fault_(std::move(fault)) {}
  double At(int64_t step) const override {
    if (step == 5) fault_();
    return 0.1;
  }

 private:
  std::function<void()> fault_;
};

std::function<void()> fault_of_fit;
REGISTER_SCHEDULE(OptionTable{"FaultySchedule", "Goes wrong.", {}, {}},
                  [](const Options&) -> SchedulePtr {
                    return std::make_shared<FaultySchedule>(fault_of_fit);
                  });

void Fit(JobContext& job) {
  Trainer trainer(Sequential::Make({MakeLayer("Dense", {{"units", 3}})}),
                  {.loss = Losses().Make("MeanSquaredError", {}),
                   .optimizer = Optimizers().Make(
                       "SGD", {{"learning_rate", OptionNode{{"FaultySchedule", OptionNode{}}}}}),
                   .strategy = std::make_shared<MultiWorkerMirrored>(job)});
  const std::vector<float> ones(96, 1.0f);
  const data::Dataset data =
      data::Dataset::FromTensorSlices({Tensor::FromVector(ones, {32, 3}),
                                       Tensor::FromVector(ones, {32, 3})});
  trainer.Fit(data.Batch(4), {.epochs = 2});
}

void Train(JobContext& job, const std::string& wait, const std::string& fault, int victim) {
  if (wait == "fit") {
    fault_of_fit = [&] {
      if (job.world().rank() == victim) GoWrong(job, fault);
    };
    return Fit(job);
  }
  const auto host = job.world().Split(job.hosts().host, job.world().rank());
  NodeGroup window(host, job.hosts().RanksOf(job.hosts().host), job.options().timeout);
  const int size = job.world().size(), rank = job.world().rank();
  std::vector<float> values(1000, 1.0f);
  for (int step = 0; step < 5; ++step) {
    if (step == 3 && rank == victim) GoWrong(job, fault);
    if (wait == "allreduce") job.world().AllReduce(values, ReduceOp::kSum);
    if (wait == "barrier") job.world().Barrier();
    if (wait == "window") window.Barrier();
    if (wait == "recv") {
      job.world().Send(std::vector<int32_t>{step}, (rank + 1) % size);
      std::vector<int32_t> got(1);
      job.world().Recv(got, (rank + size - 1) % size);
    }
  }
}

int Run(const std::string& wait, const std::string& fault, int victim) {
  std::unique_ptr<JobContext> job;
  try {
    job = JobContext::Connect(ResolveCluster());
    Train(*job, wait, fault, victim);
    job->Finish();
    return 0;
  } catch (const UnavailableError& e) {
    std::cerr << "UNWOUND " << e.what() << std::endl;
    job->ReportFailure(e.what());
    return kExitPeersLost;
  } catch (const std::exception& e) {
    std::cerr << "RAISED " << e.what() << std::endl;
    if (job) job->ReportFailure(e.what());
    return 1;
  }
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  // As launch does: mpirun's SIGTERM asks for an orderly end and gives a second.
  signal(SIGTERM, SIG_IGN);
  return tributary::Run(argv[1], argv[2], std::atoi(argv[3]));
}
