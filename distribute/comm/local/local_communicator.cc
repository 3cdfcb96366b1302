#include "distribute/comm/local/local_communicator.h"

#include <condition_variable>
#include <deque>
#include <numeric>

#include "core/base/strings.h"
#include "distribute/comm/reduce_kernels.h"
#include "distribute/comm/slices.h"

namespace tributary {
namespace {

class LocalGroup;

// What a rank shows to the others during a collective.
struct Exhibit {
  const char* call = "";
  DataRef data;
  int detail = 0;  // op, root: must be equal on all ranks
  int color = 0, key = 0;
  std::shared_ptr<LocalGroup> group;

  bool Matches(const Exhibit& other) const {
    return std::string_view(call) == other.call && data.dtype == other.data.dtype &&
           data.count == other.data.count && detail == other.detail;
  }
  std::string ToString() const {
    return fmt::format("{} of {} x {} ({})", call, data.count, DTypeName(data.dtype), detail);
  }
};

class LocalGroup {
 public:
  // `world_ranks[r]` is what rank r is called in messages.
  LocalGroup(std::vector<int> world_ranks, Millis timeout, std::shared_ptr<JobHealth> health)
      : size(static_cast<int>(world_ranks.size())), world_ranks(std::move(world_ranks)),
        timeout(timeout), health(std::move(health)), exhibits(size), arrivals_(size, 0) {}

  // Returns when all ranks are here. Everything they did before is visible.
  void Meet(int rank, const char* call, Clock::time_point deadline) {
    std::unique_lock lock(mutex);
    const uint64_t meeting = ++arrivals_[rank];
    if (++arrived_ == size) {
      arrived_ = 0;
      meeting_ = meeting;
      changed.notify_all();
      return;
    }
    Await(lock, deadline, [&] { return meeting_ >= meeting; }, [&] {
      std::vector<std::string> missing;
      int first = JobHealth::kUnknownRank;
      for (int r = 0; r < size; ++r) {
        if (arrivals_[r] >= meeting) continue;
        if (missing.empty()) first = world_ranks[r];
        missing.push_back(std::to_string(world_ranks[r]));
      }
      return std::pair(first, fmt::format("{}: rank {} waited in vain for rank {}", call,
                                          world_ranks[rank], Join(missing, ", ")));
    });
  }

  // Waits for `ready` under the lock. `blame` tells who is late: {rank, text}.
  template <typename Ready, typename Blame>
  void Await(std::unique_lock<std::mutex>& lock, Clock::time_point deadline, Ready ready,
             Blame blame) {
    while (!ready()) {
      health->Check();
      const auto now = Clock::now();
      if (now >= deadline) {
        const auto [rank, text] = blame();
        health->Fail(rank, text);
        changed.notify_all();
        throw DeadlineExceededError("[comm] {}; the deadline has passed", text);
      }
      // A failure may be reported where this group is unknown: look again soon.
      changed.wait_until(lock, std::min(deadline, now + Millis(20)));
    }
  }

  const int size;
  const std::vector<int> world_ranks;
  const Millis timeout;
  const std::shared_ptr<JobHealth> health;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Exhibit> exhibits;
  std::map<std::tuple<int, int, int>, std::deque<std::vector<uint8_t>>> mail;  // from, to, tag

 private:
  std::vector<uint64_t> arrivals_;
  int arrived_ = 0;
  uint64_t meeting_ = 0;
};

class LocalCommunicator final : public Communicator {
 public:
  LocalCommunicator(std::shared_ptr<LocalGroup> group, int rank)
      : group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return group_->size; }
  const std::shared_ptr<JobHealth>& health() const override { return group_->health; }

