#include "distribute/comm/tcp/tcp_communicator.h"

#include <numeric>

#include "distribute/comm/reduce_kernels.h"
#include "distribute/comm/slices.h"
#include "distribute/comm/tcp/gather.h"
#include "distribute/transport/byte_buffer.h"

namespace tributary {
namespace {

// Up to so many bytes in all, every rank sends everything to everybody: one step.
constexpr size_t kOneStep = 64 << 10;
// Reductions in pieces, for the caches and for the memory that the others' parts take.
constexpr int64_t kReducePiece = 8 << 20;
constexpr int64_t kCopyPiece = 64 << 20;
constexpr size_t kCopiedSend = 64 << 10;  // a Send of no more does not wait
constexpr uint32_t kCollectiveTag = 1u << 16;
// The group of all ranks; groups that are split off have numbers made from their parent's.
constexpr uint64_t kWorld = 1;

enum class Call : uint64_t { kAllReduce = 1, kReduceScatter, kAllGather, kBroadcast, kBarrier };

const char* NameOf(Call call) {
  switch (call) {
    case Call::kAllReduce: return "AllReduce";
    case Call::kReduceScatter: return "ReduceScatter";
    case Call::kAllGather: return "AllGather";
    case Call::kBroadcast: return "Broadcast";
    case Call::kBarrier: return "Barrier";
  }
  return "another call";
}

// The finaliser of splitmix64: distinct inputs give distinct outputs.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

ConstBytes BytesAt(const void* data, size_t begin, size_t count) {
  return {static_cast<const std::byte*>(data) + begin, count};
}
MutableBytes RoomAt(void* data, size_t begin, size_t count) {
  return {static_cast<std::byte*>(data) + begin, count};
}

class TcpCommunicator final : public Communicator {
 public:
  TcpCommunicator(std::shared_ptr<TcpMesh> mesh, uint64_t group, std::vector<int> world_ranks,
                  Millis timeout, std::shared_ptr<JobHealth> health)
      : mesh_(std::move(mesh)), group_(group), world_ranks_(std::move(world_ranks)),
        timeout_(timeout), health_(std::move(health)) {
    while (world_ranks_[rank_] != mesh_->rank()) ++rank_;
    out_.resize(size());
    in_.resize(size());
  }
  ~TcpCommunicator() override {
    if (group_ == kWorld) mesh_->Leave();
  }

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(world_ranks_.size()); }
  const std::shared_ptr<JobHealth>& health() const override { return health_; }

  void AllReduce(DataRef data, ReduceOp op, const CallOptions& options) override {
    internal::CheckReduce("AllReduce", data, op);
    const Under call(*this, Call::kAllReduce, options);
    const int64_t element = DTypeSize(data.dtype), piece = kReducePiece / element;
    for (int64_t begin = 0; begin < data.count; begin += piece) {
      const DataRef part(static_cast<uint8_t*>(data.data) + begin * element,
                         std::min(piece, data.count - begin), data.dtype);
      if (part.bytes() * (size() - 1) <= kOneStep) {
        ReduceInOneStep(call, part, op);
      } else {
        ReduceInTwoSteps(call, part, op);
      }
    }
  }

  void ReduceScatter(ConstDataRef input, DataRef output, ReduceOp op,
                     const CallOptions& options) override {
    internal::CheckReduceScatter(input, output, op, rank_, size());
    const Under call(*this, Call::kReduceScatter, options);
    ReduceSlice(call, input, output.data, op);
  }

  void AllGather(ConstDataRef input, DataRef output, const CallOptions& options) override {
    internal::CheckAllGather(input, output, size());
    const Under call(*this, Call::kAllGather, options);
    const size_t bytes = input.bytes();
    ClearParts();
    for (int r = 0; r < size(); ++r) {
      out_[r] = BytesAt(input.data, 0, bytes);
      in_[r] = RoomAt(output.data, r * bytes, bytes);
    }
    if (bytes > 0 && in_[rank_].data() != out_[rank_].data()) {
      std::memcpy(in_[rank_].data(), input.data, bytes);
    }
    Exchange(call);
  }

