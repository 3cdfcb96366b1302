#include "launch/roles/stop_signals.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

constexpr int kSignals[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};
std::atomic<Trainer*> stopped{nullptr};
std::atomic<int> last_signal{0};

// What is still said goes nowhere, instead of failing.
void LeaveLostTerminal() {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    termios settings;
    if (tcgetattr(fd, &settings) == 0 || errno != EIO) continue;
    const int null = open("/dev/null", O_WRONLY);
    if (null >= 0) dup2(null, fd), close(null);
  }
}

void OnSignal(int number) {
  // Comes twice when a terminal goes, and after systemd's SIGTERM: never a second request.
  if (number == SIGHUP) {
    const int kept = errno;
    LeaveLostTerminal();
    errno = kept;
    if (last_signal != 0) return;
  }
  const int before = last_signal.exchange(number);
  if (before != 0 && before != SIGHUP) {  // a session that ends may send both
    std::signal(number, SIG_DFL);
    std::raise(number);
    return;
  }
  if (Trainer* trainer = stopped.load()) trainer->RequestStop();
}

}  // namespace

bool IgnoresHangUp() {
  struct sigaction present = {};
  sigaction(SIGHUP, nullptr, &present);
  return present.sa_handler == SIG_IGN;
}

StopSignals::StopSignals(Trainer* trainer) {
  last_signal = 0;
  stopped = trainer;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (const int number : kSignals) {
    if (number != SIGHUP || !IgnoresHangUp()) sigaction(number, &action, nullptr);
  }
}

StopSignals::~StopSignals() {
  for (const int number : kSignals) {
    if (number != SIGHUP || !IgnoresHangUp()) std::signal(number, SIG_DFL);
  }
  stopped = nullptr;
}

int StopSignals::received() const { return last_signal; }

}  // namespace tributary
