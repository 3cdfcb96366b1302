#include "distribute/transport/tcp/door.h"

#include "core/base/logging.h"
#include "distribute/transport/tcp/connection.h"
#include "distribute/transport/tcp/dial.h"
#include "distribute/transport/tcp/exchange.h"

namespace tributary {

Door::Door(std::shared_ptr<ServerState> state, TcpAddress address) : state_(std::move(state)) {
  const ListenerWords words{
      .component = "transport", .who = "", .address = address.ToString(),
      .if_taken = "stop it, or choose another port (0: any free one)",
      .if_impossible = "choose an address of this host"};
  const asio::ip::tcp::endpoint endpoint = FindOwnEndpoint(address, words);
  tls_ = TlsContext::Make(state_->options.security, true, words.address,
                          endpoint.address().is_loopback());
  ListenAt(acceptor_, endpoint, words);
  address.port = acceptor_.local_endpoint().port();
  address_ = address.ToString();
}

Door::~Door() { Close(); }

void Door::Open() {
  const auto limit = static_cast<size_t>(state_->options.max_handshakes);
  asio::co_spawn(loop_,
                 AcceptAll(acceptor_, strangers_, limit,
                           [this](TcpVisitor visitor) {
                             asio::co_spawn(loop_, Welcome(std::move(visitor)), asio::detached);
                           }),
                 asio::detached);
  asio::co_spawn(loop_, WatchPeers(), asio::detached);
  thread_ = std::thread([this] { loop_.run(); });
}

// What waits is cancelled; the loop ends when nothing is left.
void Door::Close() {
  if (!thread_.joinable()) return;
  asio::post(loop_, [this] {
    closing_ = true;
    ErrorCode ignored;
    acceptor_.close(ignored);
    watch_.cancel();
    for (const TcpVisitor& visitor : strangers_) CloseSocket(*visitor);
    for (const TcpVisitor& visitor : heartbeats_) CloseSocket(*visitor);
  });
  thread_.join();
}

asio::awaitable<void> Door::Welcome(TcpVisitor visitor) {
  ErrorCode error;
  visitor->set_option(asio::ip::tcp::no_delay(true), error);
  const std::string peer = PeerName(*visitor);
  try {
    co_await Admit(visitor, peer);
  } catch (const ConnectionClosed&) {
    // It has changed its mind.
  } catch (const std::exception& e) {
    if (!closing_) Refused(peer, e.what());
  }
  strangers_.remove(visitor);
}

asio::awaitable<void> Door::Admit(TcpVisitor visitor, std::string peer) {
  TcpSocket& socket = *visitor;
  std::unique_ptr<ByteStream> stream = MakeStream(tls_.get(), socket.native_handle());
  HelloMessage message;
  PeerTable::Record record;
  {
    const TimeLimit limit(socket, Clock::now() + state_->options.connect_timeout);
    message = co_await ReceiveHello(socket, *stream, peer);
    std::exception_ptr failure;
    try {
      record = Introduce(message);
    } catch (const std::exception& e) {
      failure = std::current_exception();
    }
    if (failure) {
      co_await SendRefusal(socket, *stream, failure);
      std::rethrow_exception(failure);
    }
    co_await SendWelcome(socket, *stream, state_->options.hello);
  }
  strangers_.remove(visitor);
  if (message.purpose == ConnectionPurpose::kCalls) {
    HandOver(socket, std::move(stream), std::move(record));
    co_return;
  }
  heartbeats_.push_back(visitor);
  try {
    co_await ExchangeHeartbeats(socket, *stream, record);
  } catch (const std::exception&) {
    // The client has gone, or will dial again; the watch judges its silence.
  }
  heartbeats_.remove(visitor);
}

// Throws what refuses the client.
PeerTable::Record Door::Introduce(const HelloMessage& message) {
  CheckHello(state_->options.hello, message.hello, message.hello.Name());
  if (message.purpose == ConnectionPurpose::kHeartbeat) {
    PeerTable::Record record = state_->peers.Find(message.session);
    if (record) return record;
    throw UnavailableError("[transport] heartbeats of {} belong to no connection; connect again",
                           message.hello.Name());
  }
  if (state_->options.admit) state_->options.admit(message.hello);
  auto record = std::make_shared<PeerRecord>(message.hello, message.session);
  if (!state_->peers.Add(record)) {
    throw AlreadyExistsError("[transport] {} uses the session of another connection",
                             message.hello.Name());
  }
  return record;
}

void Door::HandOver(TcpSocket& socket, std::unique_ptr<ByteStream> stream,
                    PeerTable::Record record) {
  ++state_->accepted;
  auto connection = std::make_shared<TcpConnection>(state_, UniqueFd(socket.release()),
                                                    std::move(stream), std::move(record));
  state_->Post([connection] { connection->Begin(); });
}

asio::awaitable<void> Door::ExchangeHeartbeats(TcpSocket& socket, ByteStream& stream,
                                               PeerTable::Record record) {
  FrameReader reader(kHelloLimits, record->hello.Name(), 4 * kFrameHeaderBytes);
  HeartbeatPlacer placer;
  while (true) {
    const bool received = co_await ReceiveFrame(socket, stream, reader, placer);
    if (!received) co_return;
    const auto now = Clock::now();
    record->Alive(now);
    record->SetProgress(reader.header().sequence, now);
    const bool answered = co_await SendHeader(socket, stream, OwnHeartbeat());
    if (!answered) co_return;
  }
}

FrameHeader Door::OwnHeartbeat() const {
  const Clock::rep since = state_->busy_since.load(std::memory_order_relaxed);
  const Clock::time_point from{Clock::duration(since)};
  FrameHeader header;
  header.kind = kHeartbeatKind;
  header.sequence = state_->requests.load(std::memory_order_relaxed);
  if (since != 0) {
    const auto busy = std::chrono::duration_cast<Millis>(Clock::now() - from).count();
    header.request_id = static_cast<uint64_t>(std::max<int64_t>(busy, 0));
  }
  return header;
}

asio::awaitable<void> Door::WatchPeers() {
  const Millis period = std::max(state_->options.heartbeat_period / 4, Millis(1));
  const Millis dead_after = state_->options.dead_after;
  auto last_turn = Clock::now();
  while (!closing_) {
    watch_.expires_after(period);
    ErrorCode ignored;
    co_await watch_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    const auto now = Clock::now();
    // Who was stopped itself can't judge the silence of others.
    const bool was_stopped = now - last_turn > std::max(dead_after / 2, 4 * period);
    last_turn = now;
    for (const PeerTable::Record& record : state_->peers.All()) {
      if (was_stopped) record->Alive(now);
      const double silent = PeerRecord::Since(record->last_life, now);
      if (silent < std::chrono::duration<double>(dead_after).count()) continue;
      state_->peers.Remove(record);
      std::string reason = fmt::format("no heartbeat for {:.1f} s: its process is stopped or its "
                                       "host unreachable",
                                       silent);
      LogWarning("[transport] {} is lost: {}", record->hello.Name(), reason);
      state_->Post([state = state_.get(), record, reason] {
        const auto connections = state->connections;
        for (TcpConnection* connection : connections) {
          if (connection->record() == record) connection->LoseSilent(reason);
        }
      });
    }
  }
}

void Door::Refused(const std::string& peer, const std::string& why) {
  ++state_->refused;
  ++refusals_unlogged_;
  const auto now = Clock::now();
  if (now - refusal_logged_ < std::chrono::seconds(1)) return;
  LogWarning("[transport] {} refuses {}: {}{}", address_, peer, why,
             refusals_unlogged_ == 1
                 ? std::string()
                 : fmt::format(" (and {} others)", refusals_unlogged_ - 1));
  refusal_logged_ = now;
  refusals_unlogged_ = 0;
}

}  // namespace tributary
