#pragma once
// What TcpMesh keeps of one other rank. For the .cc files of this folder.

#include <array>

#include "distribute/comm/tcp/mesh.h"

namespace tributary {

inline constexpr uint16_t kMessageKind = 1;
inline constexpr uint16_t kFailureKind = 2;  // control: the reason; request_id: the rank
inline constexpr uint32_t kMaxReason = 2048;

// A frame on its way: header, then body (a failure's is its control part).
struct Outgoing::Parcel {
  std::array<std::byte, kFrameHeaderBytes> header;
  ConstBytes body;
  std::vector<std::byte> copy;  // of the body, where its owner does not wait
  size_t sent = 0;
  size_t size() const { return header.size() + body.size(); }
  bool done() const { return sent == size(); }
};

// A message that nobody waited for yet.
struct TcpMesh::Letter {
  std::unique_ptr<std::byte[]> bytes;
  uint64_t size = 0, stamp = 0;
};

struct TcpMesh::Peer final : FramePlacer {
  Peer(int rank, std::string place, TcpLink link)
      : rank(rank), name(fmt::format("rank {} ({})", rank, place)), link(std::move(link)),
        reader({.control_bytes = kMaxReason, .payload_bytes = kMaxMessage}, name) {}
  bool open() const { return link.stream != nullptr; }

  void Place(const FrameHeader& header, std::vector<MutableBytes>* pieces) override;

  const int rank;
  const std::string name;  // for messages
  std::mutex mutex;        // of all below
  std::condition_variable changed;
  TcpLink link;
  bool said_goodbye = false, more = false;
  std::string gone;  // why, once the connection has ended
  FrameReader reader;
  std::deque<std::shared_ptr<Parcel>> queue;
  std::map<MessageKey, std::deque<Letter>> mail;
  std::map<MessageKey, Incoming*> expected;
  // Of the frame that is being read: where it goes, or else what holds it.
  Incoming* filling = nullptr;
  bool dropped = false;  // nobody wants it any more
  Letter letter;
  std::vector<std::byte> reason;
};

}  // namespace tributary
