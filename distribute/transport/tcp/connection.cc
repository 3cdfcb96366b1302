#include "distribute/transport/tcp/connection.h"

#include <poll.h>

#include "core/base/logging.h"
#include "distribute/transport/dispatch.h"

namespace tributary {
namespace {

// Replies up to this size wait for those of the requests that came with theirs.
constexpr size_t kSmallReply = 16 << 10;
constexpr size_t kKeptAtMost = 64 << 10;
// After so many requests the other connections have their turn.
constexpr int kRequestsPerTurn = 64;
// How long the thread waits for a client that is reading, rather than copying.
constexpr int kPatienceMs = 1;
// A larger copy buffer is not kept.
constexpr size_t kKeptCapacity = 64u << 20;

// The server's thread has something to do.
class BusyMark {
 public:
  BusyMark(ServerState& state, Clock::time_point now) : state_(state) {
    state_.busy_since.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  ~BusyMark() { state_.busy_since.store(0, std::memory_order_relaxed); }

 private:
  ServerState& state_;
};

}  // namespace

struct TcpConnection::Slot final : ReplySink {
  explicit Slot(TcpConnection* connection) : connection(connection) {}

  void Reply(ConstBytes reply, std::span<const ConstBytes> parts) override {
    Answer(kReplyKind, reply, parts);
  }
  void Fail(const std::exception& error) override {
    std::vector<std::byte> text;
    EncodeError(error, &text);
    Answer(kErrorKind, text, {});
  }

  void Answer(uint16_t kind, ConstBytes reply, std::span<const ConstBytes> parts) {
    const std::shared_ptr<TcpConnection> alive = std::move(self);
    ServerState& state = *connection->state_;
    if (state.on_shard_thread()) {
      connection->Send(*this, kind, reply, parts);
      return connection->Recycle(*this);
    }
    std::vector<std::byte> copy;
    copy.reserve(reply.size() + TotalBytes(parts));
    copy.insert(copy.end(), reply.begin(), reply.end());
    for (const ConstBytes part : parts) copy.insert(copy.end(), part.begin(), part.end());
    state.Post([this, alive, kind, size = reply.size(), copy = std::move(copy)] {
      const ConstBytes all(copy), rest = all.subspan(size);
      connection->Send(*this, kind, all.first(size), {&rest, 1});
      connection->Recycle(*this);
    });
  }

