#include "launch/roles/supervise.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "launch/roles/stop_signals.h"

namespace tributary {
namespace {

constexpr std::chrono::seconds kGoodLife{60};  // who lives so long has not died in a row
constexpr int kPassedOn[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};
std::atomic<pid_t> child{0};
std::atomic<bool> told_to_stop{false};

void Install(const struct sigaction& action) {
  for (const int number : kPassedOn) {
    if (number != SIGHUP || !IgnoresHangUp()) sigaction(number, &action, nullptr);
  }
}

void PassOn(int number) {
  if (number == SIGHUP && told_to_stop) return;  // comes more than once: no second request
  told_to_stop = true;
  if (const pid_t pid = child.load(); pid > 0) kill(pid, number);
}

// The chief ends the job, and a child that it still needs must be there until then: the
// first signal that asks to stop is for who has a handler of its own (StopSignals).
void LetOnePass() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART | SA_RESETHAND;
  Install(action);
}

pid_t Start(const std::function<int(int)>& body, int life) {
  std::fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) throw UnavailableError("[job] fork: {}", std::strerror(errno));
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  // Launchers signal the whole group; what this process passes on would be a second one.
  setpgid(0, 0);
  LetOnePass();
  const int code = body(life);
  std::fflush(nullptr);
  _exit(code);  // what was set up before the fork is the parent's to take down
}

struct Ended {
  int status = 0;
  bool dismissed = false;  // it slept, and was not needed any more
};

Ended Wait(pid_t pid, const std::function<bool()>& over) {
  Ended ended;
  for (bool stopped = false;;) {
    const int flags = WUNTRACED | WCONTINUED | (stopped ? WNOHANG : 0);
    const pid_t got = waitpid(pid, &ended.status, flags);
    if (got == pid) {
      if (!WIFSTOPPED(ended.status) && !WIFCONTINUED(ended.status)) return ended;
      stopped = WIFSTOPPED(ended.status);
    } else if (got == 0) {
      if (over && over()) {
        ended.dismissed = true;
        kill(pid, SIGKILL);
        stopped = false;
      } else {
        usleep(200'000);
      }
    }
  }
}

}  // namespace

int RunSupervised(const char* what, int restarts, const std::function<int(int)>& body,
                  const std::function<bool()>& over) {
  struct sigaction action = {};
  action.sa_handler = PassOn;
  Install(action);
  for (int life = 1, deaths = 0;; ++life) {
    const auto begin = std::chrono::steady_clock::now();
    child = Start(body, life);
    const auto [status, dismissed] = Wait(child, over);
    child = 0;
    if (std::chrono::steady_clock::now() - begin > kGoodLife) deaths = 0;
    if (dismissed) {
      LogWarning("[job] {} was stopped when the job ended, and was killed", what);
      return 0;
    }
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    const int number = WTERMSIG(status);
    if (told_to_stop || ++deaths > restarts) {
      if (!told_to_stop) {
        LogError("[job] {} was killed by signal {} ({}) and is not started again: it has died {} "
                 "times in a row", what, number, strsignal(number), deaths);
      }
      return 128 + number;
    }
    LogWarning("[job] {} was killed by signal {} ({}); starting it again", what, number,
               strsignal(number));
  }
}

}  // namespace tributary
