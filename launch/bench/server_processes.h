#pragma once
// Parameter servers as processes of their own, for measurements.
//
// A helper process is forked once, before this process has threads; it never has any
// itself and forks a server whenever it is asked to. All of them die with this process.

#include <sys/types.h>

#include <string>

namespace tributary {

class ServerProcesses {
 public:
  // Servers run on `core` only (-1: anywhere). Throws UnavailableError.
  explicit ServerProcesses(int core);
  ~ServerProcesses();
  ServerProcesses(const ServerProcesses&) = delete;
  ServerProcesses& operator=(const ServerProcesses&) = delete;

  struct Server {
    pid_t pid = 0;
    std::string address;
  };
  // One shard of one, asynchronous; with a log in `log_dir`, or (empty) without one.
  // Throws UnavailableError with what the server said.
  Server Start(const std::string& log_dir);
  void Stop(const Server& server);

 private:
  std::string Ask(const std::string& request);

  int socket_ = -1;
  pid_t helper_ = 0;
};

}  // namespace tributary
