#pragma once
// The calls of a channel, from their start until the caller has waited for them: their
// ids lead from a reply to where it goes. For the carriers whose caller's own thread
// receives the replies; of one thread.

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/errors.h"
#include "distribute/transport/byte_buffer.h"
#include "distribute/transport/frame.h"
#include "distribute/transport/transport.h"

namespace tributary {

struct CallSlot {
  enum class State { kFree, kUnderWay, kDone, kFailed, kWrongSize, kGivenUp };

  size_t index = 0;
  State state = State::kFree;
  Deadline deadline;
  FrameHeader header, reply;
  std::byte encoded[kFrameHeaderBytes];  // of the header, where it is sent from here
  std::span<const MutableBytes> into;
  ByteBuffer control, payload;

  bool under_way() const { return state == State::kUnderWay; }
  bool unanswered() const { return under_way() || state == State::kGivenUp; }

  // The request is sent: a reply may come.
  void Begin(std::span<const MutableBytes> place, Deadline until) {
    state = State::kUnderWay;
    deadline = until;
    into = place;
  }
  // The caller waits no longer. The reply may still come, but not into its memory.
  void GiveUp() {
    state = State::kGivenUp;
    into = {};
  }
  // `reply` is here, and its bytes where they belong.
  void Complete() {
    const bool fits = into.empty() || TotalBytes(into) == reply.payload_bytes;
    state = state == State::kGivenUp     ? State::kFree
            : reply.kind == kErrorKind   ? State::kFailed
            : fits                       ? State::kDone
                                         : State::kWrongSize;
  }
  // Of a complete call, which is over then. Throws the error that `peer` has replied with,
  // or InvalidArgumentError when the reply does not fit where it was to go.
  Reply Take(const std::string& peer) {
    const State ended = std::exchange(state, State::kFree);
    if (ended == State::kFailed) ThrowRemoteError(control.bytes(), peer);
    if (ended == State::kWrongSize) {
      throw InvalidArgumentError("[transport] the reply of {} to a request of kind {} has another "
                                 "size; expected {} bytes, got {}",
                                 peer, header.kind, TotalBytes(into), reply.payload_bytes);
    }
    return {reply, control.bytes(), into.empty() ? ConstBytes(payload.bytes()) : ConstBytes()};
  }
};

class CallSlots {
 public:
  // A free one, whose header has an id and nothing else.
  CallSlot& Take() {
    CallSlot& slot = Free();
    slot.header = {};
    slot.header.request_id = next_call_++ << kIndexBits | slot.index;
    return slot;
  }
  // Null: a reply to a request that has none outstanding.
  CallSlot* FindUnanswered(uint64_t request_id) {
    CallSlot* slot = Find(request_id);
    return slot && slot->unanswered() ? slot : nullptr;
  }
  // Of a call that is waited for, which is done once.
  CallSlot& At(CallId call) {
    CallSlot* slot = Find(call);
    TRB_CHECK(slot != nullptr && slot->state != CallSlot::State::kGivenUp);
    return *slot;
  }
  // For messages: calls are counted from 1.
  static uint64_t NumberOf(CallId call) { return call >> kIndexBits; }

 private:
  static constexpr int kIndexBits = 16;

  CallSlot& Free() {
    for (const auto& slot : slots_) {
      if (slot->state == CallSlot::State::kFree) return *slot;
    }
    TRB_CHECK(slots_.size() < (1u << kIndexBits));
    slots_.push_back(std::make_unique<CallSlot>());
    slots_.back()->index = slots_.size() - 1;
    return *slots_.back();
  }
  CallSlot* Find(uint64_t request_id) {
    const size_t index = request_id & ((1u << kIndexBits) - 1);
    if (index >= slots_.size()) return nullptr;
    CallSlot& slot = *slots_[index];
    const bool known = slot.header.request_id == request_id && slot.state != CallSlot::State::kFree;
    return known ? &slot : nullptr;
  }

  std::vector<std::unique_ptr<CallSlot>> slots_;  // where they are they stay
  uint64_t next_call_ = 1;
};

}  // namespace tributary
