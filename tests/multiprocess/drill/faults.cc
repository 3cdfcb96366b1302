#include "tests/multiprocess/drill/faults.h"

#include <csignal>
#include <cstdio>
#include <fstream>

namespace tributary::drill {

double Injector::Stopped(double begin, double end) const {
  double sum = 0, at = begin;
  for (const auto& [from, to] : intervals_) {  // rising by `from`
    const double first = std::max(at, from), last = std::min(end, to);
    if (last <= first) continue;
    sum += last - first;
    at = last;
  }
  return sum;
}

void Injector::Run() {
  for (int fault = 0; fault < faults_;) {
    Pause(0.05 + Uniform() * 0.5);
    const int victim = static_cast<int>(random_() % (kServers + kWorkers));
    const std::string name = victim < kServers ? fmt::format("ps-{}", victim)
                                               : fmt::format("worker-{}", victim - kServers);
    const pid_t pid = PidOf(name);
    const bool stop = random_() % 5 < 2;
    const double seconds = Uniform() * 2.2;
    if (pid <= 1 || kill(pid, stop ? SIGSTOP : SIGKILL) != 0) continue;  // between two lives
    ++fault;
    if (stop) {
      ++stops;
      asleep_.push_back({pid, Now() + seconds});
      intervals_.emplace_back(Now(), Now() + seconds + 0.1);
    } else {
      ++kills;
    }
    std::printf("fault %d: %s %s%s\n", fault, stop ? "stop" : "kill", name.c_str(),
                stop ? fmt::format(" for {:.1f} s", seconds).c_str() : "");
    std::fflush(stdout);
  }
  while (!asleep_.empty()) Pause(0.05);
  over_ = true;
}

void Injector::Pause(double seconds) {
  const double until = Now() + seconds;
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::erase_if(asleep_, [](const Sleeper& s) {
      return s.until <= Now() && (kill(s.pid, SIGCONT), true);
    });
  } while (Now() < until);
}

pid_t Injector::PidOf(const std::string& name) const {
  std::ifstream file(drill_.dir + "/" + name);
  pid_t pid = 0;
  file >> pid;
  return pid;
}

}  // namespace tributary::drill
