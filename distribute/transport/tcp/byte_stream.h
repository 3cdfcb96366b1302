#pragma once
// A connected socket as a stream of bytes that never blocks, plain or through TLS.
// The caller waits: poll() in a client, Asio in a server. One thread at a time.

#include <poll.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "core/base/errors.h"

namespace tributary {

// The other end has closed or reset the connection. The text does not name it.
class ConnectionClosed : public UnavailableError {
  using UnavailableError::UnavailableError;
};

// A file descriptor that is closed at the end.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd();
  int get() const { return fd_; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_ = -1;
};

class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // Goes on with the handshake. True: done. False: wait for read_events() first.
  // Throws UnauthenticatedError, ConnectionClosed.
  virtual bool Handshake() { return true; }

  // Move what can be moved without waiting, in order; 0: wait for read_events() or
  // write_events() first. What Write has not taken must come first in the next call.
  // Throw ConnectionClosed, DataLossError.
  virtual size_t Read(std::span<const iovec> to) = 0;
  virtual size_t Write(std::span<const iovec> from) = 0;

  // POLLIN or POLLOUT (TLS may have to write in order to read).
  short read_events() const { return read_events_; }
  short write_events() const { return write_events_; }
  // The last Read took all that was there: the next one is better preceded by a wait.
  bool drained() const { return drained_; }
  // After a wait.
  void SetReady() { drained_ = false; }

  // True where the bytes are protected, so that frames need no checksums.
  virtual bool is_protected() const = 0;

 protected:
  short read_events_ = POLLIN, write_events_ = POLLOUT;
  bool drained_ = false;
};

// Over `fd`, which stays the caller's.
std::unique_ptr<ByteStream> MakePlainStream(int fd);

}  // namespace tributary