  void Broadcast(DataRef data, int root, const CallOptions& options) override {
    internal::CheckPeer("Broadcast", root, size());
    const Under call(*this, Call::kBroadcast, options);
    for (size_t begin = 0; begin < data.bytes(); begin += kCopyPiece) {
      const size_t count = std::min<size_t>(kCopyPiece, data.bytes() - begin);
      void* part = static_cast<uint8_t*>(data.data) + begin;
      if (count * (size() - 1) <= kOneStep) {
        ClearParts();
        for (int r = 0; r < size() && rank_ == root; ++r) out_[r] = BytesAt(part, 0, count);
        if (rank_ != root) in_[root] = RoomAt(part, 0, count);
        Exchange(call);
      } else {
        BroadcastInTwoSteps(call, part, count, root);
      }
    }
  }

  void Barrier(const CallOptions& options) override {
    const Under call(*this, Call::kBarrier, options);
    const std::byte mine{};
    std::vector<std::byte> theirs(size());
    for (int r = 0; r < size(); ++r) {
      out_[r] = BytesAt(&mine, 0, 1);
      in_[r] = RoomAt(theirs.data(), r, 1);
    }
    Exchange(call);
  }

  void Send(ConstDataRef data, int destination, const CallOptions& options) override {
    internal::CheckPeer("Send", destination, size());
    internal::CheckTag("Send", options.tag);
    CheckSize("Send", data.bytes());
    health_->Check();
    Outgoing outgoing;
    mesh_->Start(world_ranks_[destination], KeyOf(options.tag), 0,
                 BytesAt(data.data, 0, data.bytes()), &outgoing);
    if (data.bytes() > kCopiedSend) mesh_->Wait(outgoing, Limits("Send", options));
  }

  void Recv(DataRef data, int source, const CallOptions& options) override {
    internal::CheckPeer("Recv", source, size());
    internal::CheckTag("Recv", options.tag);
    CheckSize("Recv", data.bytes());
    WaitLimits limits = Limits("Recv", options);
    limits.tag = options.tag;
    Incoming incoming;
    mesh_->Expect(world_ranks_[source], KeyOf(options.tag), RoomAt(data.data, 0, data.bytes()),
                  &incoming);
    mesh_->Wait(incoming, limits);
    if (!incoming.fits()) {
      throw InvalidArgumentError("[comm] Recv from rank {}, tag {}: expected {} bytes, got {}",
                                 source, options.tag, data.bytes(), incoming.size());
    }
  }

  void Post(ConstDataRef data, int destination, int tag) override {
    internal::CheckPeer("Post", destination, size());
    internal::CheckTag("Post", tag);
    CheckSize("Post", data.bytes());
    mesh_->Post(world_ranks_[destination], KeyOf(tag), BytesAt(data.data, 0, data.bytes()));
  }

  bool CanRecv(int source, int tag) override {
    internal::CheckPeer("CanRecv", source, size());
    return mesh_->Has(world_ranks_[source], KeyOf(tag));
  }

  std::shared_ptr<Communicator> Split(int color, int key,
                                      std::shared_ptr<JobHealth> health) override {
    std::vector<int32_t> mine{color, key}, all(2 * size());
    AllGather(mine, all, {});
    std::vector<std::pair<int, int>> members;  // key, rank
    for (int r = 0; r < size(); ++r) {
      if (all[2 * r] == color) members.push_back({all[2 * r + 1], r});
    }
    std::sort(members.begin(), members.end());
    std::vector<int> names;
    for (const auto& [k, r] : members) names.push_back(world_ranks_[r]);
    // All members come to the same number.
    const uint64_t group = Mix(Mix(group_ + ++splits_) + static_cast<uint32_t>(color));
    return std::make_shared<TcpCommunicator>(mesh_, group, names, timeout_,
                                             health ? std::move(health) : health_);
  }

