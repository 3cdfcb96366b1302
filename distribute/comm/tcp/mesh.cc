#include "distribute/comm/tcp/mesh.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>

#include "distribute/comm/tcp/mesh_peer.h"

namespace tributary {
namespace {

// Waiting threads and the mesh's own look at the health that often: it may fail
// where nobody knows of the mesh.
constexpr Millis kLook{50};
constexpr Millis kLastWords{2000};  // the most that Leave waits for them to be sent

}  // namespace

Incoming::~Incoming() {
  if (mesh_ != nullptr) mesh_->Forget(*this);
}

Outgoing::~Outgoing() {
  if (mesh_ != nullptr) mesh_->Release(*this);
}

TcpMesh::TcpMesh(int rank, std::vector<TcpLink> links, std::vector<std::string> places,
                 std::shared_ptr<JobHealth> health)
    : rank_(rank), health_(std::move(health)) {
  for (size_t r = 0; r < links.size(); ++r) {
    peers_.push_back(
        std::make_unique<Peer>(static_cast<int>(r), std::move(places[r]), std::move(links[r])));
  }
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { Loop(); });
}

TcpMesh::~TcpMesh() {
  Leave();
  close(wake_fd_);
}

void TcpMesh::Expect(int source, MessageKey key, MutableBytes into, Incoming* incoming) {
  Peer& peer = PeerOf(source);
  std::lock_guard lock(peer.mutex);
  incoming->mesh_ = this;
  incoming->source_ = source;
  incoming->key_ = key;
  incoming->into_ = into;
  incoming->state_ = Incoming::State::kWaiting;
  TRB_CHECK(peer.expected.emplace(key, incoming).second);
  const auto box = peer.mail.find(key);
  if (box == peer.mail.end()) return;
  Letter letter = std::move(box->second.front());
  box->second.pop_front();
  if (box->second.empty()) peer.mail.erase(box);
  Deliver(peer, key, std::move(letter));
}

// A whole message, under the peer's lock.
void TcpMesh::Deliver(Peer& peer, const MessageKey& key, Letter letter) {
  const auto found = peer.expected.find(key);
  if (found == peer.expected.end()) {
    peer.mail[key].push_back(std::move(letter));
    return;
  }
  Incoming& incoming = *found->second;
  peer.expected.erase(found);
  incoming.size_ = letter.size;
  incoming.stamp_ = letter.stamp;
  if (letter.size > 0 && incoming.fits()) {
    std::memcpy(incoming.into_.data(), letter.bytes.get(), letter.size);
  }
  incoming.state_ = Incoming::State::kDone;
  peer.changed.notify_all();
}

void TcpMesh::Forget(Incoming& incoming) {
  Peer& peer = PeerOf(incoming.source_);
  std::lock_guard lock(peer.mutex);
  if (incoming.state_ == Incoming::State::kWaiting) peer.expected.erase(incoming.key_);
  if (incoming.state_ == Incoming::State::kFilling && peer.filling == &incoming) {
    peer.reader.DiscardRest();
    peer.filling = nullptr;
    peer.dropped = true;
  }
}

void TcpMesh::Start(int destination, MessageKey key, uint64_t stamp, ConstBytes body,
                    Outgoing* outgoing) {
  Peer& peer = PeerOf(destination);
  std::lock_guard lock(peer.mutex);
  outgoing->mesh_ = this;
  outgoing->destination_ = destination;
  Enqueue(peer, kMessageKind, key, stamp, body, false, outgoing);
}

void TcpMesh::Post(int destination, MessageKey key, ConstBytes body) {
  Peer& peer = PeerOf(destination);
  std::lock_guard lock(peer.mutex);
  if (peer.gone.empty()) Enqueue(peer, kMessageKind, key, 0, body, true, nullptr);
}

void TcpMesh::Enqueue(Peer& peer, uint16_t kind, MessageKey key, uint64_t stamp, ConstBytes body,
                      bool copy, Outgoing* outgoing) {
  auto parcel = std::make_shared<Parcel>();
  FrameHeader header{.kind = kind, .table = key.tag, .worker = static_cast<uint32_t>(rank_)};
  header.generation = key.group;
  if (kind == kFailureKind) {
    header.request_id = stamp;
    header.control_bytes = static_cast<uint32_t>(body.size());
  } else {
    header.sequence = stamp;
    header.payload_bytes = body.size();
  }
  EncodeHeader(header, parcel->header.data());
  if (peer.rank == rank_) {  // to itself
    Letter letter{std::make_unique_for_overwrite<std::byte[]>(body.size()), body.size(), stamp};
    std::copy(body.begin(), body.end(), letter.bytes.get());
    parcel->sent = header.control_bytes + kFrameHeaderBytes;
    Deliver(peer, key, std::move(letter));
  } else if (peer.open()) {
    parcel->body = body;
    peer.queue.push_back(parcel);
    if (peer.queue.size() == 1) Write(peer);
    if (copy && !parcel->done()) {
      parcel->copy.assign(body.begin(), body.end());
      parcel->body = parcel->copy;
    }
    if (!peer.queue.empty()) Wake();  // the thread goes on
  }
  if (outgoing != nullptr) outgoing->parcel_ = std::move(parcel);
}

