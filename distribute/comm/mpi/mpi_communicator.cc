// Communicator over MPI (Open MPI 4.1). Reductions, broadcasts and gathers are
// the library's blocking calls, the fastest it has; barriers and messages are
// polled, so that they can be unwound.

#include "distribute/comm/mpi/mpi_c.h"
#include <sched.h>

#include <numeric>

#include "distribute/comm/communicator.h"
#include "distribute/comm/mpi/mpi_runtime.h"
#include "distribute/comm/reduce_kernels.h"
#include "distribute/comm/slices.h"

namespace tributary {
namespace {

// One MPI_Allreduce of 64 MiB in shared memory runs at a quarter of the speed of
// pieces that fit the caches.
constexpr int64_t kReducePiece = 2 << 20;
constexpr int64_t kCopyPiece = 64 << 20;
constexpr int kSpins = 1000;

void Require(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw UnavailableError("[mpi] {}: {}", call, std::string(text, length));
}

MPI_Datatype TypeOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return MPI_FLOAT;
    case DType::kFloat64: return MPI_DOUBLE;
    case DType::kInt32: return MPI_INT32_T;
    default: return MPI_INT64_T;
  }
}

MPI_Op OpOf(ReduceOp op) {
  switch (op) {
    case ReduceOp::kMax: return MPI_MAX;
    case ReduceOp::kMin: return MPI_MIN;
    default: return MPI_SUM;
  }
}

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(MPI_Comm comm, Millis timeout, std::shared_ptr<JobHealth> health)
      : comm_(comm), timeout_(timeout), health_(std::move(health)) {
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    // What the ranks of this group are called in messages.
    MPI_Group mine, world;
    MPI_Comm_group(comm_, &mine);
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    world_ranks_.resize(size_);
    std::vector<int> ranks(size_);
    std::iota(ranks.begin(), ranks.end(), 0);
    MPI_Group_translate_ranks(mine, size_, ranks.data(), world, world_ranks_.data());
    MPI_Group_free(&mine);
    MPI_Group_free(&world);
  }
  ~MpiCommunicator() override {
    for (auto& letter : posted_) letter.release();
  }
  // The MPI_Comm is not freed: that is a collective call, and a rank may get here
  // while it unwinds. There are few, and they live as long as the job.

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const std::shared_ptr<JobHealth>& health() const override { return health_; }

  void AllReduce(DataRef data, ReduceOp op, const CallOptions& options) override {
    internal::CheckReduce("AllReduce", data, op);
    health_->Check();
    JobHealth::BlockingCall call(*health_, "AllReduce", Deadline(options));
    const int64_t element = DTypeSize(data.dtype), piece = kReducePiece / element;
    uint8_t* bytes = static_cast<uint8_t*>(data.data);
    for (int64_t begin = 0; begin < data.count; begin += piece) {
      const int64_t count = std::min(piece, data.count - begin);
      void* part = bytes + begin * element;
      Require(MPI_Allreduce(MPI_IN_PLACE, part, static_cast<int>(count), TypeOf(data.dtype),
                            OpOf(op), comm_),
              "AllReduce");
      Scale(data.dtype, op, part, count);
    }
    health_->NoteProgress();
  }

  void ReduceScatter(ConstDataRef input, DataRef output, ReduceOp op,
                     const CallOptions& options) override {
    internal::CheckReduceScatter(input, output, op, rank_, size_);
    if (input.count > std::numeric_limits<int>::max()) {
      throw InvalidArgumentError("[mpi] ReduceScatter of {} elements; at most {} in one call",
                                 input.count, std::numeric_limits<int>::max());
    }
    health_->Check();
    JobHealth::BlockingCall call(*health_, "ReduceScatter", Deadline(options));
    counts_.resize(size_);
    for (int r = 0; r < size_; ++r) {
      counts_[r] =
          static_cast<int>(SliceOf(input.count, DTypeSize(input.dtype), size_, r).count);
    }
    Require(MPI_Reduce_scatter(input.data, output.data, counts_.data(), TypeOf(input.dtype),
                               OpOf(op), comm_),
            "ReduceScatter");
    Scale(output.dtype, op, output.data, output.count);
    health_->NoteProgress();
  }

  void AllGather(ConstDataRef input, DataRef output, const CallOptions& options) override {
    internal::CheckAllGather(input, output, size_);
    if (input.bytes() > static_cast<size_t>(std::numeric_limits<int>::max())) {
      throw InvalidArgumentError("[mpi] AllGather of {} bytes a rank; at most 2 GiB in one call",
                                 input.bytes());
    }
    health_->Check();
    JobHealth::BlockingCall call(*health_, "AllGather", Deadline(options));
    const int bytes = static_cast<int>(input.bytes());
    const bool in_place =
        input.data == static_cast<uint8_t*>(output.data) + rank_ * input.bytes();
    Require(MPI_Allgather(in_place ? MPI_IN_PLACE : input.data, bytes, MPI_BYTE, output.data, bytes,
                          MPI_BYTE, comm_),
            "AllGather");
    health_->NoteProgress();
  }

  void Broadcast(DataRef data, int root, const CallOptions& options) override {
    internal::CheckPeer("Broadcast", root, size_);
    health_->Check();
    JobHealth::BlockingCall call(*health_, "Broadcast", Deadline(options));
    uint8_t* bytes = static_cast<uint8_t*>(data.data);
    const int64_t total = data.bytes();
    for (int64_t begin = 0; begin < total; begin += kCopyPiece) {
      const int count = static_cast<int>(std::min(kCopyPiece, total - begin));
      Require(MPI_Bcast(bytes + begin, count, MPI_BYTE, root, comm_), "Broadcast");
    }
    health_->NoteProgress();
  }

  void Barrier(const CallOptions& options) override {
    health_->Check();
    const auto deadline = Deadline(options);
    // Its own deadline comes first; this is for whoever asks what a rank waits for.
    JobHealth::BlockingCall call(*health_, "Barrier", deadline + Millis(1000));
    MPI_Request request;
    Require(MPI_Ibarrier(comm_, &request), "Barrier");
    Await(request, deadline, JobHealth::kUnknownRank,
          [&] { return fmt::format("Barrier: rank {} waited in vain for the others", world_ranks_[rank_]); });
    health_->NoteProgress();
  }

  void Send(ConstDataRef data, int destination, const CallOptions& options) override {
    internal::CheckPeer("Send", destination, size_);
    internal::CheckTag("Send", options.tag);
    health_->Check();
    const auto deadline = Deadline(options);
    JobHealth::BlockingCall call(*health_, "Send", deadline + Millis(1000));
    MPI_Request request;
    Require(MPI_Isend(data.data, MessageSize("Send", data.bytes()), MPI_BYTE, destination,
                      options.tag, comm_, &request),
            "Send");
    Await(request, deadline, world_ranks_[destination], [&] {
      return fmt::format("Send: rank {} waited in vain for rank {} to take a message (tag {})",
                         world_ranks_[rank_], world_ranks_[destination], options.tag);
    });
  }

  void Recv(DataRef data, int source, const CallOptions& options) override {
    internal::CheckPeer("Recv", source, size_);
    internal::CheckTag("Recv", options.tag);
    MessageSize("Recv", data.bytes());
    // Probed first: the size is checked before anything is written.
    MPI_Status status;
    const auto deadline = Deadline(options);
    JobHealth::BlockingCall call(*health_, "Recv", deadline + Millis(1000));
    int found = 0;
    for (int spins = 0; !found; ++spins) {
      Require(MPI_Iprobe(source, options.tag, comm_, &found, &status), "Recv");
      if (found || spins < kSpins) continue;
      CheckWait(deadline, world_ranks_[source], [&] {
        return fmt::format("Recv: rank {} waited in vain for a message of rank {} (tag {})",
                           world_ranks_[rank_], world_ranks_[source], options.tag);
      });
    }
    int bytes = 0;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    std::vector<uint8_t> refused;
    const bool fits = static_cast<size_t>(bytes) == data.bytes();
    if (!fits) refused.resize(bytes);
    Require(MPI_Recv(fits ? data.data : refused.data(), bytes, MPI_BYTE, source, options.tag, comm_,
                     MPI_STATUS_IGNORE),
            "Recv");
    if (!fits) {
      throw InvalidArgumentError("[comm] Recv from rank {}, tag {}: expected {} bytes, got {}",
                                 source, options.tag, data.bytes(), bytes);
    }
  }

  void Post(ConstDataRef data, int destination, int tag) override {
    internal::CheckPeer("Post", destination, size_);
    internal::CheckTag("Post", tag);
    const auto is_sent = [](std::unique_ptr<Letter>& letter) {
      int done = 0;
      return MPI_Test(&letter->request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done;
    };
    std::erase_if(posted_, is_sent);
    const uint8_t* bytes = static_cast<const uint8_t*>(data.data);
    posted_.push_back(std::make_unique<Letter>());
    Letter& letter = *posted_.back();
    letter.bytes.assign(bytes, bytes + data.bytes());
    Require(MPI_Isend(letter.bytes.data(), MessageSize("Post", data.bytes()), MPI_BYTE, destination,
                      tag, comm_, &letter.request),
            "Post");
  }

  bool CanRecv(int source, int tag) override {
    internal::CheckPeer("CanRecv", source, size_);
    int found = 0;
    Require(MPI_Iprobe(source, tag, comm_, &found, MPI_STATUS_IGNORE), "CanRecv");
    return found != 0;
  }

  std::shared_ptr<Communicator> Split(int color, int key,
                                      std::shared_ptr<JobHealth> health) override {
    health_->Check();
    JobHealth::BlockingCall call(*health_, "Split", Deadline({}));
    MPI_Comm part;
    Require(MPI_Comm_split(comm_, color, key, &part), "Split");
    return std::make_shared<MpiCommunicator>(part, timeout_, health ? std::move(health) : health_);
  }

  void Abort(const std::string& reason) override {
    health_->Fail(world_ranks_[rank_],
                  fmt::format("rank {} gave up: {}", world_ranks_[rank_], reason));
  }

 private:
  Clock::time_point Deadline(const CallOptions& options) const {
    return Clock::now() + (options.timeout.count() > 0 ? options.timeout : timeout_);
  }

  static int MessageSize(const char* call, size_t bytes) {
    if (bytes > static_cast<size_t>(std::numeric_limits<int>::max())) {
      throw InvalidArgumentError("[mpi] {} of {} bytes; at most 2 GiB in one message", call, bytes);
    }
    return static_cast<int>(bytes);
  }

  void Scale(DType dtype, ReduceOp op, void* data, int64_t count) const {
    if (op != ReduceOp::kMean || size_ == 1) return;
    const void* source = data;
    ReduceSources(dtype, op, data, &source, 1, count, size_);
  }

  template <typename Blame>
  void CheckWait(Clock::time_point deadline, int blamed, Blame blame) {
    health_->Check();
    if (Clock::now() >= deadline) {
      const std::string text = blame();
      health_->Fail(blamed, text);
      throw DeadlineExceededError("[comm] {}; the deadline has passed", text);
    }
    sched_yield();
  }

  template <typename Blame>
  void Await(MPI_Request& request, Clock::time_point deadline, int blamed, Blame blame) {
    int done = 0;
    for (int spins = 0;; ++spins) {
      Require(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "wait");
      if (done) return;
      if (spins >= kSpins) CheckWait(deadline, blamed, blame);
    }
  }

  MPI_Comm comm_;
  Millis timeout_;
  std::shared_ptr<JobHealth> health_;
  std::vector<int> world_ranks_;
  int rank_ = 0, size_ = 1;
  std::vector<int> counts_;
  // Messages on their way, with their bytes. What is left at the end stays
  // allocated: MPI may still read it.
  struct Letter {
    std::vector<uint8_t> bytes;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  std::vector<std::unique_ptr<Letter>> posted_;
};

std::shared_ptr<Communicator> Connect(const CommunicatorOptions& options) {
  MpiRuntime::Init();
  // Our own context: messages of other users of MPI_COMM_WORLD are not ours.
  MPI_Comm comm;
  Require(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "connect");
  return std::make_shared<MpiCommunicator>(
      comm, options.timeout, options.health ? options.health : std::make_shared<JobHealth>());
}

const CommunicatorRegistrar registrar("mpi", {"the ranks that mpirun or srun started", Connect});

}  // namespace
}  // namespace tributary