  void Abort(const std::string& reason) override {
    const int name = world_ranks_[rank_];
    const std::string text = fmt::format("rank {} gave up: {}", name, reason);
    health_->Fail(name, text);
    mesh_->health()->Fail(name, text);
    mesh_->Wake();
  }

 private:
  // A collective under way.
  class Under {
   public:
    Under(TcpCommunicator& comm, Call call, const CallOptions& options)
        : limits(comm.Limits(NameOf(call), options)),
          stamp(static_cast<uint64_t>(call) << 56 | ++comm.calls_),
          // Its own deadline comes first; this is for whoever asks what a rank waits for.
          blocking_(*comm.health_, limits.call, limits.deadline + Millis(1000)) {
      comm.health_->Check();
    }
    ~Under() { limits.health->NoteProgress(); }

    const WaitLimits limits;
    const uint64_t stamp;

   private:
    JobHealth::BlockingCall blocking_;
  };

  WaitLimits Limits(const char* call, const CallOptions& options) const {
    const Millis timeout = options.timeout.count() > 0 ? options.timeout : timeout_;
    return {.call = call, .deadline = Clock::now() + timeout, .health = health_.get()};
  }
  MessageKey KeyOf(int tag) const { return {group_, static_cast<uint32_t>(tag)}; }

  static void CheckSize(const char* call, size_t bytes) {
    if (bytes <= TcpMesh::kMaxMessage) return;
    throw InvalidArgumentError("[tcp] {} of {} bytes; at most {} MiB in one message", call, bytes,
                               TcpMesh::kMaxMessage >> 20);
  }

  void ClearParts() {
    std::fill(out_.begin(), out_.end(), ConstBytes());
    std::fill(in_.begin(), in_.end(), MutableBytes());
  }

  // Sends out_[r] to, and receives in_[r] from, every other rank r, all at once. Empty
  // ones are not sent, which both ends know.
  void Exchange(const Under& call) {
    for (int r = 0; r < size(); ++r) {
      CheckSize(call.limits.call, std::max(out_[r].size(), in_[r].size()));
    }
    const MessageKey key{group_, kCollectiveTag};
    std::vector<Incoming> incoming(size());
    std::vector<Outgoing> outgoing(size());
    for (int r = 0; r < size(); ++r) {
      if (r != rank_ && !in_[r].empty()) mesh_->Expect(world_ranks_[r], key, in_[r], &incoming[r]);
    }
    // Not all to the lowest first.
    for (int i = 1; i < size(); ++i) {
      const int r = (rank_ + i) % size();
      if (!out_[r].empty()) mesh_->Start(world_ranks_[r], key, call.stamp, out_[r], &outgoing[r]);
    }
    for (int r = 0; r < size(); ++r) {
      if (r == rank_) continue;
      if (!in_[r].empty()) {
        mesh_->Wait(incoming[r], call.limits);
        CheckAgreement(call, r, incoming[r], in_[r].size());
      }
      if (!out_[r].empty()) mesh_->Wait(outgoing[r], call.limits);
    }
  }

  void CheckAgreement(const Under& call, int r, const Incoming& got, size_t wanted) const {
    if (got.stamp() == call.stamp && got.fits()) return;
    const auto describe = [](uint64_t stamp, size_t bytes) {
      return fmt::format("{} (call {}, {} bytes)", NameOf(static_cast<Call>(stamp >> 56)),
                         stamp & ((1ull << 56) - 1), bytes);
    };
    throw InvalidArgumentError("[comm] ranks disagree: rank {} calls {}, rank {} calls {}",
                               world_ranks_[rank_], describe(call.stamp, wanted), world_ranks_[r],
                               describe(got.stamp(), got.size()));
  }

  void ReduceInOneStep(const Under& call, DataRef data, ReduceOp op) {
    const size_t bytes = data.bytes();
    const MutableBytes scratch = scratch_.Resize(bytes * size());
    std::vector<const void*> sources(size());
    for (int r = 0; r < size(); ++r) {
      in_[r] = scratch.subspan(r * bytes, bytes);
      out_[r] = BytesAt(data.data, 0, bytes);
      sources[r] = r == rank_ ? data.data : in_[r].data();
    }
    Exchange(call);
    ReduceSources(data.dtype, op, data.data, sources.data(), size(), data.count, size());
  }

