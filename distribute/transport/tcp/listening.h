#pragma once
// The near side of every TCP port of this process: the socket that listens, and the loop
// that lets visitors in. For .cc files and headers that only they include.

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "distribute/transport/tcp/address.h"
#include "distribute/transport/tcp/asio.h"

namespace tributary {

// What messages say of a listener.
struct ListenerWords {
  std::string component;      // "tcp": messages begin with [tcp]
  std::string who;            // "rank 3 ", where there is more than one; or empty
  std::string address;        // as it was asked for
  std::string if_taken;       // what to do when another process listens there
  std::string if_impossible;  // what to do when the host can't listen there at all
};

// Where `address` is on this host. Waits for the name service. Throws
// InvalidArgumentError.
asio::ip::tcp::endpoint FindOwnEndpoint(const TcpAddress& address, const ListenerWords& words);

// Opens `acceptor`, which was not open, and makes it listen. Children do not inherit it.
// Throws AlreadyExistsError (another process listens there), InvalidArgumentError.
void ListenAt(asio::ip::tcp::acceptor& acceptor, const asio::ip::tcp::endpoint& endpoint,
              const ListenerWords& words);

using TcpVisitor = std::shared_ptr<TcpSocket>;

// Accepts until `acceptor` is closed, which is done on the loop's thread. Each visitor is
// put at the end of `visitors`, and `welcome` is called, which sees to it that the visitor
// leaves the list again. Where there are `limit` already, the first is closed and leaves:
// who means it needs a millisecond, and a crowd that keeps silent can't keep the others
// out. All that is referred to outlives the coroutine.
asio::awaitable<void> AcceptAll(asio::ip::tcp::acceptor& acceptor,
                                std::list<TcpVisitor>& visitors, size_t limit,
                                std::function<void(TcpVisitor)> welcome);

// "10.0.0.1:4000", the other end of a connected socket.
std::string PeerName(const TcpSocket& socket);

}  // namespace tributary