void TcpMesh::Release(Outgoing& outgoing) {
  Peer& peer = PeerOf(outgoing.destination_);
  std::lock_guard lock(peer.mutex);
  Parcel& parcel = *outgoing.parcel_;
  if (parcel.done() || !peer.gone.empty()) return;
  parcel.copy.assign(parcel.body.begin(), parcel.body.end());
  parcel.body = parcel.copy;
}

bool TcpMesh::Has(int source, MessageKey key) {
  Peer& peer = PeerOf(source);
  std::lock_guard lock(peer.mutex);
  return peer.mail.contains(key);
}

template <typename Ready, typename Blame>
void TcpMesh::Await(Peer& peer, const WaitLimits& limits, Ready ready, Blame blame) {
  std::unique_lock lock(peer.mutex);
  while (!ready()) {
    limits.health->Check();
    if (!peer.gone.empty()) {
      throw UnavailableError("[tcp] {}: {} {}", limits.call, peer.name, peer.gone);
    }
    const auto now = Clock::now();
    if (now >= limits.deadline) {
      const std::string text = blame();
      limits.health->Fail(peer.rank, text);
      Wake();
      throw DeadlineExceededError("[comm] {}; the deadline has passed", text);
    }
    peer.changed.wait_until(lock, std::min(limits.deadline, now + kLook));
  }
}

void TcpMesh::Wait(Incoming& incoming, const WaitLimits& limits) {
  Peer& peer = PeerOf(incoming.source_);
  Await(peer, limits, [&] { return incoming.state_ == Incoming::State::kDone; }, [&] {
    if (limits.tag < 0) {
      return fmt::format("{}: rank {} waited in vain for rank {}", limits.call, rank_, peer.rank);
    }
    return fmt::format("{}: rank {} waited in vain for a message of rank {} (tag {})", limits.call,
                       rank_, peer.rank, limits.tag);
  });
}

void TcpMesh::Wait(Outgoing& outgoing, const WaitLimits& limits) {
  Peer& peer = PeerOf(outgoing.destination_);
  Await(peer, limits, [&] { return outgoing.parcel_->done(); }, [&] {
    return fmt::format("{}: rank {} waited in vain for rank {} to take a message", limits.call,
                       rank_, peer.rank);
  });
}

void TcpMesh::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof(one));
}

void TcpMesh::Leave() {
  if (leaving_.exchange(true)) return;
  const auto until = Clock::now() + kLastWords;
  for (const auto& peer : peers_) {
    std::lock_guard lock(peer->mutex);
    if (!peer->open() || health_->failed()) continue;
    Enqueue(*peer, kGoodbyeKind, {}, 0, {}, true, nullptr);
  }
  stop_ = true;
  Wake();
  thread_.join();
  if (health_->failed()) TellFailure();
  for (const auto& peer : peers_) {
    std::unique_lock lock(peer->mutex);
    while (!peer->queue.empty() && peer->open() && Clock::now() < until) {
      pollfd fd{peer->link.fd.get(), peer->link.stream->write_events(), 0};
      ::poll(&fd, 1, static_cast<int>(kLook.count()));
      Write(*peer);
    }
    Gone(*peer, "was left");
  }
}

// Once: the others end with the same words, whoever has found out.
void TcpMesh::TellFailure() {
  if (std::exchange(told_, true)) return;
  const std::string reason = health_->reason().substr(0, kMaxReason);
  const auto rank = static_cast<uint64_t>(static_cast<int64_t>(health_->failed_rank()));
  for (const auto& peer : peers_) {
    std::lock_guard lock(peer->mutex);
    if (peer->open()) {
      Enqueue(*peer, kFailureKind, {}, rank, std::as_bytes(std::span(reason)), true, nullptr);
    }
    peer->changed.notify_all();
  }
}

}  // namespace tributary