  // Slice r of everybody to rank r, which reduces it.
  void ReduceSlice(const Under& call, ConstDataRef input, void* output, ReduceOp op) {
    const size_t element = DTypeSize(input.dtype);
    const Slice mine = SliceOf(input.count, element, size(), rank_);
    const size_t bytes = mine.count * element;
    const MutableBytes scratch = scratch_.Resize(bytes * size());
    std::vector<const void*> sources(size());
    for (int r = 0; r < size(); ++r) {
      const Slice slice = SliceOf(input.count, element, size(), r);
      out_[r] = BytesAt(input.data, slice.begin * element, slice.count * element);
      in_[r] = scratch.subspan(r * bytes, bytes);
      sources[r] = r == rank_ ? out_[r].data() : in_[r].data();
    }
    Exchange(call);
    if (mine.count == 0) return;
    ReduceSources(input.dtype, op, output, sources.data(), size(), mine.count, size());
  }

  void ReduceInTwoSteps(const Under& call, DataRef data, ReduceOp op) {
    const size_t element = DTypeSize(data.dtype);
    const Slice mine = SliceOf(data.count, element, size(), rank_);
    ReduceSlice(call, data, static_cast<uint8_t*>(data.data) + mine.begin * element, op);
    // The others' slices of this rank have been sent: who answers has received them.
    for (int r = 0; r < size(); ++r) {
      const Slice slice = SliceOf(data.count, element, size(), r);
      out_[r] = BytesAt(data.data, mine.begin * element, mine.count * element);
      in_[r] = RoomAt(data.data, slice.begin * element, slice.count * element);
    }
    Exchange(call);
  }

  // A slice to each, which they pass on: no rank sends all of it to everybody.
  void BroadcastInTwoSteps(const Under& call, void* data, size_t bytes, int root) {
    const auto slice = [&](int r) { return SliceOf(static_cast<int64_t>(bytes), 1, size(), r); };
    const Slice mine = slice(rank_);
    ClearParts();
    if (rank_ == root) {
      for (int r = 0; r < size(); ++r) out_[r] = BytesAt(data, slice(r).begin, slice(r).count);
    } else {
      in_[root] = RoomAt(data, mine.begin, mine.count);
    }
    Exchange(call);
    ClearParts();
    for (int r = 0; r < size(); ++r) {
      if (r != root) out_[r] = BytesAt(data, mine.begin, mine.count);
      if (rank_ != root) in_[r] = RoomAt(data, slice(r).begin, slice(r).count);
    }
    Exchange(call);
  }

  const std::shared_ptr<TcpMesh> mesh_;
  const uint64_t group_;
  const std::vector<int> world_ranks_;
  const Millis timeout_;
  const std::shared_ptr<JobHealth> health_;
  int rank_ = 0;
  uint64_t calls_ = 0, splits_ = 0;
  ByteBuffer scratch_;  // of the others' parts
  std::vector<ConstBytes> out_;
  std::vector<MutableBytes> in_;
};

const CommunicatorRegistrar registrar("tcp",
                                      {"processes that TF_CONFIG lists", ConnectTcpRanks});

}  // namespace

std::shared_ptr<Communicator> ConnectTcpRanks(const CommunicatorOptions& options) {
  const RankPlaces& places = options.places;
  const int size = static_cast<int>(places.addresses.size());
  if (places.rank < 0 || places.rank >= size) {
    throw InvalidArgumentError("[tcp] rank {} of {} addresses; expected a rank below their number",
                               places.rank, size);
  }
  const auto health = options.health ? options.health : std::make_shared<JobHealth>();
  std::vector<int> world(size);
  std::iota(world.begin(), world.end(), 0);
  return std::make_shared<TcpCommunicator>(GatherRanks(places, health), kWorld, world,
                                           options.timeout, health);
}

}  // namespace tributary
