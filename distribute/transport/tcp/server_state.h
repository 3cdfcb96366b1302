#pragma once
// What the threads of a TCP server and its connections share. Connections hold it: a
// responder may outlive the server.

#include <thread>

#include "distribute/transport/tcp/asio.h"
#include "distribute/transport/peer_table.h"
#include "distribute/transport/transport.h"

namespace tributary {

class TcpConnection;

class ServerState {
 public:
  ServerState(Handler handler, ServerOptions options)
      : handler(std::move(handler)), options(std::move(options)) {}

  Handler handler;
  const ServerOptions options;
  PeerTable peers;

  // The server's thread runs this; it handles all requests.
  asio::io_context shard{1};
  std::thread::id shard_thread;
  bool on_shard_thread() const { return std::this_thread::get_id() == shard_thread; }

  std::vector<TcpConnection*> connections;  // the open ones; server's thread only

  // Runs `fn` on the server's thread. Any thread. False: the server has stopped.
  template <typename Fn>
  bool Post(Fn fn) {
    std::lock_guard lock(mutex_);
    if (stopped_) return false;
    asio::post(shard, std::move(fn));
    return true;
  }
  void StopPosting() {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }

  std::atomic<uint64_t> requests{0}, bytes_in{0}, bytes_out{0}, accepted{0}, refused{0},
      bad_frames{0};
  // When the server's thread took up what it is doing; 0: it waits.
  std::atomic<Clock::rep> busy_since{0};

 private:
  std::mutex mutex_;
  bool stopped_ = false;
};

}  // namespace tributary
