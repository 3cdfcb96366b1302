#pragma once
// How two ends of a TCP connection get to know each other: connect, TLS, hellos.
// Coroutines of the io_context that runs them.

#include "distribute/transport/hello.h"
#include "distribute/transport/tcp/address.h"
#include "distribute/transport/tcp/asio.h"
#include "distribute/transport/tcp/byte_stream.h"
#include "distribute/transport/tcp/tls.h"

namespace tributary {

struct DialTarget {
  TcpAddress address;
  SecurityOptions security;
  HelloMessage hello;
  std::string expected_server;
};
struct Connected {
  std::unique_ptr<ByteStream> stream;  // over the socket, which stays the caller's
  Hello server;
};

// Client's side. Everything ends by `deadline`, or when `socket` is closed. Throws
// UnavailableError (nobody there, no answer), UnauthenticatedError,
// FailedPreconditionError, DataLossError.
asio::awaitable<Connected> Dial(TcpSocket& socket, const DialTarget& target,
                                std::chrono::steady_clock::time_point deadline);
// The same on a loop of its own; the socket is given out.
Connected DialAndWait(const DialTarget& target, std::chrono::steady_clock::time_point deadline,
                      UniqueFd* fd);

// Server's side: handshake and the client's hello, without the answer. Throws as above.
asio::awaitable<HelloMessage> ReceiveHello(TcpSocket& socket, ByteStream& stream,
                                           const std::string& peer);
// Answers a hello: welcome (the server's own hello), or the reason of a refusal.
asio::awaitable<void> SendWelcome(TcpSocket& socket, ByteStream& stream, const Hello& hello);
asio::awaitable<void> SendRefusal(TcpSocket& socket, ByteStream& stream,
                                  std::exception_ptr error);

}  // namespace tributary
