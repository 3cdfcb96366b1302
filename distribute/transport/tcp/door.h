#pragma once
// The door of a TCP server: accepts, authenticates, takes hellos, and then hands
// connections to the shard's thread; exchanges heartbeats and notices who is silent.
// On a thread of its own, so that strangers cost the shard nothing and a busy shard
// still shows signs of life.

#include <list>
#include <thread>

#include "distribute/transport/hello.h"
#include "distribute/transport/tcp/address.h"
#include "distribute/transport/tcp/listening.h"
#include "distribute/transport/tcp/server_state.h"
#include "distribute/transport/tcp/tls.h"

namespace tributary {

class Door {
 public:
  // Listens. Throws AlreadyExistsError, InvalidArgumentError, UnauthenticatedError.
  Door(std::shared_ptr<ServerState> state, TcpAddress address);
  ~Door();

  void Open();
  // Nobody comes in, and no heartbeat goes out, once this has returned.
  void Close();
  const std::string& address() const { return address_; }

 private:
  asio::awaitable<void> Welcome(TcpVisitor visitor);
  asio::awaitable<void> Admit(TcpVisitor visitor, std::string peer);
  PeerTable::Record Introduce(const HelloMessage& message);
  void HandOver(TcpSocket& socket, std::unique_ptr<ByteStream> stream, PeerTable::Record record);
  asio::awaitable<void> ExchangeHeartbeats(TcpSocket& socket, ByteStream& stream,
                                           PeerTable::Record record);
  FrameHeader OwnHeartbeat() const;
  asio::awaitable<void> WatchPeers();
  void Refused(const std::string& peer, const std::string& why);

  const std::shared_ptr<ServerState> state_;
  std::shared_ptr<TlsContext> tls_;
  std::string address_;
  asio::io_context loop_{1};
  asio::ip::tcp::acceptor acceptor_{loop_};
  asio::steady_timer watch_{loop_};
  std::list<TcpVisitor> strangers_, heartbeats_;  // not (or not only) the shard's connections
  bool closing_ = false;
  Clock::time_point refusal_logged_;
  uint64_t refusals_unlogged_ = 0;
  std::thread thread_;
};

}  // namespace tributary
