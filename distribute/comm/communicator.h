#pragma once
// Communicator: collectives and point-to-point calls among the ranks of a group.
//
// Calls block. Collectives are called by every rank of the group in the same
// order with the same arguments. One thread at a time uses a communicator; Split
// gives an independent one for another thread (see communication_queue.h for the
// asynchronous forms).
//
// Every wait has a deadline (CallOptions::timeout, else the communicator's) and
// looks at health(): a call ends with DeadlineExceededError naming whom it waited
// for, or UnavailableError naming the rank that is lost. Where an implementation
// can't unwind (a blocking MPI collective), the liveness monitor ends the process
// instead. After either, the communicator is of no more use.
//
// Sums give the same bits on every rank and in every run of equal size. On two
// ranks every implementation gives a + b, so their results agree bit for bit.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/registry.h"
#include "core/tensor/dtype.h"
#include "distribute/comm/job_health.h"

namespace tributary {

enum class ReduceOp { kSum, kMean, kMax, kMin };
const char* ReduceOpName(ReduceOp op);

// Elements in memory, by pointer: what the calls work on.
struct DataRef {
  void* data = nullptr;
  int64_t count = 0;
  DType dtype = DType::kInvalid;

  DataRef() = default;
  DataRef(void* data, int64_t count, DType dtype) : data(data), count(count), dtype(dtype) {}
  template <typename T>
  DataRef(std::span<T> values)
      : data(values.data()), count(static_cast<int64_t>(values.size())), dtype(kDTypeOf<T>) {}
  template <typename T>
  DataRef(std::vector<T>& values) : DataRef(std::span<T>(values)) {}
  size_t bytes() const { return static_cast<size_t>(count) * DTypeSize(dtype); }
};

struct ConstDataRef {
  const void* data = nullptr;
  int64_t count = 0;
  DType dtype = DType::kInvalid;

  ConstDataRef(const void* data, int64_t count, DType dtype)
      : data(data), count(count), dtype(dtype) {}
  ConstDataRef(const DataRef& ref) : data(ref.data), count(ref.count), dtype(ref.dtype) {}
  template <typename T>
  ConstDataRef(const std::vector<T>& values)
      : data(values.data()), count(static_cast<int64_t>(values.size())), dtype(kDTypeOf<T>) {}
  size_t bytes() const { return static_cast<size_t>(count) * DTypeSize(dtype); }
};

struct CallOptions {
  Millis timeout{0};  // 0: the communicator's
  int tag = 0;        // Send and Recv: in [0, 32767)
};

// Where ranks that find each other by address (tcp) are.
struct RankPlaces {
  int rank = 0;                        // of this process
  std::vector<std::string> addresses;  // "host:port", by rank
  std::string key_file;  // with the job's key, which addresses beyond loopback need
  Millis timeout{60'000};              // until everybody is there
};

struct CommunicatorOptions {
  Millis timeout{300'000};
  // Shared with the liveness monitor and with everything that waits. Null: a new one.
  std::shared_ptr<JobHealth> health;
  RankPlaces places;
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // In place. float32, float64, int32, int64 (others: UnimplementedError);
  // kMean of integers is an InvalidArgumentError.
  virtual void AllReduce(DataRef data, ReduceOp op, const CallOptions& options = {}) = 0;
  // Rank r ends with slice r (see slices.h, SliceOf(count, size, r)) of the
  // reduction of everyone's `input` in `output`, which holds just that slice.
  virtual void ReduceScatter(ConstDataRef input, DataRef output, ReduceOp op,
                             const CallOptions& options = {}) = 0;
  // output.count == input.count * size(), in rank order. Any plain dtype.
  virtual void AllGather(ConstDataRef input, DataRef output, const CallOptions& options = {}) = 0;
  virtual void Broadcast(DataRef data, int root, const CallOptions& options = {}) = 0;
  virtual void Barrier(const CallOptions& options = {}) = 0;

  // Messages between two ranks with one tag arrive in order. Send may return
  // before the message is received. Recv throws InvalidArgumentError when the
  // message has another size.
  virtual void Send(ConstDataRef data, int destination, const CallOptions& options = {}) = 0;
  virtual void Recv(DataRef data, int source, const CallOptions& options = {}) = 0;
  // Sends a copy of a small message and does not wait for anything, not even for a
  // peer that has died: heartbeats.
  virtual void Post(ConstDataRef data, int destination, int tag) = 0;
  // True when Recv(source, tag) would find a message.
  virtual bool CanRecv(int source, int tag) = 0;

  // Ranks of equal `color` form a new group, ordered by `key`, then by rank. With a
  // `health` of its own, what fails there does not fail the job. Collective.
  virtual std::shared_ptr<Communicator> Split(int color, int key,
                                              std::shared_ptr<JobHealth> health = nullptr) = 0;

  // This rank gives up: every pending and later call of every rank of the job
  // ends with an error that names this rank. Not collective, does not block.
  virtual void Abort(const std::string& reason) = 0;

  virtual const std::shared_ptr<JobHealth>& health() const = 0;
};

// How a communicator is made. Ranks of other processes are reached through what
// the launcher has wired up.
struct CommunicatorFactory {
  std::string description;
  std::function<std::shared_ptr<Communicator>(const CommunicatorOptions&)> connect;
};
Registry<CommunicatorFactory>& CommunicatorRegistry();

struct CommunicatorRegistrar {
  CommunicatorRegistrar(const char* name, CommunicatorFactory factory) {
    CommunicatorRegistry().Add(name, std::move(factory));
  }
};

// Variable-length texts of all ranks, in rank order. Collective.
std::vector<std::string> AllGatherStrings(Communicator& comm, const std::string& text);

namespace internal {
// Argument checks that all implementations share. Throw InvalidArgumentError,
// UnimplementedError.
void CheckReduce(const char* call, ConstDataRef data, ReduceOp op);
void CheckReduceScatter(ConstDataRef input, ConstDataRef output, ReduceOp op, int rank, int size);
void CheckAllGather(ConstDataRef input, ConstDataRef output, int size);
void CheckPeer(const char* call, int peer, int size);
void CheckTag(const char* call, int tag);
}  // namespace internal

}  // namespace tributary
