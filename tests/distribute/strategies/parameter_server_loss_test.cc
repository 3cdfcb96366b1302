// A worker is lost at the worst moment: after one server had its push of a step, and before
// another had. Its next life does its part again.

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "distribute/ps/protocol.h"
#include "tests/distribute/strategies/ps_cluster.h"

namespace tributary {
namespace {

using namespace ps_test;

// Takes worker 1's push of step `at` from server `deaf`, in its first life.
class BetweenTwoServers {
 public:
  BetweenTwoServers(PsCluster* cluster, int deaf, int64_t at)
      : cluster_(*cluster), deaf_(deaf), at_(at) {
    cluster_.SetTap([this](int server, const Request& request, Responder* responder) {
      return Take(server, request, responder);
    });
  }
  // Until the other server has completed the step.
  void Wait() {
    taken_.get_future().wait();
    while (cluster_.server(1 - deaf_).stats().applied_steps <= at_) std::this_thread::yield();
  }
  // The worker ends as it would by any error that does not pass.
  void Release() { responder_.Fail(InternalError("this life is over")); }

 private:
  bool Take(int server, const Request& request, Responder* responder) {
    if (server != deaf_ || request.header.worker != 1 || !ps::IsPush(request.header.kind)) {
      return false;
    }
    ps::StepMessage message;
    message.Parse(request.control);
    if (message.control.step != at_ || std::exchange(done_, true)) return false;
    responder_ = std::move(*responder);
    taken_.set_value();
    return true;
  }

  PsCluster& cluster_;
  const int deaf_;
  const int64_t at_;
  bool done_ = false;  // that server's thread
  Responder responder_;
  std::promise<void> taken_;
};

Trained TrainWithALoss(const Job& job, int deaf, int64_t at) {
  static std::atomic<int> number{0};
  PsCluster cluster(Config(2, ps::Consistency::kSync, 2), fmt::format("loss-{}", number++));
  BetweenTwoServers accident(&cluster, deaf, at);
  std::jthread other([&] { cluster.Work(job, 0); });
  std::jthread lost([&] { EXPECT_THROW(cluster.Work(job, 1), InternalError); });
  std::jthread next([&] {
    accident.Wait();
    cluster.Work(job, 1);
  });
  Trained trained = Train(job, cluster.Chief());
  accident.Release();
  cluster.coordinator().End("");
  return trained;
}

TEST(PsLoss, AWorkerThatDiesBetweenTwoServersPushesChangesNoBit) {
  for (const char* optimizer : {"SGD", "Adam"}) {
    const Job job{.optimizer = optimizer};
    const Trained clean = TrainOnCluster(job, Config(2, ps::Consistency::kSync, 2),
                                         fmt::format("undisturbed-{}", optimizer));
    for (const int64_t at : {0, 1, 4, 5, 9, 13}) {
      for (int deaf = 0; deaf < 2; ++deaf) {
        SCOPED_TRACE(fmt::format("{}, step {}, server {}", optimizer, at, deaf));
        ExpectSameBits(TrainWithALoss(job, deaf, at), clean);
      }
    }
  }
}

}  // namespace
}  // namespace tributary
