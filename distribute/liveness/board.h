#pragma once
// The notice board of a host: one slot a rank in memory that its ranks share.
// Every member is an atomic or is published by one.

#include <atomic>
#include <cstdint>
#include <string>

namespace tributary {

enum class RankState : uint32_t { kRunning = 0, kFinished = 1 };

struct alignas(64) BoardSlot {
  std::atomic<RankState> state;
  std::atomic<uint64_t> heartbeats;  // of the monitor thread
  std::atomic<int64_t> blocked_ms;   // JobHealth::BlockedMillis
  // Of the leader: the longest blocked_ms of other hosts.
  std::atomic<int64_t> elsewhere_blocked_ms;
  std::atomic<uint32_t> has_seen_failure;
};

// The first failure that anybody found: everyone reports the same one.
struct alignas(64) BoardFailure {
  static constexpr int kTextBytes = 480;
  enum : uint32_t { kNone = 0, kWriting = 1, kPosted = 2 };

  std::atomic<uint32_t> phase;
  int32_t rank;
  char text[kTextBytes];

  // Keeps the first one posted.
  void Post(int failed_rank, const std::string& reason);
  bool posted() const { return phase.load(std::memory_order_acquire) == kPosted; }
};

// Layout of the shared memory, zeroed at first: failure, then a slot a rank.
class Board {
 public:
  static size_t Bytes(int ranks) { return sizeof(BoardFailure) + ranks * sizeof(BoardSlot); }
  Board() = default;
  explicit Board(void* memory)
      : failure_(static_cast<BoardFailure*>(memory)),
        slots_(reinterpret_cast<BoardSlot*>(static_cast<char*>(memory) + sizeof(BoardFailure))) {}
  BoardFailure& failure() const { return *failure_; }
  BoardSlot& slot(int rank) const { return slots_[rank]; }

 private:
  BoardFailure* failure_ = nullptr;
  BoardSlot* slots_ = nullptr;
};

}  // namespace tributary
