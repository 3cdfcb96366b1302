#pragma once
// Shares the time of a request out among its parts: one look at the clock where a part
// begins, where the one before it has ended, and one at the end.

#include <chrono>

#include "distribute/ps/stats.h"

namespace tributary::ps {

class LapClock {
 public:
  // What is done from here on goes into `lap`.
  void Begin(LatencyHistogram* lap) {
    const auto now = std::chrono::steady_clock::now();
    if (running_) {
      running_->Add(std::chrono::duration<double, std::micro>(now - since_).count());
    }
    running_ = lap;
    since_ = now;
  }
  // Looks at the clock only where it does not go there already.
  void GoOn(LatencyHistogram* lap) {
    if (lap != running_) Begin(lap);
  }
  void End() { GoOn(nullptr); }

 private:
  LatencyHistogram* running_ = nullptr;
  std::chrono::steady_clock::time_point since_;
};

}  // namespace tributary::ps
