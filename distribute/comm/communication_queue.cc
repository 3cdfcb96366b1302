#include "distribute/comm/communication_queue.h"

namespace tributary {

Work::~Work() { WaitQuietly(); }

bool Work::done() const noexcept { return !pending_.load(std::memory_order_acquire); }

Code Work::status() const { return done() ? code_ : Code::kOk; }

void Work::WaitQuietly() noexcept {
  if (done()) return;
  std::unique_lock lock(queue_->mutex_);
  queue_->done_.wait(lock, [&] { return done(); });
}

void Work::Wait(Millis timeout) {
  if (!done()) {
    std::unique_lock lock(queue_->mutex_);
    const auto finished = [&] { return done(); };
    if (timeout.count() == 0) {
      queue_->done_.wait(lock, finished);
    } else if (!queue_->done_.wait_for(lock, timeout, finished)) {
      throw DeadlineExceededError("[comm] an operation is not done after {} ms", timeout.count());
    }
  }
  if (error_) std::rethrow_exception(error_);
}

void Work::Abort(const std::string& reason) {
  if (queue_ != nullptr) queue_->comm_->Abort(reason);
}

CommunicationQueue::CommunicationQueue(std::shared_ptr<Communicator> comm)
    : comm_(std::move(comm)), thread_([this] { Loop(); }) {}

CommunicationQueue::~CommunicationQueue() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void CommunicationQueue::AllReduce(DataRef data, ReduceOp op, Work* work,
                                   const CallOptions& options) {
  internal::CheckReduce("AllReduce", data, op);
  if (!work->done()) throw FailedPreconditionError("[comm] Work is still under way");
  work->request_ = {Work::Kind::kAllReduce, data, {}, op, 0, options};
  Enqueue(work);
}

void CommunicationQueue::ReduceScatter(ConstDataRef input, DataRef output, ReduceOp op, Work* work,
                                       const CallOptions& options) {
  internal::CheckReduceScatter(input, output, op, rank(), size());
  if (!work->done()) throw FailedPreconditionError("[comm] Work is still under way");
  work->request_ = {Work::Kind::kReduceScatter,
                    {const_cast<void*>(input.data), input.count, input.dtype},
                    output,
                    op,
                    0,
                    options};
  Enqueue(work);
}

void CommunicationQueue::Broadcast(DataRef data, int root, Work* work, const CallOptions& options) {
  internal::CheckPeer("Broadcast", root, size());
  if (!work->done()) throw FailedPreconditionError("[comm] Work is still under way");
  work->request_ = {Work::Kind::kBroadcast, data, {}, ReduceOp::kSum, root, options};
  Enqueue(work);
}

void CommunicationQueue::Barrier(Work* work, const CallOptions& options) {
  if (!work->done()) throw FailedPreconditionError("[comm] Work is still under way");
  work->request_ = {Work::Kind::kBarrier, {}, {}, ReduceOp::kSum, 0, options};
  Enqueue(work);
}

void CommunicationQueue::Enqueue(Work* work) {
  work->error_ = nullptr;
  work->code_ = Code::kOk;
  work->next_ = nullptr;
  work->queue_ = this;
  {
    std::lock_guard lock(mutex_);
    work->pending_.store(true, std::memory_order_release);
    (tail_ ? tail_->next_ : head_) = work;
    tail_ = work;
  }
  wake_.notify_one();
}

void CommunicationQueue::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return head_ != nullptr || stop_; });
    if (head_ == nullptr) return;
    Work* work = head_;
    head_ = work->next_;
    if (head_ == nullptr) tail_ = nullptr;
    lock.unlock();
    try {
      Execute(work);
    } catch (const Error& e) {
      work->error_ = std::current_exception();
      work->code_ = e.code();
    } catch (...) {
      work->error_ = std::current_exception();
      work->code_ = Code::kUnknown;
    }
    lock.lock();
    work->pending_.store(false, std::memory_order_release);
    done_.notify_all();
  }
}

void CommunicationQueue::Execute(Work* work) {
  const Work::Request& r = work->request_;
  switch (r.kind) {
    case Work::Kind::kAllReduce: return comm_->AllReduce(r.data, r.op, r.options);
    case Work::Kind::kReduceScatter:
      return comm_->ReduceScatter(r.data, r.output, r.op, r.options);
    case Work::Kind::kBroadcast: return comm_->Broadcast(r.data, r.root, r.options);
    case Work::Kind::kBarrier: return comm_->Barrier(r.options);
  }
}

}  // namespace tributary
