#pragma once
// The peers of a server and their signs of life. Any thread.

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "distribute/transport/transport.h"

namespace tributary {

struct PeerRecord {
  PeerRecord(Hello hello, uint64_t session) : hello(std::move(hello)), session(session) {
    Alive(Clock::now());
    progress_at = last_life.load();
  }
  void Alive(Clock::time_point now) {
    last_life.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  void SetProgress(uint64_t value, Clock::time_point now) {
    if (progress.exchange(value) != value) progress_at = now.time_since_epoch().count();
  }
  static double Since(const std::atomic<Clock::rep>& then, Clock::time_point now) {
    const Clock::time_point at{Clock::duration(then.load(std::memory_order_relaxed))};
    return std::max(0.0, std::chrono::duration<double>(now - at).count());
  }

  const Hello hello;
  const uint64_t session;
  std::atomic<Clock::rep> last_life{0}, progress_at{0};
  std::atomic<uint64_t> progress{0};
};

class PeerTable {
 public:
  using Record = std::shared_ptr<PeerRecord>;

  // False: the session is known already.
  bool Add(const Record& record) {
    std::lock_guard lock(mutex_);
    for (const Record& other : records_) {
      if (other->session == record->session) return false;
    }
    records_.push_back(record);
    return true;
  }
  void Remove(const Record& record) {
    std::lock_guard lock(mutex_);
    std::erase(records_, record);
  }
  // Null: unknown.
  Record Find(uint64_t session) const {
    std::lock_guard lock(mutex_);
    for (const Record& record : records_) {
      if (record->session == session) return record;
    }
    return nullptr;
  }
  std::vector<Record> All() const {
    std::lock_guard lock(mutex_);
    return records_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Record> records_;
};

}  // namespace tributary
