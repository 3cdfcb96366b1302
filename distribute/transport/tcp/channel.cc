#include "distribute/transport/tcp/channel.h"

#include <algorithm>
#include <random>

#include "core/base/errors.h"
#include "distribute/transport/byte_buffer.h"
#include "distribute/transport/tcp/frame_reader.h"
#include "distribute/transport/tcp/frame_writer.h"
#include "distribute/transport/tcp/heartbeat_client.h"

namespace tributary {
namespace {

constexpr int kSlotBits = 16;

uint64_t NewSession() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

// Milliseconds for poll: rounded up, so that it does not end before the deadline.
int PollTimeout(Deadline deadline) {
  const auto left = deadline - Clock::now();
  if (left <= left.zero()) return 0;
  const auto ms = std::chrono::ceil<Millis>(left).count();
  return static_cast<int>(std::min<int64_t>(ms, 1'000'000'000));
}

class TcpChannel final : public Channel, private FramePlacer {
 public:
  TcpChannel(const DialTarget& target, Connected connected, UniqueFd fd,
             const ChannelOptions& options)
      : options_(options),
        server_(connected.server),
        task_(target.hello.hello.task),
        generation_(target.hello.hello.generation),
        peer_(fmt::format("{} at {}", server_.Name(), target.address.ToString())),
        stream_(std::move(connected.stream)),
        life_(std::make_shared<ServerLife>(std::move(fd))),
        heartbeats_(HeartbeatClient::Get()),
        reader_(FrameLimits{options.limits.control_bytes, options.limits.payload_bytes}, peer_) {
    DialTarget heartbeat = target;
    heartbeat.hello.purpose = ConnectionPurpose::kHeartbeat;
    heartbeats_->Watch(life_, heartbeat, options.heartbeat_period, options.dead_after);
  }

  ~TcpChannel() override {
    SayGoodbye();
    life_->closed = true;
    heartbeats_->Wake();
  }

  CallId Start(uint16_t kind, uint32_t table, uint64_t sequence, ConstBytes control,
               std::span<const ConstBytes> payload, std::span<const MutableBytes> into,
               Deadline deadline) override {
    const uint64_t payload_bytes = TotalBytes(payload);
    CheckRequest(options_.limits, kind, control.size(), payload_bytes);
    if (!broken_.empty()) throw Broken();
    Slot& slot = FreeSlot();
    slot.header.kind = kind;
    slot.header.table = table;
    slot.header.worker = task_;
    slot.header.request_id = next_call_++ << kSlotBits | slot.index;
    slot.header.generation = generation_;
    slot.header.sequence = sequence;
    slot.header.control_bytes = static_cast<uint32_t>(control.size());
    slot.header.payload_bytes = payload_bytes;
    if (!stream_->is_protected() && options_.checksums) {
      slot.header.flags = kFrameHasBodyCrc;
      slot.header.crc = BodyCrc(control, payload);
    }
    EncodeHeader(slot.header, slot.encoded);
    slot.state = State::kUnderWay;
    slot.deadline = deadline;
    slot.into = into;
    writer_.Add(slot.encoded);
    writer_.Add(control);
    for (const ConstBytes part : payload) writer_.Add(part);
    Guarded([&] { writer_.Flush(*stream_); });
    return slot.header.request_id;
  }

  Reply Wait(CallId call) override {
    Slot& slot = SlotOf(call);
    while (slot.state == State::kUnderWay) {
      if (!broken_.empty()) {
        slot.state = State::kFree;
        throw Broken();
      }
      Guarded([&] { Progress(&slot); });
      if (slot.state != State::kUnderWay) break;
      if (!Poll(slot.deadline)) GiveUp(slot);
    }
    const State state = std::exchange(slot.state, State::kFree);
    if (state == State::kFailed) ThrowRemoteError(slot.control.bytes(), peer_);
    if (state == State::kWrongSize) {
      throw InvalidArgumentError("[transport] the reply of {} to a request of kind {} has another "
                                 "size; expected {} bytes, got {}",
                                 peer_, slot.header.kind, TotalBytes(slot.into),
                                 slot.reply.payload_bytes);
    }
    return {slot.reply, slot.control.bytes(),
            slot.into.empty() ? ConstBytes(slot.payload.bytes()) : ConstBytes()};
  }

  void Flush(Deadline deadline) override {
    while (!writer_.empty()) {
      if (!broken_.empty()) throw Broken();
      Guarded([&] { Progress(nullptr); });
      if (writer_.empty() || !broken_.empty()) continue;
      if (!Poll(deadline)) {
        throw DeadlineExceededError("[transport] {} does not take the requests in time; {}", peer_,
                                    Symptoms());
      }
    }
  }

  void SetGeneration(uint64_t generation) override { generation_ = generation; }
  void SetProgress(uint64_t progress) override { life_->progress = progress; }
  const std::string& peer() const override { return peer_; }
  const Hello& server() const override { return server_; }

 private:
  enum class State { kFree, kUnderWay, kDone, kFailed, kWrongSize, kGivenUp };

  struct Slot {
    size_t index = 0;
    State state = State::kFree;
    Deadline deadline;
    FrameHeader header, reply;
    std::byte encoded[kFrameHeaderBytes];
    std::span<const MutableBytes> into;
    ByteBuffer control, payload;
  };

  Slot& FreeSlot() {
    for (const auto& slot : slots_) {
      if (slot->state == State::kFree) return *slot;
    }
    TRB_CHECK(slots_.size() < (1u << kSlotBits));
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->index = slots_.size() - 1;
    return *slots_.back();
  }
  // Null: no call that is under way.
  Slot* Find(uint64_t call) {
    const size_t index = call & ((1u << kSlotBits) - 1);
    if (index >= slots_.size()) return nullptr;
    Slot& slot = *slots_[index];
    const bool known = slot.header.request_id == call && slot.state != State::kFree;
    return known ? &slot : nullptr;
  }
  Slot& SlotOf(CallId call) {
    Slot* slot = Find(call);
    TRB_CHECK(slot != nullptr && slot->state != State::kGivenUp);  // waited for twice
    return *slot;
  }

  // Sends and receives what can be, until `slot` (if any) has its reply.
  void Progress(const Slot* slot) {
    writer_.Flush(*stream_);
    while (reader_.Next(*stream_, *this)) {
      Complete();
      if (slot && slot->state != State::kUnderWay) return;
    }
  }

  // Where the reply in front goes.
  void Place(const FrameHeader& header, std::vector<MutableBytes>* pieces) override {
    Slot* slot = Find(header.request_id);
    const bool reply = header.kind == kReplyKind || header.kind == kErrorKind;
    if (slot == nullptr || !reply ||
        (slot->state != State::kUnderWay && slot->state != State::kGivenUp)) {
      throw DataLossError("[transport] a reply of kind {:#x} to no request ({:#x})", header.kind,
                          header.request_id);
    }
    slot->reply = header;
    pieces->push_back(slot->control.Resize(header.control_bytes));
    if (slot->state == State::kGivenUp) {
      FrameReader::AddDiscarded(header.payload_bytes, pieces);
    } else if (slot->into.empty() || header.kind == kErrorKind) {
      pieces->push_back(slot->payload.Resize(header.payload_bytes));
    } else if (TotalBytes(slot->into) == header.payload_bytes) {
      pieces->insert(pieces->end(), slot->into.begin(), slot->into.end());
    } else {
      FrameReader::AddDiscarded(header.payload_bytes, pieces);
    }
  }

  void Complete() {
    Slot& slot = *Find(reader_.header().request_id);
    const bool fits = slot.into.empty() || TotalBytes(slot.into) == slot.reply.payload_bytes;
    slot.state = slot.state == State::kGivenUp      ? State::kFree
                 : slot.reply.kind == kErrorKind    ? State::kFailed
                 : fits                             ? State::kDone
                                                    : State::kWrongSize;
  }

  // False: the deadline has passed.
  bool Poll(Deadline deadline) {
    const short events = static_cast<short>(
        stream_->read_events() | (writer_.empty() ? 0 : stream_->write_events()));
    pollfd fd{life_->fd(), events, 0};
    const int timeout = PollTimeout(deadline);
    const int ready = ::poll(&fd, 1, timeout);
    if (fd.revents & ~POLLOUT) stream_->SetReady();
    return ready != 0 || timeout > 0 || Clock::now() < deadline;
  }

  // The reply may still come; its bytes, and those not yet sent, are no longer the
  // caller's business.
  [[noreturn]] void GiveUp(Slot& slot) {
    slot.state = State::kGivenUp;
    slot.into = {};
    writer_.KeepCopy();
    if (reader_.in_body() && reader_.header().request_id == slot.header.request_id) {
      reader_.DiscardRest();
    }
    throw DeadlineExceededError("[transport] {} has not replied to request {} (kind {}) in time; {}",
                                peer_, slot.header.request_id >> kSlotBits, slot.header.kind,
                                Symptoms());
  }

  std::string Symptoms() const {
    const uint64_t busy = life_->peer_busy_ms;
    return fmt::format("by its last heartbeat it has handled {} requests and {}",
                       life_->peer_requests.load(),
                       busy > 0 ? fmt::format("is busy with one since {} ms", busy)
                                : std::string("waits for more"));
  }

  // Input and output; a failure ends the channel.
  template <typename Fn>
  void Guarded(Fn fn) {
    try {
      fn();
    } catch (const ConnectionClosed& closed) {
      const std::string reason = life_->dead_reason();
      Break(reason.empty() ? fmt::format("{}; its process has ended, or it was told to stop",
                                         closed.what())
                           : reason);
    } catch (const Error& error) {
      Break(error.what());
    }
  }
  void Break(const std::string& reason) {
    broken_ = reason;
    life_->Die(reason);
  }
  UnavailableError Broken() const {
    return UnavailableError("[transport] {} is lost: {}; connect again once it is back", peer_,
                            broken_);
  }

  void SayGoodbye() {
    if (!broken_.empty() || !writer_.empty()) return;
    FrameHeader header;
    header.kind = kGoodbyeKind;
    header.worker = task_;
    std::byte encoded[kFrameHeaderBytes];
    EncodeHeader(header, encoded);
    try {
      const iovec piece{encoded, sizeof(encoded)};
      stream_->Write({&piece, 1});
    } catch (const Error&) {
      // It is gone already.
    }
  }

  const ChannelOptions options_;
  const Hello server_;
  const uint32_t task_;
  uint64_t generation_;
  const std::string peer_;
  const std::unique_ptr<ByteStream> stream_;
  const std::shared_ptr<ServerLife> life_;
  const std::shared_ptr<HeartbeatClient> heartbeats_;
  FrameReader reader_;
  FrameWriter writer_;
  std::vector<std::unique_ptr<Slot>> slots_;
  uint64_t next_call_ = 1;
  std::string broken_;
};

}  // namespace

std::unique_ptr<Channel> ConnectTcp(const std::string& address, const Hello& hello,
                                    const ChannelOptions& options) {
  DialTarget target{TcpAddress::Parse(address), options.security, {}, options.expected_server};
  target.hello.hello = hello;
  target.hello.session = NewSession();
  UniqueFd fd;
  Connected connected = DialAndWait(target, After(options.connect_timeout), &fd);
  return std::make_unique<TcpChannel>(target, std::move(connected), std::move(fd), options);
}

}  // namespace tributary
