#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "distribute/transport/tcp/byte_stream.h"

namespace tributary {
namespace {

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(int fd) : fd_(fd) {}

  size_t Read(std::span<const iovec> to) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(to.data());
    message.msg_iovlen = to.size();
    size_t asked = 0;
    for (const iovec& piece : to) asked += piece.iov_len;
    while (true) {
      const ssize_t got = ::recvmsg(fd_, &message, MSG_DONTWAIT);
      if (got > 0) {
        drained_ = static_cast<size_t>(got) < asked;
        return static_cast<size_t>(got);
      }
      if (got == 0) throw ConnectionClosed("the connection was closed");
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) Fail();
      drained_ = true;
      return 0;
    }
  }

  size_t Write(std::span<const iovec> from) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(from.data());
    message.msg_iovlen = from.size();
    while (true) {
      const ssize_t put = ::sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (put >= 0) return static_cast<size_t>(put);
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) Fail();
      return 0;
    }
  }

  bool is_protected() const override { return false; }

 private:
  [[noreturn]] static void Fail() {
    throw ConnectionClosed("the connection failed: {}", std::strerror(errno));
  }
  const int fd_;
};

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.Release();
  }
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

std::unique_ptr<ByteStream> MakePlainStream(int fd) { return std::make_unique<PlainStream>(fd); }

}  // namespace tributary
