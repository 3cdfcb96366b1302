#pragma once
// A proxy between a TCP client and a server that may look at and change the bytes. One
// thread; several connections, one after the other or at once.

#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <functional>
#include <list>
#include <thread>

#include "tests/distribute/transport/raw_client.h"

namespace tributary {

class Proxy {
 public:
  // Called with every piece that passes, from the client (true) or the server; may
  // change it. `connection` counts from 0.
  using Tap = std::function<void(int connection, bool from_client, std::vector<std::byte>&)>;

  Proxy(std::string server, Tap tap) : server_(std::move(server)), tap_(std::move(tap)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    ::listen(listener_, 64);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    address_ = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    stop_ = ::eventfd(0, EFD_CLOEXEC);
    thread_ = std::thread([this] { Loop(); });
  }
  ~Proxy() {
    ::eventfd_write(stop_, 1);
    thread_.join();
    ::close(stop_);
    ::close(listener_);
  }
  const std::string& address() const { return address_; }

 private:
  struct Pair {
    int number, client, server;
  };

  void Loop() {
    std::list<Pair> pairs;
    int count = 0;
    while (true) {
      std::vector<pollfd> fds = {{stop_, POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const Pair& pair : pairs) {
        fds.push_back({pair.client, POLLIN, 0});
        fds.push_back({pair.server, POLLIN, 0});
      }
      ::poll(fds.data(), fds.size(), -1);
      if (fds[0].revents) break;
      size_t i = 2;
      for (auto it = pairs.begin(); it != pairs.end(); i += 2) {
        const bool alive = (!fds[i].revents || Pass(*it, true)) &&
                           (!fds[i + 1].revents || Pass(*it, false));
        if (!alive) Close(*it);
        it = alive ? std::next(it) : pairs.erase(it);
      }
      if (fds[1].revents) {
        const int client = ::accept(listener_, nullptr, nullptr);
        pairs.push_back({count++, client, Connect()});
      }
    }
    for (const Pair& pair : pairs) Close(pair);
  }

  bool Pass(const Pair& pair, bool from_client) {
    std::vector<std::byte> bytes(64 << 10);
    const ssize_t got =
        ::recv(from_client ? pair.client : pair.server, bytes.data(), bytes.size(), 0);
    if (got <= 0) return false;
    bytes.resize(static_cast<size_t>(got));
    tap_(pair.number, from_client, bytes);
    ConstBytes rest(bytes);
    while (!rest.empty()) {
      const ssize_t put = ::send(from_client ? pair.server : pair.client, rest.data(), rest.size(),
                                 MSG_NOSIGNAL);
      if (put <= 0) return false;
      rest = rest.subspan(static_cast<size_t>(put));
    }
    return true;
  }

  int Connect() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(TcpAddress::Parse(server_).port);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) ::shutdown(fd, SHUT_RDWR);
    return fd;
  }
  static void Close(const Pair& pair) {
    ::close(pair.client);
    ::close(pair.server);
  }

  const std::string server_;
  const Tap tap_;
  std::string address_;
  int listener_ = -1, stop_ = -1;
  std::thread thread_;
};

}  // namespace tributary
