#include "launch/roles/core_sharing.h"

#include <dirent.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

namespace tributary {
namespace {

constexpr std::chrono::milliseconds kPeriod{250};
// Where nobody else computes they are 30 to 120, where somebody does 500 and more.
constexpr double kLongWaitMicros = 250;
constexpr uint64_t kBusyTurns = 20;  // of a thread that counts, in a period
// As usual for so many periods, twice as many each time that it was right.
constexpr int kFewPeriods = 8, kManyPeriods = 256, kGoodPeriods = 8;

template <typename Fn>
void ForEachThread(const Fn& fn) {
  DIR* const folder = ::opendir("/proc/self/task");
  if (!folder) return;
  while (const dirent* entry = ::readdir(folder)) {
    const pid_t thread = std::atoi(entry->d_name);
    if (thread > 0) fn(thread);
  }
  ::closedir(folder);
}

void SetPolicy(int policy) {
  const sched_param none{};
  ForEachThread([&](pid_t thread) { ::sched_setscheduler(thread, policy, &none); });
}

}  // namespace

CoreSharing::CoreSharing() : thread_([this](const std::stop_token& stop) { Watch(stop); }) {}

CoreSharing::~CoreSharing() {
  thread_.request_stop();
  thread_.join();
  SetPolicy(SCHED_OTHER);
}

double CoreSharing::WaitedMicros() {
  double longest = 0;
  std::map<pid_t, Turns> now;
  ForEachThread([&](pid_t thread) {
    std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/schedstat");
    uint64_t ran_ns = 0;
    Turns turns;
    if (!(file >> ran_ns >> turns.waited_ns >> turns.count)) return;
    now[thread] = turns;
    const auto before = last_.find(thread);
    if (before == last_.end() || turns.count < before->second.count + kBusyTurns) return;
    const auto waited = static_cast<double>(turns.waited_ns - before->second.waited_ns);
    const auto count = static_cast<double>(turns.count - before->second.count);
    longest = std::max(longest, waited / count * 1e-3);
  });
  last_ = std::move(now);
  return longest;
}

void CoreSharing::Watch(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto sleep = [&](int periods) {
    stopped_.wait_for(lock, stop, periods * kPeriod, [&] { return stop.stop_requested(); });
  };
  int as_usual = kFewPeriods;
  while (!stop.stop_requested()) {
    SetPolicy(SCHED_BATCH);
    WaitedMicros();
    for (int good = 0, bad = 0; !stop.stop_requested() && bad < 2;) {
      sleep(1);
      const bool long_wait = WaitedMicros() > kLongWaitMicros;
      bad = long_wait ? bad + 1 : 0;  // once may be anything: a start, a checkpoint
      good = long_wait ? 0 : good + 1;
      if (good == kGoodPeriods) as_usual = kFewPeriods;
    }
    if (stop.stop_requested()) return;
    SetPolicy(SCHED_OTHER);
    sleep(as_usual);
    as_usual = std::min(2 * as_usual, kManyPeriods);
  }
}

}  // namespace tributary
