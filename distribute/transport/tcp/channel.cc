#include "distribute/transport/tcp/channel.h"

#include <algorithm>
#include <random>

#include "core/base/errors.h"
#include "distribute/transport/call_slots.h"
#include "distribute/transport/tcp/frame_reader.h"
#include "distribute/transport/tcp/frame_writer.h"
#include "distribute/transport/tcp/heartbeat_client.h"

namespace tributary {
namespace {

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
    CallSlot& slot = calls_.Take();
    slot.header.kind = kind;
    slot.header.table = table;
    slot.header.worker = task_;
    slot.header.generation = generation_;
    slot.header.sequence = sequence;
    slot.header.control_bytes = static_cast<uint32_t>(control.size());
    slot.header.payload_bytes = payload_bytes;
    if (!stream_->is_protected() && options_.checksums) {
      slot.header.flags = kFrameHasBodyCrc;
      slot.header.crc = BodyCrc(control, payload);
    }
    EncodeHeader(slot.header, slot.encoded);
    slot.Begin(into, deadline);
    writer_.Add(slot.encoded);
    writer_.Add(control);
    for (const ConstBytes part : payload) writer_.Add(part);
    Guarded([&] { writer_.Flush(*stream_); });
    return slot.header.request_id;
  }

  Reply Wait(CallId call) override {
    CallSlot& slot = calls_.At(call);
    while (slot.under_way()) {
      if (!broken_.empty()) {
        slot.state = CallSlot::State::kFree;
        throw Broken();
      }
      Guarded([&] { Progress(&slot); });
      if (!slot.under_way()) break;
      if (!Poll(slot.deadline)) GiveUp(slot);
    }
    return slot.Take(peer_);
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
  // Sends and receives what can be, until `slot` (if any) has its reply.
  void Progress(const CallSlot* slot) {
    writer_.Flush(*stream_);
    while (reader_.Next(*stream_, *this)) {
      receiving_->Complete();
      if (slot && !slot->under_way()) return;
    }
  }

  // Where the reply in front goes.
  void Place(const FrameHeader& header, std::vector<MutableBytes>* pieces) override {
    CallSlot* slot = calls_.FindUnanswered(header.request_id);
    const bool reply = header.kind == kReplyKind || header.kind == kErrorKind;
    if (slot == nullptr || !reply) {
      throw DataLossError("[transport] a reply of kind {:#x} to no request ({:#x})", header.kind,
                          header.request_id);
    }
    receiving_ = slot;
    slot->reply = header;
    pieces->push_back(slot->control.Resize(header.control_bytes));
    if (slot->state == CallSlot::State::kGivenUp) {
      FrameReader::AddDiscarded(header.payload_bytes, pieces);
    } else if (slot->into.empty() || header.kind == kErrorKind) {
      pieces->push_back(slot->payload.Resize(header.payload_bytes));
    } else if (TotalBytes(slot->into) == header.payload_bytes) {
      pieces->insert(pieces->end(), slot->into.begin(), slot->into.end());
    } else {
      FrameReader::AddDiscarded(header.payload_bytes, pieces);
    }
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
  [[noreturn]] void GiveUp(CallSlot& slot) {
    slot.GiveUp();
    writer_.KeepCopy();
    if (reader_.in_body() && reader_.header().request_id == slot.header.request_id) {
      reader_.DiscardRest();
    }
    const uint64_t call = CallSlots::NumberOf(slot.header.request_id);
    throw DeadlineExceededError("[transport] {} has not replied to request {} (kind {}) in time; "
                                "{}",
                                peer_, call, slot.header.kind, Symptoms());
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
  CallSlots calls_;
  CallSlot* receiving_ = nullptr;  // whose reply is in front
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
