#pragma once
// The client's heartbeats: one thread a process, a connection a channel. Learns that a
// server is silent although its host takes our bytes (stopped), or that nothing comes
// back at all (unreachable), and then ends the wait of the channel's user by shutting
// its socket down.

#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "distribute/transport/tcp/dial.h"

namespace tributary {

// What a channel and its heartbeats share. Any thread.
class ServerLife {
 public:
  // `fd` is the socket of the calls.
  explicit ServerLife(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  // Ends everything that waits for the socket. The first reason is kept.
  void Die(const std::string& reason) {
    std::lock_guard lock(mutex_);
    if (!dead_reason_.empty()) return;
    dead_reason_ = reason;
    ::shutdown(fd_.get(), SHUT_RDWR);
  }
  // Empty: nothing is known against it.
  std::string dead_reason() const {
    std::lock_guard lock(mutex_);
    return dead_reason_;
  }

  std::atomic<uint64_t> progress{0};       // ours, to be sent
  std::atomic<uint64_t> peer_requests{0};  // handled by the server
  std::atomic<uint64_t> peer_busy_ms{0};   // at its last heartbeat
  std::atomic<bool> closed{false};         // the channel is gone

 private:
  const UniqueFd fd_;
  mutable std::mutex mutex_;
  std::string dead_reason_;
};

class HeartbeatClient {
 public:
  // The one of this process; it ends when nobody holds it.
  static std::shared_ptr<HeartbeatClient> Get();
  ~HeartbeatClient();

  // Until life->closed.
  void Watch(std::shared_ptr<ServerLife> life, DialTarget target, Millis period,
             Millis dead_after);
  // After closed was set: makes the thread notice at once.
  void Wake();

 private:
  struct Link;
  HeartbeatClient();
  asio::awaitable<void> Beat(std::shared_ptr<Link> link);
  asio::awaitable<void> BeatOnce(Link& link);
  asio::awaitable<void> Judge(std::shared_ptr<Link> link);

  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::vector<std::weak_ptr<Link>> links_;  // the thread's
  std::thread thread_;
};

}  // namespace tributary