  void AllReduce(DataRef data, ReduceOp op, const CallOptions& options) override {
    internal::CheckReduce("AllReduce", data, op);
    Collective({"AllReduce", data, static_cast<int>(op)}, options, [&] {
      // This rank reduces one slice of everybody's buffer and writes it back to
      // everybody: nobody else touches that slice.
      const size_t element = DTypeSize(data.dtype);
      const Slice mine = SliceOf(data.count, element, size(), rank_);
      if (mine.count == 0) return;
      std::vector<const void*> sources = Sources(mine.begin * element);
      void* own = static_cast<uint8_t*>(data.data) + mine.begin * element;
      ReduceSources(data.dtype, op, own, sources.data(), size(), mine.count, size());
      for (int r = 0; r < size(); ++r) {
        if (r != rank_) std::memcpy(const_cast<void*>(sources[r]), own, mine.count * element);
      }
    });
  }

  void ReduceScatter(ConstDataRef input, DataRef output, ReduceOp op,
                     const CallOptions& options) override {
    internal::CheckReduceScatter(input, output, op, rank_, size());
    const DataRef in{const_cast<void*>(input.data), input.count, input.dtype};
    Collective({"ReduceScatter", in, static_cast<int>(op)}, options, [&] {
      const size_t element = DTypeSize(input.dtype);
      const Slice mine = SliceOf(input.count, element, size(), rank_);
      if (mine.count == 0) return;
      const std::vector<const void*> sources = Sources(mine.begin * element);
      ReduceSources(input.dtype, op, output.data, sources.data(), size(), mine.count, size());
    });
  }

  void AllGather(ConstDataRef input, DataRef output, const CallOptions& options) override {
    internal::CheckAllGather(input, output, size());
    const DataRef in{const_cast<void*>(input.data), input.count, input.dtype};
    Collective({"AllGather", in}, options, [&] {
      for (int r = 0; r < size(); ++r) {
        uint8_t* target = static_cast<uint8_t*>(output.data) + r * input.bytes();
        const void* source = group_->exhibits[r].data.data;
        if (target != source && input.bytes() > 0) std::memcpy(target, source, input.bytes());
      }
    });
  }

  void Broadcast(DataRef data, int root, const CallOptions& options) override {
    internal::CheckPeer("Broadcast", root, size());
    Collective({"Broadcast", data, root}, options, [&] {
      if (rank_ == root || data.bytes() == 0) return;
      std::memcpy(data.data, group_->exhibits[root].data.data, data.bytes());
    });
  }

  void Barrier(const CallOptions& options) override {
    group_->health->Check();
    group_->Meet(rank_, "Barrier", Deadline(options));
    group_->health->NoteProgress();
  }

  void Send(ConstDataRef data, int destination, const CallOptions& options) override {
    internal::CheckPeer("Send", destination, size());
    internal::CheckTag("Send", options.tag);
    group_->health->Check();
    const uint8_t* bytes = static_cast<const uint8_t*>(data.data);
    std::vector<uint8_t> message(bytes, bytes + data.bytes());
    std::lock_guard lock(group_->mutex);
    group_->mail[{rank_, destination, options.tag}].push_back(std::move(message));
    group_->changed.notify_all();
  }

  void Recv(DataRef data, int source, const CallOptions& options) override {
    internal::CheckPeer("Recv", source, size());
    internal::CheckTag("Recv", options.tag);
    std::unique_lock lock(group_->mutex);
    auto& box = group_->mail[{source, rank_, options.tag}];
    group_->Await(lock, Deadline(options), [&] { return !box.empty(); }, [&] {
      const int from = group_->world_ranks[source];
      return std::pair(from, fmt::format("Recv: rank {} waited in vain for a message of rank {} "
                                         "(tag {})",
                                         group_->world_ranks[rank_], from, options.tag));
    });
    const std::vector<uint8_t> message = std::move(box.front());
    box.pop_front();
    if (message.size() != data.bytes()) {
      throw InvalidArgumentError("[comm] Recv from rank {}, tag {}: expected {} bytes, got {}",
                                 source, options.tag, data.bytes(), message.size());
    }
    if (!message.empty()) std::memcpy(data.data, message.data(), message.size());
  }

  void Post(ConstDataRef data, int destination, int tag) override {
    Send(data, destination, {.tag = tag});
  }

