#pragma once
// Runs a producer ahead of its consumer on a thread of its own, through a ring of
// slots. At the end of a pass it goes on with the next one.

#include <exception>
#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

#include "trainer/data/producer.h"

namespace tributary::data {

class Prefetcher {
 public:
  // The producer stands where the first element is wanted and is the
  // prefetcher's alone until it is destroyed. `slots` (2 or more) outlive it.
  Prefetcher(Producer* producer, std::vector<std::unique_ptr<Slot>>* slots);
  ~Prefetcher();

  // The next element or, once for each pass, null. What a source throws is thrown
  // here, and then by every further call. The previous element is given back.
  const Batch* Next();

 private:
  struct Entry {
    const Batch* batch = nullptr;
    std::exception_ptr error;
  };
  void Run();

  Producer* const producer_;
  std::vector<std::unique_ptr<Slot>>& slots_;
  std::vector<Entry> ring_;
  std::counting_semaphore<> free_;
  std::counting_semaphore<> ready_{0};
  std::atomic<bool> stop_{false};
  // Consumer's side. Slots are given back several at a time: to wake a sleeping
  // producer costs a system call.
  size_t read_ = 0;
  std::ptrdiff_t unreturned_ = 0;
  bool holds_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace tributary::data
