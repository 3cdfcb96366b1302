#pragma once
// How the threads of workers and servers share cores, which are often fewer.
//
// Who is woken by a message usually takes a core from whoever computes there. With a policy
// for throughput (SCHED_BATCH, which needs no privilege) it waits until that one pauses:
// two workers and two servers on two cores make 1.2 times the steps, since everybody pauses
// after some 100 us. Where programs that never pause want the cores too it is the wrong
// policy: half the steps. So a thread looks four times a second how long ours have waited
// for a core when they were woken; when that is long, they are scheduled as usual again for
// a while.

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>

namespace tributary {

// Applies to all threads of the process, also to later ones, while it lives.
class CoreSharing {
 public:
  CoreSharing();
  ~CoreSharing();

 private:
  struct Turns {
    uint64_t waited_ns = 0, count = 0;
  };
  void Watch(const std::stop_token& stop);
  // The longest that a busy thread has waited for a core since the last call, on average.
  double WaitedMicros();

  std::map<pid_t, Turns> last_;
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::jthread thread_;  // the last: it uses the others
};

}  // namespace tributary
