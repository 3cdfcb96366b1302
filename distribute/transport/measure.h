#pragma once
// What a TCP socket of this machine can do at best, and what a channel makes of it: the
// two sides of the ratios that `tributary bench ps` reports. The raw figures come from
// two processes (this one and a fork) with plain blocking reads and writes.

#include <cstddef>
#include <vector>

#include "distribute/transport/transport.h"

namespace tributary {

struct Latency {
  double p50_us = 0, p99_us = 0, mean_us = 0;
};
Latency SummarizeLatency(std::vector<double> microseconds);

struct MeasureOptions {
  int client_core = -1, server_core = -1;  // pinned there; -1: anywhere
};

// One request of `request_bytes` out, `reply_bytes` back, `rounds` times over loopback.
Latency RawExchange(size_t request_bytes, size_t reply_bytes, int rounds,
                    const MeasureOptions& options = {});
// Gigabytes a second of one connection in one direction, in writes of `piece` bytes.
double RawStream(size_t total_bytes, size_t piece, const MeasureOptions& options = {});
// The same both ways at once: `total_bytes` in each direction, their sum counted.
double RawDuplexStream(size_t total_bytes, size_t piece, const MeasureOptions& options = {});

// A handler for such measurements: replies with as many bytes as the request's sequence
// number says.
Handler MeasurementHandler();
// Calls to a server with that handler.
Latency ChannelExchange(Channel& channel, size_t request_bytes, size_t reply_bytes, int rounds);
// Gigabytes a second, both directions added: `calls` at a time, each with `bytes` out
// (answered by nothing) and then as many back.
double ChannelPushPull(Channel& channel, size_t bytes, int calls, int rounds);

// The calling thread runs on `core` only. False: not possible.
bool PinThread(int core);

}  // namespace tributary
