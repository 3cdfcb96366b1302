#pragma once
// A TCP client that sends whatever bytes a test wants.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "distribute/transport/frame.h"
#include "distribute/transport/hello.h"
#include "distribute/transport/tcp/address.h"

namespace tributary {

class RawClient {
 public:
  explicit RawClient(const std::string& address) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(TcpAddress::Parse(address).port);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
  }
  RawClient(RawClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_) {}
  ~RawClient() {
    if (fd_ >= 0) ::close(fd_);
  }
  bool connected() const { return connected_; }

  // False: the other end is gone.
  bool Send(ConstBytes bytes) {
    while (!bytes.empty()) {
      const ssize_t put = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (put <= 0) return false;
      bytes = bytes.subspan(static_cast<size_t>(put));
    }
    return true;
  }
  bool Send(std::string_view text) { return Send(std::as_bytes(std::span(text))); }

  // Up to `count` bytes; fewer when the other end closes or says nothing for ten seconds.
  std::vector<std::byte> Receive(size_t count) {
    std::vector<std::byte> bytes(count);
    size_t at = 0;
    while (at < count) {
      pollfd fd{fd_, POLLIN, 0};
      if (::poll(&fd, 1, 10'000) != 1) break;
      const ssize_t got = ::recv(fd_, &bytes[at], count - at, 0);
      if (got <= 0) break;
      at += static_cast<size_t>(got);
    }
    bytes.resize(at);
    return bytes;
  }
  // The other end has hung up (waits for it, at most ten seconds).
  bool IsClosed() {
    while (true) {
      pollfd fd{fd_, POLLIN, 0};
      if (::poll(&fd, 1, 10'000) != 1) return false;
      char byte;
      const ssize_t got = ::recv(fd_, &byte, 1, 0);
      if (got <= 0) return true;
    }
  }

  // A hello that is welcome.
  bool Introduce(uint32_t task, uint64_t session) {
    HelloMessage message;
    message.hello.role = "worker";
    message.hello.task = task;
    message.session = session;
    if (!Send(Frame(kHelloKind, EncodeHello(message)))) return false;
    const std::vector<std::byte> head = Receive(kFrameHeaderBytes);
    if (head.size() != kFrameHeaderBytes) return false;
    const FrameHeader header = DecodeHeader(
        std::span<const std::byte, kFrameHeaderBytes>(head.data(), kFrameHeaderBytes), {}, "server");
    Receive(header.control_bytes);
    return header.kind == kHelloKind;
  }

  static std::vector<std::byte> Frame(uint16_t kind, ConstBytes control, uint32_t worker = 0) {
    FrameHeader header;
    header.kind = kind;
    header.worker = worker;
    header.control_bytes = static_cast<uint32_t>(control.size());
    header.crc = BodyCrc(control, {});
    header.flags = kFrameHasBodyCrc;
    std::vector<std::byte> frame(kFrameHeaderBytes);
    EncodeHeader(header, frame.data());
    frame.insert(frame.end(), control.begin(), control.end());
    return frame;
  }

 private:
  int fd_ = -1;
  bool connected_ = false;
};

}  // namespace tributary
