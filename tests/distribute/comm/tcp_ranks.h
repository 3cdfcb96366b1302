#pragma once
// Ranks that are connected by TCP: addresses for them, and threads that play them.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "distribute/comm/tcp/tcp_communicator.h"

namespace tributary {

inline bool IsFree(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(static_cast<uint16_t>(port));
  const bool free = ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0;
  ::close(fd);
  return free;
}

// Below the range that the system takes ports of dialling sockets from, so that they
// stay free; each is given out once by this process.
inline std::vector<std::string> FreeAddresses(int count) {
  static std::atomic<int> next{static_cast<int>(std::random_device()() % 10'000)};
  std::vector<std::string> addresses;
  while (static_cast<int>(addresses.size()) < count) {
    const int port = 12'000 + next++ % 18'000;
    if (IsFree(port)) addresses.push_back("127.0.0.1:" + std::to_string(port));
  }
  return addresses;
}

inline CommunicatorOptions TcpOptions(int rank, const std::vector<std::string>& addresses) {
  CommunicatorOptions options;
  options.places = {.rank = rank, .addresses = addresses, .key_file = "",
                    .timeout = Millis(20'000)};
  return options;
}

// Runs body(comm) on a thread a rank, all connected. An exception that leaves a body
// makes the rank abort, and fails the test.
inline void RunTcpRanks(int size, const std::function<void(Communicator&)>& body,
                        const std::string& key_file = "") {
  const std::vector<std::string> addresses = FreeAddresses(size);
  std::vector<std::thread> threads;
  for (int r = 0; r < size; ++r) {
    threads.emplace_back([&, r] {
      std::shared_ptr<Communicator> comm;
      try {
        CommunicatorOptions options = TcpOptions(r, addresses);
        options.places.key_file = key_file;
        comm = ConnectTcpRanks(options);
        body(*comm);
      } catch (const std::exception& e) {
        ADD_FAILURE() << "rank " << r << ": " << e.what();
        if (comm) comm->Abort(e.what());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace tributary
