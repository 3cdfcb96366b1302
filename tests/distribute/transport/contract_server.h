#pragma once
// A server that does what tests of transports ask for, and what they need besides.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <mutex>
#include <thread>

#include "core/base/errors.h"
#include "distribute/transport/transport.h"

namespace tributary {

using testing::HasSubstr;

// The requests that the contract's server knows.
enum TestKind : uint16_t {
  kEcho = 1,       // replies with what it got
  kDescribe,       // control: alignment of the payload, then the request's header
  kRemember,       // keeps the sequence number
  kRecall,         // payload: the sequence numbers kept
  kPark,           // no reply for now
  kRelease,        // replies to all that are parked, then to this one
  kElsewhere,      // replies from another thread
  kFailWith,       // fails with the code in the first byte of control
  kThrow,          // the handler throws
  kThrowAfterReply,
  kDrop,           // the responder is destroyed
  kWhoAmI,         // control: the name of the hello
};

class ContractServer {
 public:
  explicit ContractServer(const std::string& address, ServerOptions options = {}) {
    if (options.hello.role.empty()) options.hello = {.role = "ps", .task = 1};
    options.observer = [this](const Hello& hello, PeerEvent event, const std::string& reason) {
      std::lock_guard lock(mutex_);
      events_.push_back(fmt::format("{} {}", hello.Name(),
                                    event == PeerEvent::kJoined ? "joined"
                                    : event == PeerEvent::kLeft ? "left"
                                                                : "lost: " + reason));
    };
    server_ = Listen(address, [this](const Request& r, Responder to) { Handle(r, std::move(to)); },
                     options);
  }
  ~ContractServer() {
    if (elsewhere_.joinable()) elsewhere_.join();
  }
  Server& operator*() { return *server_; }
  Server* operator->() { return server_.get(); }
  std::vector<std::string> events() {
    std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  void Handle(const Request& request, Responder responder) {
    const ConstBytes payload[] = {request.payload};
    switch (request.header.kind) {
      case kEcho: return responder.Reply(request.control, payload);
      case kDescribe: {
        std::array<std::byte, 8 + kFrameHeaderBytes> out{};
        const uint64_t rest = reinterpret_cast<uintptr_t>(request.payload.data()) % 64;
        std::memcpy(out.data(), &rest, 8);
        std::memcpy(out.data() + 8, &request.header, kFrameHeaderBytes);
        return responder.Reply(out);
      }
      case kRemember: remembered_.push_back(request.header.sequence); return responder.Reply();
      case kRecall: {
        const ConstBytes all[] = {std::as_bytes(std::span(remembered_))};
        responder.Reply({}, all);
        remembered_.clear();
        return;
      }
      case kPark: parked_.emplace_back(std::move(responder), request.payload); return;
      case kRelease:
        // The spans of a parked request are still valid.
        for (auto& [parked, bytes] : parked_) parked.Reply({}, std::span(&bytes, 1));
        parked_.clear();
        return responder.Reply();
      case kElsewhere:
        if (elsewhere_.joinable()) elsewhere_.join();
        elsewhere_ = std::thread([request, responder = std::move(responder)]() mutable {
          responder.Reply(request.control, std::span(&request.payload, 1));
        });
        return;
      case kFailWith:
        return responder.Fail(Error(static_cast<Code>(request.control[0]), "[test] as asked"));
      case kThrow: throw OutOfRangeError("[test] thrown by the handler");
      case kThrowAfterReply: responder.Reply(); throw OutOfRangeError("[test] too late");
      case kDrop: return;
      case kWhoAmI: {
        const std::string name = request.peer->Name();
        return responder.Reply(std::as_bytes(std::span(name)));
      }
    }
    responder.Fail(UnimplementedError("[test] kind {}", request.header.kind));
  }

  std::mutex mutex_;
  std::vector<std::string> events_;
  std::vector<uint64_t> remembered_;
  std::vector<std::pair<Responder, ConstBytes>> parked_;
  std::thread elsewhere_;
  std::unique_ptr<Server> server_;  // last: its thread uses all of the above
};

// Bytes in pieces of the given sizes.
struct Pieces {
  Pieces(const std::vector<size_t>& sizes, uint32_t seed = 0) {
    for (const size_t size : sizes) {
      std::vector<std::byte>& piece = memory.emplace_back(size);
      for (std::byte& b : piece) b = static_cast<std::byte>((seed = seed * 1664525 + 1013904223) >> 24);
    }
    for (auto& piece : memory) {
      in.emplace_back(piece);
      out.emplace_back(piece);
    }
  }
  std::vector<std::byte> Joined() const {
    std::vector<std::byte> all;
    for (const auto& piece : memory) all.insert(all.end(), piece.begin(), piece.end());
    return all;
  }
  std::vector<std::vector<std::byte>> memory;
  std::vector<ConstBytes> out;
  std::vector<MutableBytes> in;
};

inline ConstBytes Text(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string_view Text(ConstBytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::vector<std::byte> Copy(ConstBytes bytes) { return {bytes.begin(), bytes.end()}; }

// True once `condition` holds; false after ten seconds.
template <typename Condition>
bool Eventually(Condition condition) {
  const Deadline deadline = After(Millis(10'000));
  while (!condition()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

template <typename E, typename Fn>
std::string ErrorOf(Fn fn) {
  try {
    fn();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "another type: " << e.what();
    return "";
  }
  ADD_FAILURE() << "no exception";
  return "";
}

}  // namespace tributary
