#pragma once
// Random kills and stops.

#include <sys/types.h>

#include <atomic>
#include <random>
#include <thread>
#include <utility>

#include "tests/multiprocess/drill/drill.h"

namespace tributary::drill {

// Kills and stops the processes whose ids are in <dir>/ps-<i> and <dir>/worker-<i>, from a
// thread of its own, which Join waits for.
class Injector {
 public:
  Injector(const Drill& drill, int faults, uint32_t seed)
      : drill_(drill), faults_(faults), random_(seed), thread_([this] { Run(); }) {}

  bool over() const { return over_; }
  void Join() { thread_.join(); }
  int kills = 0, stops = 0;  // once it is over
  // Seconds of [begin, end] in which somebody was stopped.
  double Stopped(double begin, double end) const;

 private:
  struct Sleeper {
    pid_t pid;
    double until;
  };

  void Run();
  void Pause(double seconds);  // and wakes those whose time has come
  pid_t PidOf(const std::string& name) const;
  double Uniform() { return std::uniform_real_distribution<double>()(random_); }

  const Drill& drill_;
  const int faults_;
  std::mt19937 random_;
  std::vector<Sleeper> asleep_;
  std::vector<std::pair<double, double>> intervals_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace tributary::drill
