#include "distribute/transport/tcp/listening.h"

#include <fcntl.h>

#include "core/base/errors.h"

namespace tributary {
namespace {

using asio::ip::tcp;

constexpr int kBacklog = 1024;

}  // namespace

tcp::endpoint FindOwnEndpoint(const TcpAddress& address, const ListenerWords& words) {
  ErrorCode error;
  asio::io_context loop;
  tcp::resolver resolver(loop);
  const auto found = resolver.resolve(address.host, std::to_string(address.port),
                                      tcp::resolver::passive, error);
  if (!error && !found.empty()) return found.begin()->endpoint();
  throw InvalidArgumentError("[{}] {}can't listen at {}: there is no host '{}' ({})",
                             words.component, words.who, words.address, address.host,
                             error.message());
}

void ListenAt(tcp::acceptor& acceptor, const tcp::endpoint& endpoint,
              const ListenerWords& words) {
  ErrorCode error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) ::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (!error) return;
  if (error == asio::error::address_in_use) {
    throw AlreadyExistsError("[{}] {} is in use by another process; {}", words.component,
                             words.address, words.if_taken);
  }
  throw InvalidArgumentError("[{}] {}can't listen at {}: {}; {}", words.component, words.who,
                             words.address, error.message(), words.if_impossible);
}

asio::awaitable<void> AcceptAll(tcp::acceptor& acceptor, std::list<TcpVisitor>& visitors,
                                size_t limit, std::function<void(TcpVisitor)> welcome) {
  while (acceptor.is_open()) {
    ErrorCode error;
    auto visitor = std::make_shared<TcpSocket>(acceptor.get_executor());
    co_await acceptor.async_accept(*visitor, asio::redirect_error(asio::use_awaitable, error));
    if (!acceptor.is_open()) co_return;
    if (error) {
      // Out of descriptors or memory: somebody may give some back.
      asio::steady_timer pause(acceptor.get_executor(), std::chrono::milliseconds(20));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    ::fcntl(visitor->native_handle(), F_SETFD, FD_CLOEXEC);
    if (visitors.size() >= limit) {
      CloseSocket(*visitors.front());
      visitors.pop_front();
    }
    visitors.push_back(visitor);
    welcome(std::move(visitor));
  }
}

std::string PeerName(const TcpSocket& socket) {
  ErrorCode error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  return fmt::format("{}:{}", peer.address().to_string(), peer.port());
}

}  // namespace tributary
