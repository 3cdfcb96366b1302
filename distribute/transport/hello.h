#pragma once
// The first message in each direction of a connection: who is there.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "distribute/transport/transport.h"

namespace tributary {

enum class ConnectionPurpose : uint32_t { kCalls = 1, kHeartbeat = 2 };

struct HelloMessage {
  Hello hello;
  ConnectionPurpose purpose = ConnectionPurpose::kCalls;
  // Random, made by the client: ties its heartbeats to its calls.
  uint64_t session = 0;
};

// Limits of a peer that is not yet known.
inline constexpr FrameLimits kHelloLimits{.control_bytes = 4096, .payload_bytes = 0};

std::vector<std::byte> EncodeHello(const HelloMessage& message);
// Throws DataLossError (cut short, too long, unprintable names).
HelloMessage DecodeHello(ConstBytes control, std::string_view peer);

// Throws FailedPreconditionError when build id or config hash differ, with both.
void CheckHello(const Hello& mine, const Hello& theirs, std::string_view peer);
// Throws FailedPreconditionError when somebody else than `expected` has answered.
void CheckExpectedServer(const std::string& expected, const Hello& server, std::string_view peer);

}  // namespace tributary
