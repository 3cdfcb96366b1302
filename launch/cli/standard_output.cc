#include "launch/cli/standard_output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace tributary {

struct StandardOutput::State {
  FILE* replaced = nullptr;
  FILE* stream = nullptr;
  int error = 0;
  bool ignores_pipe = false;
};

namespace {

// fmt throws when a stream takes less than all: this one takes all.
ssize_t WriteOrDrop(int* error, const char* data, size_t size) {
  for (size_t done = 0; done < size && *error == 0;) {
    const ssize_t n = ::write(STDOUT_FILENO, data + done, size - done);
    if (n >= 0) {
      done += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      pollfd out{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&out, 1, -1);
    } else if (errno != EINTR) {
      *error = errno;
    }
  }
  return static_cast<ssize_t>(size);
}

}  // namespace

StandardOutput::StandardOutput() : state_(std::make_unique<State>()) {
  struct sigaction present = {};
  sigaction(SIGPIPE, nullptr, &present);
  if (present.sa_handler == SIG_DFL) {
    std::signal(SIGPIPE, SIG_IGN);
    state_->ignores_pipe = true;
  }
  // The progress bar asks the stream for its terminal, which ours has not.
  if (isatty(STDOUT_FILENO)) return;
  std::fflush(stdout);
  cookie_io_functions_t functions = {};
  functions.write = [](void* error, const char* data, size_t size) {
    return WriteOrDrop(static_cast<int*>(error), data, size);
  };
  state_->stream = fopencookie(&state_->error, "w", functions);
  if (state_->stream == nullptr) return;
  state_->replaced = stdout;
  stdout = state_->stream;
}

StandardOutput::~StandardOutput() {
  std::fflush(stdout);
  if (state_->stream != nullptr) {
    stdout = state_->replaced;
    std::fclose(state_->stream);
  }
  if (state_->ignores_pipe) std::signal(SIGPIPE, SIG_DFL);
}

int StandardOutput::error() {
  errno = 0;
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  const int error = state_->error != 0 ? state_->error : failed ? (errno != 0 ? errno : EIO) : 0;
  return error == EPIPE ? 0 : error;
}

}  // namespace tributary
