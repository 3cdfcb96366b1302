#pragma once
// The parts of Boost.Asio that this folder uses. For .cc files and headers that only
// they include, and nobody includes Asio otherwise: most of it is compiled in asio.cc
// alone, which saves some seconds a file.

#define BOOST_ASIO_SEPARATE_COMPILATION

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <poll.h>

#include <chrono>
#include <memory>

namespace tributary {

namespace asio = boost::asio;
using TcpSocket = asio::ip::tcp::socket;
using ErrorCode = boost::system::error_code;

// True once `socket` is ready for `events` (POLLIN or POLLOUT), false when it was closed
// meanwhile. Keep the result in a variable: GCC 12 miscompiles co_await in conditions.
inline asio::awaitable<bool> WaitFor(TcpSocket& socket, short events) {
  ErrorCode error;
  co_await socket.async_wait(events == POLLOUT ? TcpSocket::wait_write : TcpSocket::wait_read,
                             asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

inline void CloseSocket(TcpSocket& socket) {
  ErrorCode ignored;
  socket.close(ignored);
}

// Closes a socket when time is up: whatever waits for it then ends with an error.
class TimeLimit {
 public:
  TimeLimit(TcpSocket& socket, std::chrono::steady_clock::time_point deadline)
      : expired_(std::make_shared<bool>(false)), timer_(socket.get_executor(), deadline) {
    timer_.async_wait([&socket, expired = std::weak_ptr(expired_)](ErrorCode error) {
      const auto flag = expired.lock();
      if (error || !flag) return;
      *flag = true;
      CloseSocket(socket);
    });
  }
  bool expired() const { return *expired_; }

 private:
  std::shared_ptr<bool> expired_;
  asio::steady_timer timer_;
};

}  // namespace tributary
