// A process that serves, or calls, over TCP, until it is killed or told to end.
//
//   transport_peer serve ADDRESS TASK       echoes; prints "AT <address>", then what it
//                                           notices of its clients, a line each
//   transport_peer call ADDRESS TASK        connects, calls once, prints "CONNECTED";
//                                           then, for every line on its input, calls again
//                                           and prints "OK", or "ERROR <text>"

#include <cstdio>
#include <cstring>
#include <iostream>

#include "core/base/errors.h"
#include "distribute/transport/transport.h"

namespace tributary {
namespace {

void Say(const std::string& line) { std::cout << line << std::endl; }

int Serve(const std::string& address, uint32_t task) {
  ServerOptions options;
  options.hello = {.role = "ps", .task = task};
  options.observer = [](const Hello& hello, PeerEvent event, const std::string& reason) {
    Say(event == PeerEvent::kJoined ? "JOINED " + hello.Name()
        : event == PeerEvent::kLeft ? "LEFT " + hello.Name()
                                    : "LOST " + hello.Name() + " " + reason);
  };
  const auto server = Listen(
      address,
      [](const Request& request, Responder responder) {
        responder.Reply(request.control, std::span(&request.payload, 1));
      },
      options);
  Say("AT " + server->address());
  std::string line;
  while (std::getline(std::cin, line)) {
  }
  return 0;
}

int Call(const std::string& address, uint32_t task) {
  const auto channel = Connect(address, {.role = "worker", .task = task});
  const auto call = [&] {
    channel->Call(1, 0, std::as_bytes(std::span("x")), {}, {}, After(Millis(60'000)));
  };
  call();
  Say("CONNECTED");
  std::string line;
  while (std::getline(std::cin, line)) {
    try {
      call();
      Say("OK");
    } catch (const Error& error) {
      Say(std::string("ERROR ") + error.what());
    }
  }
  return 0;
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  const uint32_t task = static_cast<uint32_t>(std::atoi(argv[3]));
  return std::strcmp(argv[1], "serve") == 0 ? tributary::Serve(argv[2], task)
                                            : tributary::Call(argv[2], task);
}
