// Where a process can't listen, it says why and what to do, in its caller's words.

#include "distribute/transport/tcp/listening.h"

#include <fcntl.h>

#include "distribute/metrics/metrics_server.h"
#include "tests/distribute/transport/contract_server.h"

namespace tributary {
namespace {

using asio::ip::tcp;

const Handler kIgnore = [](const Request&, Responder) {};
const ListenerWords kWords{.component = "test", .who = "rank 3 ", .address = "tcp://here:1",
                           .if_taken = "wait", .if_impossible = "move"};

TEST(Listening, AnAddressInUseIsTold) {
  asio::io_context loop;
  tcp::acceptor first(loop), second(loop);
  ListenAt(first, {asio::ip::address_v4::loopback(), 0}, kWords);
  const tcp::endpoint taken = first.local_endpoint();
  EXPECT_EQ(ErrorOf<AlreadyExistsError>([&] { ListenAt(second, taken, kWords); }),
            "[test] tcp://here:1 is in use by another process; wait");

  const std::string address = fmt::format("127.0.0.1:{}", taken.port());
  const std::string told = address + " is in use by another process; stop it, or choose another "
                                     "port (0: any free one)";
  EXPECT_EQ(ErrorOf<AlreadyExistsError>([&] { Listen("tcp://" + address, kIgnore, {}); }),
            "[transport] tcp://" + told);
  EXPECT_EQ(ErrorOf<AlreadyExistsError>([&] {
              MetricsServer({.port = taken.port()}, [] { return std::string(); });
            }),
            "[metrics] " + told);
}

TEST(Listening, AnAddressOfAnotherHostIsTold) {
  asio::io_context loop;
  tcp::acceptor acceptor(loop);
  const tcp::endpoint elsewhere(asio::ip::make_address("192.0.2.1"), 0);
  const std::string told =
      ErrorOf<InvalidArgumentError>([&] { ListenAt(acceptor, elsewhere, kWords); });
  EXPECT_EQ(told.find("[test] rank 3 can't listen at tcp://here:1: "), 0u) << told;
  EXPECT_TRUE(told.ends_with("; move")) << told;
}

TEST(Listening, AHostThatThereIsNotIsTold) {
  EXPECT_THAT(ErrorOf<InvalidArgumentError>([] {
                FindOwnEndpoint({.host = "no host", .port = 1}, kWords);
              }),
              HasSubstr("[test] rank 3 can't listen at tcp://here:1: there is no host 'no host'"));
  EXPECT_EQ(FindOwnEndpoint({.host = "::1", .port = 7}, kWords),
            tcp::endpoint(asio::ip::address_v6::loopback(), 7));
}

TEST(Listening, ChildrenDoNotInheritTheSocket) {
  asio::io_context loop;
  tcp::acceptor acceptor(loop);
  ListenAt(acceptor, {asio::ip::address_v4::loopback(), 0}, kWords);
  EXPECT_TRUE(::fcntl(acceptor.native_handle(), F_GETFD) & FD_CLOEXEC);
}

}  // namespace
}  // namespace tributary
