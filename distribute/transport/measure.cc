#include "distribute/transport/measure.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>

#include "core/base/errors.h"

namespace tributary {
namespace {

void Require(bool condition, const char* call) {
  if (!condition) throw UnavailableError("[bench] {}: {}", call, std::strerror(errno));
}

// Two ends of a loopback connection.
struct Ends {
  int client = -1, server = -1;
};

Ends ConnectEnds() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Require(listener >= 0, "socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  Require(::bind(listener, generic, size) == 0 && ::listen(listener, 1) == 0 &&
              ::getsockname(listener, generic, &size) == 0,
          "listen");
  Ends ends;
  ends.client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Require(::connect(ends.client, generic, size) == 0, "connect");
  ends.server = ::accept(listener, nullptr, nullptr);
  Require(ends.server >= 0, "accept");
  ::close(listener);
  const int on = 1;
  for (const int fd : {ends.client, ends.server}) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  return ends;
}

bool ReadAll(int fd, char* data, size_t size) {
  while (size > 0) {
    const ssize_t got = ::read(fd, data, size);
    if (got <= 0) return false;
    data += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

bool WriteAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t put = ::send(fd, data, size, MSG_NOSIGNAL);
    if (put <= 0) return false;
    data += put;
    size -= static_cast<size_t>(put);
  }
  return true;
}

// Runs serve(fd) in a process of its own and measure(fd) here. The child makes system
// calls only: this process may have threads.
template <typename Serve, typename Measure>
void WithPeer(const MeasureOptions& options, Serve serve, Measure measure) {
  const Ends ends = ConnectEnds();
  const pid_t child = ::fork();
  Require(child >= 0, "fork");
  if (child == 0) {
    ::close(ends.client);
    PinThread(options.server_core);
    serve(ends.server);
    ::_exit(0);
  }
  ::close(ends.server);
  cpu_set_t before;
  ::sched_getaffinity(0, sizeof(before), &before);
  PinThread(options.client_core);
  measure(ends.client);
  ::sched_setaffinity(0, sizeof(before), &before);
  ::close(ends.client);
  ::waitpid(child, nullptr, 0);
}

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr int kWarmUp = 50;

// Sends and receives `total` bytes at once.
void Duplex(int fd, char* out, char* in, size_t total, size_t piece) {
  size_t sent = 0, received = 0;
  while (sent < total || received < total) {
    pollfd poll_fd{fd, static_cast<short>((sent < total ? POLLOUT : 0) |
                                          (received < total ? POLLIN : 0)), 0};
    ::poll(&poll_fd, 1, -1);
    if (poll_fd.revents & POLLOUT) {
      const ssize_t n = ::send(fd, out, std::min(piece, total - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) sent += static_cast<size_t>(n);
    }
    if (poll_fd.revents & (POLLIN | POLLHUP | POLLERR)) {
      const ssize_t n = ::recv(fd, in, std::min(piece, total - received), MSG_DONTWAIT);
      if (n > 0) received += static_cast<size_t>(n);
      if (n == 0) return;
    }
  }
}

}  // namespace

bool PinThread(int core) {
  if (core < 0) return true;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  return ::sched_setaffinity(0, sizeof(cores), &cores) == 0;
}

Latency SummarizeLatency(std::vector<double> us) {
  if (us.empty()) return {};
  std::sort(us.begin(), us.end());
  const auto at = [&](double q) { return us[static_cast<size_t>(q * static_cast<double>(us.size() - 1))]; };
  return {at(0.5), at(0.99), std::accumulate(us.begin(), us.end(), 0.0) / us.size()};
}

Latency RawExchange(size_t request_bytes, size_t reply_bytes, int rounds,
                    const MeasureOptions& options) {
  std::vector<char> request(request_bytes, 1), reply(reply_bytes, 2);
  std::vector<double> us;
  us.reserve(rounds);
  WithPeer(
      options,
      [&](int fd) {
        while (ReadAll(fd, request.data(), request.size()) &&
               WriteAll(fd, reply.data(), reply.size())) {
        }
      },
      [&](int fd) {
        for (int i = -kWarmUp; i < rounds; ++i) {
          const auto start = Clock::now();
          Require(WriteAll(fd, request.data(), request.size()), "write");
          Require(ReadAll(fd, reply.data(), reply.size()), "read");
          if (i >= 0) us.push_back(SecondsSince(start) * 1e6);
        }
      });
  return SummarizeLatency(std::move(us));
}

double RawStream(size_t total_bytes, size_t piece, const MeasureOptions& options) {
  std::vector<char> buffer(piece, 1);
  double seconds = 0;
  WithPeer(
      options,
      [&](int fd) {
        for (int round = 0; round < 2; ++round) {
          for (size_t left = total_bytes; left > 0;) {
            const ssize_t got = ::read(fd, buffer.data(), std::min(left, piece));
            if (got <= 0) return;
            left -= static_cast<size_t>(got);
          }
          WriteAll(fd, buffer.data(), 1);
        }
      },
      [&](int fd) {
        for (int round = 0; round < 2; ++round) {  // the first warms the socket's buffers
          const auto start = Clock::now();
          for (size_t left = total_bytes; left > 0; left -= std::min(left, piece)) {
            Require(WriteAll(fd, buffer.data(), std::min(left, piece)), "write");
          }
          Require(ReadAll(fd, buffer.data(), 1), "read");
          seconds = SecondsSince(start);
        }
      });
  return total_bytes / seconds / 1e9;
}

double RawDuplexStream(size_t total_bytes, size_t piece, const MeasureOptions& options) {
  std::vector<char> out(piece, 1), in(piece, 1);
  double seconds = 0;
  const auto both = [&](int fd) {
    for (int round = 0; round < 2; ++round) {
      const auto start = Clock::now();
      Duplex(fd, out.data(), in.data(), total_bytes, piece);
      seconds = SecondsSince(start);
    }
  };
  WithPeer(options, both, both);
  return 2.0 * total_bytes / seconds / 1e9;
}

Handler MeasurementHandler() {
  auto bytes = std::make_shared<std::vector<std::byte>>();
  return [bytes](const Request& request, Responder responder) {
    if (request.header.sequence == 0) return responder.Reply();
    if (bytes->size() < request.header.sequence) bytes->resize(request.header.sequence);
    const ConstBytes reply = ConstBytes(*bytes).first(request.header.sequence);
    responder.Reply({}, {&reply, 1});
  };
}

Latency ChannelExchange(Channel& channel, size_t request_bytes, size_t reply_bytes, int rounds) {
  std::vector<std::byte> request(request_bytes), reply(reply_bytes);
  const ConstBytes out(request);
  const MutableBytes in(reply);
  std::vector<double> us;
  us.reserve(rounds);
  for (int i = -kWarmUp; i < rounds; ++i) {
    const auto start = Clock::now();
    channel.Wait(channel.Start(1, 0, reply_bytes, {}, {&out, 1}, {&in, 1},
                               start + std::chrono::seconds(60)));
    if (i >= 0) us.push_back(SecondsSince(start) * 1e6);
  }
  return SummarizeLatency(std::move(us));
}

double ChannelPushPull(Channel& channel, size_t bytes, int calls, int rounds) {
  std::vector<std::vector<std::byte>> out(calls, std::vector<std::byte>(bytes)), in = out;
  std::vector<ConstBytes> from(out.begin(), out.end());
  std::vector<MutableBytes> to(in.begin(), in.end());
  std::vector<CallId> ids(2 * calls);
  double best = 1e30;
  for (int round = 0; round < rounds; ++round) {
    const auto start = Clock::now();
    const Deadline deadline = start + std::chrono::seconds(60);
    for (int i = 0; i < calls; ++i) {
      ids[2 * i] = channel.Start(1, 0, 0, {}, {&from[i], 1}, {}, deadline);
      ids[2 * i + 1] = channel.Start(1, 0, bytes, {}, {}, {&to[i], 1}, deadline);
    }
    for (const CallId id : ids) channel.Wait(id);
    best = std::min(best, SecondsSince(start));
  }
  return 2.0 * bytes * calls / best / 1e9;
}

}  // namespace tributary
