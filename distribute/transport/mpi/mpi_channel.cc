// The client's side of mpi://: the caller's thread sends, polls for replies and receives
// them where they belong.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <set>

#include "core/base/errors.h"
#include "distribute/transport/call_slots.h"
#include "distribute/transport/hello.h"
#include "distribute/transport/mpi/mail.h"
#include "distribute/transport/mpi/mpi_ends.h"

namespace tributary {
namespace {

// The numbers of this process's channels. One is not given out again: a late reply to
// a channel that is gone must not reach another.
uint32_t NewChannelNumber() {
  static std::atomic<uint32_t> next{0};
  const uint32_t number = next++;
  if (number >= kMaxChannels) {
    throw ResourceExhaustedError("[transport] this process has made {} MPI channels; keep channels "
                                 "instead of making new ones",
                                 kMaxChannels);
  }
  return number;
}

// Parts of memory as one MPI datatype.
class PartsType {
 public:
  explicit PartsType(std::span<const MutableBytes> parts) {
    for (const MutableBytes part : parts) {
      if (part.empty()) continue;
      MPI_Aint place;
      MPI_Get_address(part.data(), &place);
      places_.push_back(place);
      sizes_.push_back(static_cast<int>(part.size()));
    }
    RequireMpi(MPI_Type_create_hindexed(static_cast<int>(sizes_.size()), sizes_.data(),
                                        places_.data(), MPI_BYTE, &type_),
               "MPI_Type_create_hindexed");
    MPI_Type_commit(&type_);
  }
  ~PartsType() { MPI_Type_free(&type_); }
  MPI_Datatype get() const { return type_; }

 private:
  std::vector<MPI_Aint> places_;
  std::vector<int> sizes_;
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

class MpiChannel final : public Channel {
 public:
  MpiChannel(const std::string& address, const Hello& hello, const ChannelOptions& options)
      : options_(options),
        limits_{options.limits.control_bytes, std::min(options.limits.payload_bytes, kMaxMessage)},
        place_(MpiAddress::Parse(address)),
        number_(NewChannelNumber()),
        route_{place_.rank, place_.head_tag(), BodyTag(number_), number_},
        task_(hello.task),
        generation_(hello.generation),
        peer_(place_.ToString()) {
    HelloMessage message;
    message.hello = hello;
    message.session = number_;
    FrameHeader header;
    header.kind = kHelloKind;
    outbox_.Send(route_, header, EncodeHello(message), {}, options_.checksums);
    const Deadline deadline = After(options.connect_timeout);
    Patience patience;
    while (!TakeHead(place_.rank, ReplyTag(number_), limits_, &head_)) {
      outbox_.Reap();
      if (Clock::now() > deadline) {
        throw UnavailableError("[transport] no answer from {} in time; does that rank run a "
                               "server?",
                               peer_);
      }
      patience.FoundNothing();
    }
    if (head_.header.kind == kErrorKind) ThrowRemoteError(head_.control, peer_);
    server_ = DecodeHello(head_.control, peer_).hello;
    CheckHello(hello, server_, peer_);
    CheckExpectedServer(options.expected_server, server_, peer_);
    peer_ = fmt::format("{} at {}", server_.Name(), peer_);
  }

  ~MpiChannel() override {
    FrameHeader header;
    header.kind = kGoodbyeKind;
    header.worker = task_;
    try {
      if (broken_.empty()) outbox_.Send(route_, header, {}, {}, false);
    } catch (const Error&) {
      // The rank is gone already.
    }
  }

  CallId Start(uint16_t kind, uint32_t table, uint64_t sequence, ConstBytes control,
               std::span<const ConstBytes> payload, std::span<const MutableBytes> into,
               Deadline deadline) override {
    CheckRequest(limits_, kind, control.size(), TotalBytes(payload));
    if (!broken_.empty()) throw Broken();
    SendProgress();
    CallSlot& slot = calls_.Take();
    slot.header.kind = kind;
    slot.header.table = table;
    slot.header.worker = task_;
    slot.header.generation = generation_;
    slot.header.sequence = sequence;
    outbox_.Send(route_, slot.header, control, payload, options_.checksums);
    slot.Begin(into, deadline);
    return slot.header.request_id;
  }

  Reply Wait(CallId call) override {
    CallSlot& slot = calls_.At(call);
    Patience patience;
    while (slot.under_way()) {
      if (!broken_.empty()) {
        slot.state = CallSlot::State::kFree;
        throw Broken();
      }
      if (Progress()) {
        patience.Found();
      } else if (Clock::now() >= slot.deadline) {
        slot.GiveUp();
        throw DeadlineExceededError("[transport] {} has not replied to request {} (kind {}) in "
                                    "time; is it overloaded or stuck?",
                                    peer_, CallSlots::NumberOf(call), slot.header.kind);
      } else {
        patience.FoundNothing();
      }
    }
    return slot.Take(peer_);
  }