  TcpConnection* const connection;
  std::shared_ptr<TcpConnection> self;  // while the handler's side has it
  FrameHeader header;
  ByteBuffer control, payload;
};

TcpConnection::TcpConnection(std::shared_ptr<ServerState> state, UniqueFd fd,
                             std::unique_ptr<ByteStream> stream, PeerTable::Record record)
    : state_(std::move(state)),
      record_(std::move(record)),
      stream_(std::move(stream)),
      socket_(state_->shard),
      resume_(state_->shard),
      reader_(state_->options.limits, record_->hello.Name()) {
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &size);
  socket_.assign(name.ss_family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(),
                 fd.Release());
}

TcpConnection::~TcpConnection() = default;

void TcpConnection::Begin() {
  state_->connections.push_back(this);
  if (state_->options.observer) state_->options.observer(record_->hello, PeerEvent::kJoined, "");
  asio::co_spawn(state_->shard, Serve(), asio::detached);
}

asio::awaitable<void> TcpConnection::Serve() {
  const std::shared_ptr<TcpConnection> alive = shared_from_this();
  try {
    while (!closed_) {
      if (ReadTurn()) {
        co_await asio::post(state_->shard, asio::use_awaitable);
      } else if (Paused()) {
        co_await WaitUntilResumed();
      } else if (!closed_) {
        const bool ready = co_await WaitFor(socket_, stream_->read_events());
        if (!ready) break;
        stream_->SetReady();
      }
    }
    End(PeerEvent::kLost, reason_);
  } catch (const ConnectionClosed& closed) {
    End(PeerEvent::kLost, fmt::format("{} without a goodbye: its process has ended", closed.what()));
  } catch (const std::exception& error) {
    ++state_->bad_frames;
    LogWarning("{}; the connection is dropped", error.what());
    End(PeerEvent::kLost, error.what());
  }
}

// Handles what has come. True: more may be there.
bool TcpConnection::ReadTurn() {
  const auto now = Clock::now();
  record_->Alive(now);
  const BusyMark busy(*state_, now);
  in_turn_ = true;
  bool more = true;
  for (int i = 0; more && i < kRequestsPerTurn && !Paused() && !closed_; ++i) {
    more = reader_.Next(*stream_, *this);
    if (more) HandleFrame();
  }
  in_turn_ = false;
  state_->bytes_in.fetch_add(reader_.bytes_read() - counted_, std::memory_order_relaxed);
  counted_ = reader_.bytes_read();
  if (!writing_ && !closed_) FlushKept();
  return more && !Paused() && !closed_;
}

void TcpConnection::Place(const FrameHeader& header, std::vector<MutableBytes>* pieces) {
  if (header.kind >= kFirstTransportKind && header.kind != kGoodbyeKind) {
    throw DataLossError("[transport] {} sends a frame of kind {:#x}; expected a request",
                        record_->hello.Name(), header.kind);
  }
  if (header.worker != record_->hello.task) {
    throw DataLossError("[transport] {} sends a request as worker {}; expected {}",
                        record_->hello.Name(), header.worker, record_->hello.task);
  }
  if (free_.empty()) {
    slots_.push_back(std::make_unique<Slot>(this));
    free_.push_back(slots_.back().get());
  }
  current_ = free_.back();
  free_.pop_back();
  current_->header = header;
  pieces->push_back(current_->control.Resize(header.control_bytes));
  pieces->push_back(current_->payload.Resize(header.payload_bytes));
}

void TcpConnection::HandleFrame() {
  Slot& slot = *std::exchange(current_, nullptr);
  if (slot.header.kind == kGoodbyeKind) {
    End(PeerEvent::kLeft, "");
    return;
  }
  ++pending_;
  state_->requests.fetch_add(1, std::memory_order_relaxed);
  slot.self = shared_from_this();
  const Request request{slot.header, slot.control.bytes(), slot.payload.bytes(), &record_->hello};
  Dispatch(state_->handler, request, &slot);
}

bool TcpConnection::Paused() const {
  return writing_ || pending_ >= state_->options.max_pending;
}

asio::awaitable<void> TcpConnection::WaitUntilResumed() {
  if (closed_) co_return;
  waiting_ = true;
  resume_.expires_at(asio::steady_timer::time_point::max());
  ErrorCode ignored;
  co_await resume_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  waiting_ = false;
}

void TcpConnection::Resume() {
  if (waiting_ && (closed_ || !Paused())) resume_.cancel();
}

void TcpConnection::End(PeerEvent event, const std::string& reason) {
  Close(reason);
  if (std::exchange(ended_, true)) return;
  std::erase(state_->connections, this);
  state_->peers.Remove(record_);
  if (state_->options.observer) state_->options.observer(record_->hello, event, reason);
}

void TcpConnection::LoseSilent(const std::string& reason) { End(PeerEvent::kSilent, reason); }

void TcpConnection::Close(const std::string& reason) {
  if (std::exchange(closed_, true)) return;
  reason_ = reason;
  ErrorCode ignored;
  socket_.close(ignored);
  Resume();
}

void TcpConnection::Recycle(Slot& slot) {
  slot.control.Recycle();
  slot.payload.Recycle();
  free_.push_back(&slot);
  --pending_;
  Resume();
}

// --- Sending -----------------------------------------------------------------------

void TcpConnection::Send(Slot& slot, uint16_t kind, ConstBytes control,
                         std::span<const ConstBytes> payload) {
  if (closed_) return;
  FrameHeader header = slot.header;
  header.kind = kind;
  header.control_bytes = static_cast<uint32_t>(control.size());
  header.payload_bytes = TotalBytes(payload);
  header.flags = 0;
  if (!stream_->is_protected() && state_->options.checksums) {
    header.flags |= kFrameHasBodyCrc;
    header.crc = BodyCrc(control, payload);
  }
  std::byte head[kFrameHeaderBytes];
  EncodeHeader(header, head);
  const size_t total = kFrameHeaderBytes + control.size() + header.payload_bytes;
  state_->bytes_out.fetch_add(total, std::memory_order_relaxed);
  try {
    if (in_turn_ && total <= kSmallReply) {
      kept_.insert(kept_.end(), head, head + kFrameHeaderBytes);
      kept_.insert(kept_.end(), control.begin(), control.end());
      for (const ConstBytes part : payload) kept_.insert(kept_.end(), part.begin(), part.end());
      if (kept_.size() - kept_sent_ > kKeptAtMost && !writing_) FlushKept();
    } else {
      if (!writing_) FlushKept();
      SendNow(head, control, payload);
    }
  } catch (const std::exception& error) {
    Close(error.what());
  }
}

// Behind what is kept.
void TcpConnection::SendNow(ConstBytes head, ConstBytes control,
                            std::span<const ConstBytes> payload) {
  iov_.clear();
  const auto add = [this](ConstBytes bytes) {
    if (!bytes.empty()) iov_.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
  };
  add(head);
  add(control);
  for (const ConstBytes part : payload) add(part);
  for (size_t next = 0; next < iov_.size();) {
    const size_t count = std::min<size_t>(iov_.size() - next, 256);
    size_t sent = writing_ ? 0 : stream_->Write({&iov_[next], count});
    if (sent == 0) {
      if (!writing_ && WaitBriefly()) continue;
      return Keep(std::span(iov_).subspan(next));
    }
    while (sent > 0) {
      const size_t part = std::min(sent, iov_[next].iov_len);
      iov_[next].iov_base = static_cast<std::byte*>(iov_[next].iov_base) + part;
      iov_[next].iov_len -= part;
      sent -= part;
      if (iov_[next].iov_len == 0) ++next;
    }
  }
}

// True: the client has made room.
bool TcpConnection::WaitBriefly() {
  if (!patient_) return false;
  pollfd poll_fd{socket_.native_handle(), stream_->write_events(), 0};
  patient_ = ::poll(&poll_fd, 1, kPatienceMs) == 1;
  return patient_;
}

void TcpConnection::Keep(std::span<const iovec> rest) {
  for (const iovec& piece : rest) {
    const auto* bytes = static_cast<const std::byte*>(piece.iov_base);
    kept_.insert(kept_.end(), bytes, bytes + piece.iov_len);
  }
  StartWriting();
}

void TcpConnection::FlushKept() {
  while (kept_sent_ < kept_.size()) {
    const iovec piece{&kept_[kept_sent_], kept_.size() - kept_sent_};
    const size_t sent = stream_->Write({&piece, 1});
    if (sent == 0) return StartWriting();
    kept_sent_ += sent;
  }
  if (kept_.capacity() > kKeptCapacity) kept_ = {};
  kept_.clear();
  kept_sent_ = 0;
}

// Goes on with what is kept once the socket takes more.
void TcpConnection::StartWriting() {
  if (std::exchange(writing_, true)) return;
  const auto kind = stream_->write_events() == POLLIN ? TcpSocket::wait_read
                                                      : TcpSocket::wait_write;
  socket_.async_wait(kind, [this, alive = shared_from_this()](ErrorCode error) {
    writing_ = false;
    if (error || closed_) return;
    try {
      FlushKept();
    } catch (const std::exception& failure) {
      Close(failure.what());
    }
    if (!writing_) patient_ = true;
    Resume();
  });
}

}  // namespace tributary
