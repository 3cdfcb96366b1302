#pragma once
// The ranks that a collective op runs among, and the thread it runs on.

#include "core/tensor/tensor.h"
#include "distribute/comm/communication_queue.h"
#include "distribute/graph_ops/object_table.h"

namespace tributary {

class CollectiveGroup {
 public:
  // `comm` is used by this group only. With a queue, collectives overlap what the
  // plan computes meanwhile (worth it where a core is free); without, they run
  // inline, which is faster on a busy machine.
  CollectiveGroup(std::shared_ptr<Communicator> comm, bool overlap)
      : comm_(std::move(comm)), queue_(overlap ? new CommunicationQueue(comm_) : nullptr) {}

  int size() const { return comm_->size(); }
  // One thread at a time; with a queue, that is the queue's.
  Communicator& comm() const { return *comm_; }
  // Null: run inline.
  CommunicationQueue* queue() const { return queue_.get(); }

 private:
  std::shared_ptr<Communicator> comm_;
  std::unique_ptr<CommunicationQueue> queue_;
};

ObjectTable<CollectiveGroup>& CollectiveGroups();

// CollectiveReduceV2 over a registered group: the sum (or mean, max, min) of every
// rank's `input`. A node of the graph that is being traced, or eager.
Tensor CollectiveReduce(const Tensor& input, int64_t group_key, ReduceOp op);

}  // namespace tributary