  void Flush(Deadline deadline) override {
    Patience patience;
    while (!outbox_.Reap()) {
      Progress();
      if (Clock::now() >= deadline) {
        throw DeadlineExceededError("[transport] {} does not take the requests in time", peer_);
      }
      patience.FoundNothing();
    }
  }

  void SetGeneration(uint64_t generation) override { generation_ = generation; }
  void SetProgress(uint64_t progress) override { progress_ = progress; }
  const std::string& peer() const override { return peer_; }
  const Hello& server() const override { return server_; }

 private:
  // Takes one reply, if one is there.
  bool Progress() {
    outbox_.Reap();
    try {
      if (!TakeHead(place_.rank, ReplyTag(number_), limits_, &head_)) return false;
      Receive();
    } catch (const Error& error) {
      broken_ = error.what();
    }
    return true;
  }

  void Receive() {
    const FrameHeader& header = head_.header;
    CallSlot* slot = calls_.FindUnanswered(header.request_id);
    if (slot == nullptr) {
      throw DataLossError("[transport] {} replies to no request ({:#x})", peer_, header.request_id);
    }
    slot->reply = header;
    const MutableBytes control = slot->control.Resize(head_.control.size());
    std::copy(head_.control.begin(), head_.control.end(), control.begin());
    const bool failed = header.kind == kErrorKind;
    const bool own = slot->state == CallSlot::State::kGivenUp || failed || slot->into.empty();
    const bool fits = own || TotalBytes(slot->into) == header.payload_bytes;
    const MutableBytes buffer = own || !fits ? slot->payload.Resize(header.payload_bytes)
                                             : MutableBytes();
    const std::span<const MutableBytes> to =
        own || !fits ? std::span<const MutableBytes>(&buffer, 1) : slot->into;
    if (head_.envelope.has_body) ReceiveBody(to, header.payload_bytes);
    else ScatterInline(to);
    if (header.flags & kFrameHasBodyCrc) {
      parts_.assign(to.begin(), to.end());
      CheckBodyCrc(header, BodyCrc(control, parts_), peer_);
    }
    slot->Complete();
  }

  // It is on its way, from a thread that does nothing else: no deadline in between.
  void ReceiveBody(std::span<const MutableBytes> to, uint64_t bytes) {
    if (to.size() == 1) {
      RequireMpi(MPI_Recv(to[0].data(), static_cast<int>(bytes), MPI_BYTE, place_.rank,
                          ReplyTag(number_), MailComm(), MPI_STATUS_IGNORE),
                 "MPI_Recv");
      return;
    }
    const PartsType type(to);
    RequireMpi(MPI_Recv(MPI_BOTTOM, 1, type.get(), place_.rank, ReplyTag(number_), MailComm(),
                        MPI_STATUS_IGNORE),
               "MPI_Recv");
  }
  void ScatterInline(std::span<const MutableBytes> to) {
    ConstBytes rest = head_.inline_payload;
    for (const MutableBytes part : to) {
      std::copy_n(rest.begin(), part.size(), part.begin());
      rest = rest.subspan(part.size());
    }
  }

  // There is no thread for it: with the next request, at most once a heartbeat.
  void SendProgress() {
    const uint64_t progress = progress_;
    const auto now = Clock::now();
    if (progress == sent_progress_ || now - progress_sent_at_ < options_.heartbeat_period) return;
    sent_progress_ = progress;
    progress_sent_at_ = now;
    FrameHeader header;
    header.kind = kHeartbeatKind;
    header.worker = task_;
    header.sequence = progress;
    outbox_.Send(route_, header, {}, {}, false);
  }

  UnavailableError Broken() const {
    return UnavailableError("[transport] {} is lost: {}; connect again", peer_, broken_);
  }

  const ChannelOptions options_;
  const FrameLimits limits_;
  const MpiAddress place_;
  const uint32_t number_;
  const Outbox::Route route_;
  const uint32_t task_;
  uint64_t generation_;
  Hello server_;
  std::string peer_;
  Outbox outbox_;
  Head head_;
  CallSlots calls_;
  std::vector<ConstBytes> parts_;
  std::atomic<uint64_t> progress_{0};
  uint64_t sent_progress_ = 0;
  Clock::time_point progress_sent_at_;
  std::string broken_;
};

const CarrierRegistrar registrar("mpi", {"ranks of one MPI job", ListenMpi, ConnectMpi});

}  // namespace

std::unique_ptr<Channel> ConnectMpi(const std::string& address, const Hello& hello,
                                    const ChannelOptions& options) {
  return std::make_unique<MpiChannel>(address, hello, options);
}

}  // namespace tributary
