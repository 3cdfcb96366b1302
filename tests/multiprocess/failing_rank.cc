// A job in which one rank goes wrong at its third step.
//   failing_rank WAIT FAULT VICTIM
// WAIT: what the ranks wait in: allreduce (MPI), barrier (MPI), window (shared
// memory), recv. FAULT: kill, stop, throw, abort, exit0, exit3, spin, none.

#include <signal.h>
#include <unistd.h>

#include <iostream>

#include "distribute/comm/node_shared/node_group.h"
#include "distribute/job/job_context.h"

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
  while (fault == "spin") pause();
}

void Train(JobContext& job, const std::string& wait, const std::string& fault, int victim) {
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