  bool CanRecv(int source, int tag) override {
    internal::CheckPeer("CanRecv", source, size());
    std::lock_guard lock(group_->mutex);
    return !group_->mail[{source, rank_, tag}].empty();
  }

  std::shared_ptr<Communicator> Split(int color, int key,
                                      std::shared_ptr<JobHealth> health) override {
    const CallOptions options;
    Exhibit mine{"Split"};
    mine.color = color;
    mine.key = key;
    std::shared_ptr<LocalGroup> group;
    int rank = 0;
    Collective(mine, options, [&] {
      std::vector<std::pair<int, int>> members;  // key, rank
      for (int r = 0; r < size(); ++r) {
        const Exhibit& other = group_->exhibits[r];
        if (other.color == color) members.push_back({other.key, r});
      }
      std::sort(members.begin(), members.end());
      while (members[rank].second != rank_) ++rank;
      const int leader = members.front().second;
      if (rank == 0) {
        std::vector<int> names;
        for (const auto& [k, r] : members) names.push_back(group_->world_ranks[r]);
        group_->exhibits[rank_].group =
            std::make_shared<LocalGroup>(
                names, group_->timeout, health ? std::move(health) : group_->health);
      }
      group_->Meet(rank_, "Split", Deadline(options));
      group = group_->exhibits[leader].group;
    });
    return std::make_shared<LocalCommunicator>(group, rank);
  }

  void Abort(const std::string& reason) override {
    const int name = group_->world_ranks[rank_];
    group_->health->Fail(name, fmt::format("rank {} gave up: {}", name, reason));
    std::lock_guard lock(group_->mutex);
    group_->changed.notify_all();
  }

 private:
  Clock::time_point Deadline(const CallOptions& options) const {
    return Clock::now() + (options.timeout.count() > 0 ? options.timeout : group_->timeout);
  }

  std::vector<const void*> Sources(size_t byte_offset) const {
    std::vector<const void*> sources;
    for (const Exhibit& e : group_->exhibits) {
      sources.push_back(static_cast<const uint8_t*>(e.data.data) + byte_offset);
    }
    return sources;
  }

  template <typename Body>
  void Collective(const Exhibit& mine, const CallOptions& options, Body body) {
    group_->health->Check();
    const auto deadline = Deadline(options);
    group_->exhibits[rank_] = mine;
    group_->Meet(rank_, mine.call, deadline);
    // Every rank compares the same things, so either all go on or none does.
    int odd = -1;
    for (int r = 1; r < size() && odd < 0; ++r) {
      if (!group_->exhibits[r].Matches(group_->exhibits[0])) odd = r;
    }
    std::string complaint;
    if (odd >= 0) {
      complaint = fmt::format("[comm] ranks disagree: rank 0 calls {}, rank {} calls {}",
                              group_->exhibits[0].ToString(), odd,
                              group_->exhibits[odd].ToString());
    } else {
      body();
    }
    group_->Meet(rank_, mine.call, deadline);
    if (odd >= 0) throw InvalidArgumentError("{}", complaint);
    group_->health->NoteProgress();
  }

  std::shared_ptr<LocalGroup> group_;
  int rank_;
};

const CommunicatorRegistrar registrar(
    "local", {"this process alone", [](const CommunicatorOptions& options) {
                return MakeLocalCommunicators(1, options).front();
              }});

}  // namespace

std::vector<std::shared_ptr<Communicator>> MakeLocalCommunicators(int size,
                                                                  CommunicatorOptions options) {
  if (size < 1) throw InvalidArgumentError("[comm] a group of {} ranks; expected at least 1", size);
  if (!options.health) options.health = std::make_shared<JobHealth>();
  std::vector<int> names(size);
  std::iota(names.begin(), names.end(), 0);
  auto group = std::make_shared<LocalGroup>(names, options.timeout, options.health);
  std::vector<std::shared_ptr<Communicator>> ranks;
  for (int r = 0; r < size; ++r) ranks.push_back(std::make_shared<LocalCommunicator>(group, r));
  return ranks;
}

}  // namespace tributary
