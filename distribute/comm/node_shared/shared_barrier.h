#pragma once
// A barrier on memory that its ranks share: each counts its arrivals on a cache
// line of its own and watches the others'. Spins briefly (where every rank has a
// core), then yields, then naps, so that more ranks than cores still progress.

#include "distribute/comm/communicator.h"

namespace tributary {

class SharedBarrier {
 public:
  // Bytes of zeroed shared memory that a barrier of `size` ranks needs.
  static size_t Bytes(int size);

  // `memory` must outlive the barrier. world_ranks[r] is what rank r is called in
  // messages.
  SharedBarrier(void* memory, int rank, std::vector<int> world_ranks,
                std::shared_ptr<JobHealth> health, Millis timeout);

  // Returns when every rank has called it as often as this one. What they wrote
  // before is visible. Throws DeadlineExceededError naming the ranks that are
  // missing, UnavailableError when the job has failed. Allocates nothing.
  void Wait();

 private:
  struct alignas(128) Slot {  // lines are fetched in pairs
    std::atomic<uint64_t> arrivals;
  };
  bool Arrived(uint64_t round) const;
  bool Spin(uint64_t round) const;
  void WaitSlowly(uint64_t round);
  [[noreturn]] void TimeOut(uint64_t round);

  Slot* slots_;
  int rank_, size_;
  bool spins_;  // a core for each rank
  uint64_t round_ = 0;
  std::vector<int> world_ranks_;
  std::shared_ptr<JobHealth> health_;
  Millis timeout_;
};

}  // namespace tributary
