#include "distribute/transport/tcp/dial.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "distribute/transport/byte_buffer.h"
#include "distribute/transport/tcp/exchange.h"

namespace tributary {
namespace {

// One small frame, for hellos.
class SmallFrame final : public FramePlacer {
 public:
  explicit SmallFrame(const std::string& peer) : reader_(kHelloLimits, peer, kBuffer) {}
  void Place(const FrameHeader& header, std::vector<MutableBytes>* pieces) override {
    pieces->push_back(control_.Resize(header.control_bytes));
  }
  asio::awaitable<void> Receive(TcpSocket& socket, ByteStream& stream) {
    const bool received = co_await ReceiveFrame(socket, stream, reader_, *this);
    if (!received) throw DeadlineExceededError("no hello in time");
    if (!reader_.empty()) {
      throw DataLossError("[transport] more than a hello came before it was answered");
    }
  }
  uint16_t kind() const { return reader_.header().kind; }
  ConstBytes control() const { return control_.bytes(); }

 private:
  static constexpr size_t kBuffer = 4096 + kFrameHeaderBytes;
  FrameReader reader_;
  ByteBuffer control_;
};

asio::awaitable<void> Send(TcpSocket& socket, ByteStream& stream, uint16_t kind,
                           ConstBytes control) {
  const ConstBytes body = control;
  const FrameHeader header{.kind = kind,
                           .control_bytes = static_cast<uint32_t>(control.size()),
                           .crc = BodyCrc(body, {}),
                           .flags = kFrameHasBodyCrc};
  std::vector<std::byte> frame(kFrameHeaderBytes);
  EncodeHeader(header, frame.data());
  frame.insert(frame.end(), body.begin(), body.end());
  const bool sent = co_await SendBytes(socket, stream, frame);
  if (!sent) throw ConnectionClosed("the connection was closed");
}

asio::awaitable<void> Handshake(TcpSocket& socket, ByteStream& stream) {
  while (!stream.Handshake()) {
    const bool ready = co_await WaitFor(socket, stream.read_events());
    if (!ready) throw DeadlineExceededError("no handshake in time");
  }
}

asio::awaitable<asio::ip::tcp::endpoint> Resolve(const TcpAddress& address) {
  ErrorCode error;
  const auto numeric = asio::ip::make_address(address.host, error);
  if (!error) co_return asio::ip::tcp::endpoint(numeric, address.port);
  asio::ip::tcp::resolver resolver(co_await asio::this_coro::executor);
  const auto found = co_await resolver.async_resolve(
      address.host, std::to_string(address.port),
      asio::redirect_error(asio::use_awaitable, error));
  if (error || found.empty()) {
    throw UnavailableError("[transport] there is no host '{}': {}", address.host, error.message());
  }
  co_return found.begin()->endpoint();
}

// What can't wait is said of the connection alone; this adds whom it was to.
[[noreturn]] void Rethrow(const Error& error, const std::string& address) {
  const std::string text = error.what();
  if (text.starts_with("[")) throw;
  ThrowError(error.code(), fmt::format("[transport] connecting to {}: {}", address, text));
}

asio::awaitable<Connected> Meet(TcpSocket& socket, const DialTarget& target) {
  const std::string address = target.address.ToString();
  const auto endpoint = co_await Resolve(target.address);
  const auto tls = TlsContext::Make(target.security, false, address,
                                    endpoint.address().is_loopback());
  ErrorCode error;
  co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  if (error) {
    throw UnavailableError("[transport] nobody listens at {}: {}; is the server started?", address,
                           error.message());
  }
  socket.set_option(asio::ip::tcp::no_delay(true));
  ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  Connected result;
  result.stream = MakeStream(tls.get(), socket.native_handle());
  try {
    co_await Handshake(socket, *result.stream);
    const std::vector<std::byte> hello = EncodeHello(target.hello);
    co_await Send(socket, *result.stream, kHelloKind, hello);
    SmallFrame answer(address);
    co_await answer.Receive(socket, *result.stream);
    if (answer.kind() == kErrorKind) ThrowRemoteError(answer.control(), address);
    result.server = DecodeHello(answer.control(), address).hello;
  } catch (const ConnectionClosed&) {
    throw UnavailableError("[transport] {} hangs up before it says who it is; is it going down, or "
                           "does it expect the job's key?",
                           address);
  } catch (const Error& e) {
    Rethrow(e, address);
  }
  CheckHello(target.hello.hello, result.server, address);
  CheckExpectedServer(target.expected_server, result.server, address);
  co_return result;
}

}  // namespace

asio::awaitable<Connected> Dial(TcpSocket& socket, const DialTarget& target,
                                Clock::time_point deadline) {
  const TimeLimit limit(socket, deadline);
  try {
    co_return co_await Meet(socket, target);
  } catch (const Error&) {
    if (!limit.expired()) throw;
  }
  throw UnavailableError("[transport] no answer from {} in time; is it overloaded, stopped or "
                         "behind a firewall?",
                         target.address.ToString());
}

Connected DialAndWait(const DialTarget& target, Clock::time_point deadline, UniqueFd* fd) {
  asio::io_context loop(1);
  TcpSocket socket(loop);
  Connected result;
  std::exception_ptr failure;
  asio::co_spawn(loop, Dial(socket, target, deadline),
                 [&](std::exception_ptr error, Connected connected) {
                   failure = error;
                   result = std::move(connected);
                 });
  loop.run();
  if (failure) std::rethrow_exception(failure);
  *fd = UniqueFd(socket.release());
  return result;
}

asio::awaitable<HelloMessage> ReceiveHello(TcpSocket& socket, ByteStream& stream,
                                           const std::string& peer) {
  co_await Handshake(socket, stream);
  SmallFrame frame(peer);
  co_await frame.Receive(socket, stream);
  if (frame.kind() != kHelloKind) {
    throw DataLossError("[transport] {} does not begin with a hello; got kind {}", peer,
                        frame.kind());
  }
  co_return DecodeHello(frame.control(), peer);
}

asio::awaitable<void> SendWelcome(TcpSocket& socket, ByteStream& stream, const Hello& hello) {
  HelloMessage message;
  message.hello = hello;
  const std::vector<std::byte> control = EncodeHello(message);
  co_await Send(socket, stream, kHelloKind, control);
}

asio::awaitable<void> SendRefusal(TcpSocket& socket, ByteStream& stream,
                                  std::exception_ptr error) {
  std::vector<std::byte> text;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    EncodeError(e, &text);
  }
  text.resize(std::min<size_t>(text.size(), kHelloLimits.control_bytes));
  co_await Send(socket, stream, kErrorKind, text);
}

}  // namespace tributary
