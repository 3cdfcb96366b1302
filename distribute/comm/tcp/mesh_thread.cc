// The thread of TcpMesh, and what it does for a rank: read, write, notice the end.

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "distribute/comm/tcp/mesh_peer.h"

namespace tributary {
namespace {

constexpr int kLookMs = 50;         // at the health
constexpr int kFramesPerTurn = 64;  // then the other ranks have their turn
constexpr size_t kPieces = 64;

}  // namespace

void TcpMesh::Loop() {
  std::vector<pollfd> polled(peers_.size() + 1);
  polled.back() = {wake_fd_, POLLIN, 0};
  while (!stop_) {
    bool more = false;
    for (size_t r = 0; r < peers_.size(); ++r) {
      Peer& peer = *peers_[r];
      std::lock_guard lock(peer.mutex);
      polled[r] = {peer.open() ? peer.link.fd.get() : -1, 0, 0};
      if (!peer.open()) continue;
      more |= peer.more;
      polled[r].events = peer.link.stream->read_events();
      if (!peer.queue.empty()) polled[r].events |= peer.link.stream->write_events();
    }
    ::poll(polled.data(), polled.size(), more ? 0 : kLookMs);
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof(count));
    for (size_t r = 0; r < peers_.size(); ++r) Turn(*peers_[r], polled[r].revents);
    if (health_->failed()) TellFailure();
  }
}

void TcpMesh::Turn(Peer& peer, short happened) {
  std::lock_guard lock(peer.mutex);
  if (!peer.open() || (happened == 0 && !peer.more)) return;
  if (happened != 0) peer.link.stream->SetReady();
  peer.more = Read(peer);
  if (peer.open() && !peer.queue.empty()) Write(peer);
}

// True: more may be there.
bool TcpMesh::Read(Peer& peer) {
  try {
    for (int frames = 0; frames < kFramesPerTurn; ++frames) {
      if (!peer.reader.Next(*peer.link.stream, peer)) return false;
      Take(peer);
    }
    return true;
  } catch (const ConnectionClosed& e) {
    Gone(peer, peer.said_goodbye ? "has left" : fmt::format("died: {}", e.what()));
  } catch (const std::exception& e) {
    Gone(peer, fmt::format("sends what no rank would: {}", e.what()));
  }
  return false;
}

void TcpMesh::Peer::Place(const FrameHeader& header, std::vector<MutableBytes>* pieces) {
  if (header.worker != static_cast<uint32_t>(rank)) {
    throw DataLossError("[tcp] {} says that it is rank {}", name, header.worker);
  }
  filling = nullptr;
  dropped = false;
  if (header.kind == kMessageKind && header.control_bytes == 0) {
    const auto found = expected.find({header.generation, header.table});
    if (found != expected.end() && found->second->into_.size() == header.payload_bytes) {
      filling = found->second;
      expected.erase(found);
      filling->state_ = Incoming::State::kFilling;
      pieces->push_back(filling->into_);
      return;
    }
    letter = {std::make_unique_for_overwrite<std::byte[]>(header.payload_bytes),
              header.payload_bytes, header.sequence};
    pieces->push_back({letter.bytes.get(), letter.size});
  } else if (header.kind == kFailureKind && header.payload_bytes == 0) {
    reason.resize(header.control_bytes);
    pieces->push_back(reason);
  } else if (header.kind != kGoodbyeKind || header.control_bytes + header.payload_bytes > 0) {
    throw DataLossError("[tcp] {} sends a frame of kind {:#x}", name, header.kind);
  }
}

// A whole frame has come.
void TcpMesh::Take(Peer& peer) {
  const FrameHeader& header = peer.reader.header();
  if (header.kind == kGoodbyeKind) {
    peer.said_goodbye = true;
  } else if (header.kind == kFailureKind) {
    const auto rank = static_cast<int64_t>(header.request_id);
    const bool known = rank >= 0 && rank < size();
    const auto* text = reinterpret_cast<const char*>(peer.reason.data());
    health_->Fail(known ? static_cast<int>(rank) : JobHealth::kUnknownRank,
                  std::string(text, peer.reason.size()));
    peer.changed.notify_all();
  } else if (peer.filling != nullptr) {
    Incoming& incoming = *std::exchange(peer.filling, nullptr);
    incoming.size_ = header.payload_bytes;
    incoming.stamp_ = header.sequence;
    incoming.state_ = Incoming::State::kDone;
    peer.changed.notify_all();
  } else if (!peer.dropped) {
    Deliver(peer, {header.generation, header.table}, std::move(peer.letter));
  }
}

// Under the peer's lock, like all that follows.
void TcpMesh::Write(Peer& peer) {
  try {
    WriteQueue(peer);
  } catch (const ConnectionClosed& e) {
    // It may have said why before it went.
    const std::string why = fmt::format("died: {}", e.what());
    peer.link.stream->SetReady();
    while (peer.open() && Read(peer)) {
    }
    if (peer.open()) Gone(peer, why);
  } catch (const std::exception& e) {
    Gone(peer, fmt::format("can't be reached: {}", e.what()));
  }
}

void TcpMesh::WriteQueue(Peer& peer) {
  bool any_done = false;
  std::array<iovec, kPieces> pieces;
  while (peer.open() && !peer.queue.empty()) {
    size_t count = 0;
    for (const auto& parcel : peer.queue) {
      if (count + 2 > kPieces) break;
      const size_t head = parcel->header.size(), sent = parcel->sent;
      if (sent < head) pieces[count++] = {parcel->header.data() + sent, head - sent};
      const ConstBytes rest = parcel->body.subspan(sent > head ? sent - head : 0);
      if (!rest.empty()) pieces[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
    }
    size_t sent = peer.link.stream->Write({pieces.data(), count});
    if (sent == 0) break;
    while (sent > 0) {
      Parcel& parcel = *peer.queue.front();
      const size_t part = std::min(sent, parcel.size() - parcel.sent);
      parcel.sent += part;
      sent -= part;
      if (!parcel.done()) break;
      any_done = true;
      peer.queue.pop_front();
    }
  }
  if (any_done) peer.changed.notify_all();
}

// The connection has ended. What has come before stays.
void TcpMesh::Gone(Peer& peer, const std::string& why) {
  if (!peer.gone.empty()) return;
  peer.gone = why;
  peer.changed.notify_all();
  if (!peer.open()) return;  // itself
  if (!peer.said_goodbye && !leaving_) {
    health_->Fail(peer.rank, fmt::format("{} {}", peer.name, why));
    Wake();
  }
  ::shutdown(peer.link.fd.get(), SHUT_RDWR);
  peer.link.stream.reset();
  peer.link.fd = UniqueFd();
  peer.queue.clear();
  if (peer.filling != nullptr) {  // half a message
    peer.filling->state_ = Incoming::State::kIdle;
    peer.filling = nullptr;
  }
}

}  // namespace tributary
