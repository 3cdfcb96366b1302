#include "launch/bench/server_processes.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/base/errors.h"
#include "distribute/ps/ps_server.h"
#include "distribute/transport/measure.h"

namespace tributary {
namespace {

constexpr size_t kLongest = 4096;

// An empty message: the other end is gone.
std::string Receive(int socket) {
  char text[kLongest];
  ssize_t got;
  do {
    got = ::recv(socket, text, sizeof(text), 0);
  } while (got < 0 && errno == EINTR);
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

void Send(int socket, const std::string& text) {
  [[maybe_unused]] const ssize_t sent =
      ::send(socket, text.data(), std::min(text.size(), kLongest), MSG_NOSIGNAL);
}

void DieWithParent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it has died meanwhile
}

// Answers "ADDRESS" or "!what went wrong".
[[noreturn]] void Serve(int answer, int core, const std::string& log_dir) {
  try {
    PinThread(core);
    ps::PsServer ps({.durability = log_dir.empty() ? ps::Durability::kCheckpoint
                                                   : ps::Durability::kLog,
                     .dir = log_dir});
    ps.Recover("");
    ServerOptions options;
    options.hello = {.role = "ps", .task = 0};
    const auto server = Listen("tcp://127.0.0.1:0", ps.handler(), options);
    Send(answer, server->address());
    ::close(answer);
    while (true) ::pause();
  } catch (const std::exception& error) {
    Send(answer, std::string("!") + error.what());
  }
  ::_exit(1);
}

std::string StartServer(int helper_socket, int core, const std::string& log_dir) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return std::string("!socketpair: ") + std::strerror(errno);
  }
  const pid_t helper = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    DieWithParent(helper);
    ::close(helper_socket);
    ::close(ends[0]);
    Serve(ends[1], core, log_dir);
  }
  ::close(ends[1]);
  const std::string said = child < 0 ? std::string("!fork: ") + std::strerror(errno)
                                     : Receive(ends[0]);
  ::close(ends[0]);
  if (said.empty() || said[0] == '!') {
    if (child > 0) ::waitpid(child, nullptr, 0);
    return said.empty() ? "!it has ended before it listened" : said;
  }
  return fmt::format("{} {}", child, said);
}

// Requests: "+LOG_DIR" starts a server, "-PID" ends one.
[[noreturn]] void Help(int socket, int core) {
  while (true) {
    const std::string request = Receive(socket);
    if (request.empty()) ::_exit(0);
    if (request[0] == '+') {
      Send(socket, StartServer(socket, core, request.substr(1)));
    } else {
      const auto pid = static_cast<pid_t>(std::atoi(request.c_str() + 1));
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
      Send(socket, "ended");
    }
  }
}

}  // namespace

ServerProcesses::ServerProcesses(int core) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw UnavailableError("[bench] socketpair: {}", std::strerror(errno));
  }
  const pid_t parent = ::getpid();
  helper_ = ::fork();
  if (helper_ < 0) throw UnavailableError("[bench] fork: {}", std::strerror(errno));
  if (helper_ == 0) {
    DieWithParent(parent);
    ::close(ends[0]);
    Help(ends[1], core);
  }
  ::close(ends[1]);
  socket_ = ends[0];
}

ServerProcesses::~ServerProcesses() {
  ::close(socket_);  // the helper ends, and its servers with it
  ::waitpid(helper_, nullptr, 0);
}

std::string ServerProcesses::Ask(const std::string& request) {
  Send(socket_, request);
  const std::string answer = Receive(socket_);
  if (answer.empty()) throw UnavailableError("[bench] the process that starts servers has died");
  return answer;
}

ServerProcesses::Server ServerProcesses::Start(const std::string& log_dir) {
  const std::string answer = Ask("+" + log_dir);
  if (answer[0] == '!') {
    throw UnavailableError("[bench] a server did not start: {}", answer.substr(1));
  }
  const size_t space = answer.find(' ');
  return {static_cast<pid_t>(std::stol(answer)), answer.substr(space + 1)};
}

void ServerProcesses::Stop(const Server& server) { Ask(fmt::format("-{}", server.pid)); }

}  // namespace tributary
