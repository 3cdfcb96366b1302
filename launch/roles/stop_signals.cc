#include "launch/roles/stop_signals.h"

#include <atomic>
#include <csignal>

#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

constexpr int kSignals[] = {SIGTERM, SIGINT, SIGUSR1};
std::atomic<Trainer*> stopped{nullptr};
std::atomic<int> last_signal{0};

void OnSignal(int number) {
  if (last_signal.exchange(number) != 0) {
    std::signal(number, SIG_DFL);
    std::raise(number);
    return;
  }
  if (Trainer* trainer = stopped.load()) trainer->RequestStop();
}

}  // namespace

StopSignals::StopSignals(Trainer* trainer) {
  last_signal = 0;
  stopped = trainer;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (const int number : kSignals) sigaction(number, &action, nullptr);
}

StopSignals::~StopSignals() {
  for (const int number : kSignals) std::signal(number, SIG_DFL);
  stopped = nullptr;
}

int StopSignals::received() const { return last_signal; }

}  // namespace tributary
