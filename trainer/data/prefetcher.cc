#include "trainer/data/prefetcher.h"

#include <pthread.h>
#include <signal.h>

namespace tributary::data {

Prefetcher::Prefetcher(Producer* producer, std::vector<std::unique_ptr<Slot>>* slots)
    : producer_(producer),
      slots_(*slots),
      ring_(slots->size()),
      free_(static_cast<std::ptrdiff_t>(slots->size())) {
  thread_ = std::thread([this] { Run(); });
}

Prefetcher::~Prefetcher() {
  stop_ = true;
  free_.release();
  thread_.join();
}

void Prefetcher::Run() {
  pthread_setname_np(pthread_self(), "tributary-input");
  sigset_t all;  // signals are the main thread's business
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  for (size_t written = 0;; ++written) {
    free_.acquire();
    if (stop_) return;
    const size_t at = written % ring_.size();
    Entry& entry = ring_[at];
    try {
      entry.batch = producer_->Produce(slots_[at].get(), /*on_team=*/false);
      if (!entry.batch) producer_->Start(producer_->pass() + 1, 0);
    } catch (...) {
      entry.error = std::current_exception();
      ready_.release();
      return;
    }
    ready_.release();
  }
}

const Batch* Prefetcher::Next() {
  if (error_) std::rethrow_exception(error_);
  if (holds_) {
    holds_ = false;
    if (++unreturned_ * 2 >= static_cast<std::ptrdiff_t>(ring_.size())) {
      free_.release(unreturned_);
      unreturned_ = 0;
    }
  }
  ready_.acquire();
  const Entry& entry = ring_[read_++ % ring_.size()];
  if (entry.error) {
    error_ = entry.error;
    std::rethrow_exception(error_);
  }
  holds_ = true;
  return entry.batch;
}

}  // namespace tributary::data
