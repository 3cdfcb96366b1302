// What tcp:// makes of a loopback socket, beside what the socket itself can do in the
// same run. The server is a process of its own.
//   transport_bench [rounds]
// Prints one JSON object a measurement; `ratio` is ours to raw.

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "distribute/transport/measure.h"

namespace tributary {
namespace {

constexpr MeasureOptions kPinned{.client_core = 0, .server_core = 1};

// Starts a server in a child, before this process has threads; returns its address.
std::string StartServer(pid_t* child) {
  int pipe_fds[2];
  if (::pipe(pipe_fds) != 0) std::abort();
  *child = ::fork();
  if (*child == 0) {
    PinThread(kPinned.server_core);
    const auto server = Listen("tcp://127.0.0.1:0", MeasurementHandler(), {});
    const std::string& address = server->address();
    if (::write(pipe_fds[1], address.data(), address.size()) < 0) std::abort();
    ::close(pipe_fds[1]);
    while (true) ::pause();
  }
  ::close(pipe_fds[1]);
  char text[256] = {};
  if (::read(pipe_fds[0], text, sizeof(text) - 1) <= 0) std::abort();
  return text;
}

void Report(const char* what, size_t out, size_t in, const Latency& raw, const Latency& ours) {
  fmt::print("{{\"measure\": \"{}\", \"out\": {}, \"in\": {}, \"raw_p50_us\": {:.1f}, "
             "\"raw_p99_us\": {:.1f}, \"p50_us\": {:.1f}, \"p99_us\": {:.1f}, "
             "\"ratio_p50\": {:.2f}, \"ratio_p99\": {:.2f}}}\n",
             what, out, in, raw.p50_us, raw.p99_us, ours.p50_us, ours.p99_us,
             ours.p50_us / raw.p50_us, ours.p99_us / raw.p99_us);
}

void Bench(Channel& channel, int rounds) {
  const Latency raw = RawExchange(72, 128, rounds, kPinned);
  Report("one-key pull", 72, 128, raw, ChannelExchange(channel, 8, 64, rounds));
  for (const int dim : {16, 64}) {
    const size_t keys = 4096 * 26, ids = keys * 8, rows = keys * dim * 4;
    const int times = std::max(3, rounds / 200);
    const Latency raw_lookup = RawExchange(ids, rows, times, kPinned);
    const Latency lookup = ChannelExchange(channel, ids, rows, times);
    Report("lookup of 26 x 4096 rows", ids, rows, raw_lookup, lookup);
    const Latency raw_push = RawExchange(ids + rows, 64, times, kPinned);
    const Latency push = ChannelExchange(channel, ids + rows, 0, times);
    Report("push of 26 x 4096 rows", ids + rows, 0, raw_push, push);
    fmt::print("{{\"measure\": \"keys a second\", \"dim\": {}, \"raw\": {:.3e}, \"ours\": {:.3e}}}\n",
               dim, keys / (raw_lookup.p50_us + raw_push.p50_us) * 1e6,
               keys / (lookup.p50_us + push.p50_us) * 1e6);
  }
  const double stream = RawStream(400 << 20, 1 << 20, kPinned);
  const double duplex = RawDuplexStream(400 << 20, 1 << 20, kPinned);
  const double ours = ChannelPushPull(channel, 1 << 20, 40, std::max(3, rounds / 100));
  fmt::print("{{\"measure\": \"push-pull of 40 x 1 MiB\", \"raw_stream_gb_s\": {:.2f}, "
             "\"raw_duplex_gb_s\": {:.2f}, \"gb_s\": {:.2f}, \"ratio\": {:.2f}}}\n",
             stream, duplex, ours, ours / stream);
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  using namespace tributary;
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 5000;
  pid_t child = 0;
  const std::string address = StartServer(&child);
  PinThread(kPinned.client_core);
  {
    const auto channel = Connect(address, {.role = "worker"});
    Bench(*channel, rounds);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return 0;
}
