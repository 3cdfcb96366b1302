#include "distribute/comm/job_health.h"

#include "core/base/errors.h"

namespace tributary {
namespace {

int64_t Nanos(Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

bool JobHealth::Fail(int rank, const std::string& reason) {
  std::lock_guard lock(mutex_);
  if (failed_.load(std::memory_order_relaxed)) return false;
  failed_rank_ = rank;
  reason_ = reason;
  failed_.store(true, std::memory_order_release);
  return true;
}

int JobHealth::failed_rank() const {
  std::lock_guard lock(mutex_);
  return failed_rank_;
}

std::string JobHealth::reason() const {
  std::lock_guard lock(mutex_);
  return reason_;
}

void JobHealth::Check() const {
  if (failed()) throw UnavailableError("[job] {}", reason());
}

JobHealth::BlockingCall::BlockingCall(JobHealth& health, const char* what,
                                      Clock::time_point deadline) noexcept
    : slot_(nullptr) {
  for (Slot& slot : health.slots_) {
    const char* expected = nullptr;
    if (slot.what.load(std::memory_order_relaxed) != nullptr) continue;
    // Taken with a far deadline first, so that no one sees the old one.
    if (!slot.what.compare_exchange_strong(expected, what, std::memory_order_acq_rel)) continue;
    slot.since_ns.store(Nanos(Clock::now()), std::memory_order_relaxed);
    slot.deadline_ns.store(Nanos(deadline), std::memory_order_release);
    slot_ = &slot;
    return;
  }
}

JobHealth::BlockingCall::~BlockingCall() {
  if (slot_ == nullptr) return;
  Slot* slot = static_cast<Slot*>(slot_);
  slot->deadline_ns.store(0, std::memory_order_relaxed);
  slot->what.store(nullptr, std::memory_order_release);
}

std::optional<std::string> JobHealth::ExpiredCall(Clock::time_point now) const {
  for (const Slot& slot : slots_) {
    const int64_t deadline = slot.deadline_ns.load(std::memory_order_acquire);
    const char* what = slot.what.load(std::memory_order_acquire);
    if (what != nullptr && deadline != 0 && Nanos(now) > deadline) return std::string(what);
  }
  return std::nullopt;
}

int64_t JobHealth::BlockedMillis(Clock::time_point now) const {
  int64_t longest = 0;
  for (const Slot& slot : slots_) {
    if (slot.deadline_ns.load(std::memory_order_acquire) == 0) continue;
    longest = std::max(longest, Nanos(now) - slot.since_ns.load(std::memory_order_relaxed));
  }
  return longest / 1'000'000;
}

}  // namespace tributary
