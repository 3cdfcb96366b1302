#include "core/runtime/memory_planner.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "core/base/errors.h"

namespace tributary {
namespace {

using Kind = MemoryProblem::Kind;

size_t Align(size_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

// Values joined into blocks: a union-find whose links carry byte offsets.
class Blocks {
 public:
  struct Root {
    size_t bytes;
    int first, last;
    Kind kind;
    bool keep;
    bool whole;  // nothing but full-size members: may be joined by in-place wishes
  };

  explicit Blocks(const MemoryProblem& problem) : problem_(problem) {
    for (const auto& v : problem.values) {
      roots_.push_back({v.bytes, v.defined, std::max(v.defined, v.last_use), v.kind,
                        v.keep, true});
    }
    parent_.resize(roots_.size());
    std::iota(parent_.begin(), parent_.end(), 0);
    offset_.assign(roots_.size(), 0);
  }

  // The block of a value and the value's offset in it.
  std::pair<int, size_t> Find(int value) const {
    size_t offset = 0;
    while (parent_[value] != value) {
      offset += offset_[value];
      value = parent_[value];
    }
    return {value, offset};
  }
  const Root& root(int block) const { return roots_[block]; }

  // Hangs block `child` into block `into` at `offset`.
  void Join(int child, int into, size_t offset) {
    TRB_CHECK(parent_[child] == child && parent_[into] == into && child != into);
    parent_[child] = into;
    offset_[child] = offset;
    Root& a = roots_[into];
    const Root& b = roots_[child];
    a.first = std::min(a.first, b.first);
    a.last = std::max(a.last, b.last);
    a.keep |= b.keep;
    if (offset != 0 || b.bytes != a.bytes || !b.whole) a.whole = false;
  }

  void JoinAlias(const MemoryProblem::Alias& alias) {
    const auto [in, in_offset] = Find(alias.in);
    const auto [out, out_offset] = Find(alias.out);
    if (in == out) return;
    TRB_CHECK(out_offset == 0 && roots_[out].kind == Kind::kArena);
    Join(out, in, in_offset);
  }

  // A part goes inside its whole when the whole is the last thing that reads it.
  bool TryPlace(const MemoryProblem::Place& wish) {
    const auto [part, part_offset] = Find(wish.value);
    const auto [whole, whole_offset] = Find(wish.parent);
    const Root& p = roots_[part];
    const Root& w = roots_[whole];
    if (part == whole || part_offset != 0 || p.kind != Kind::kArena || p.keep) return false;
    if (w.kind == Kind::kFixed || p.last > wish.step) return false;
    const size_t offset = whole_offset + wish.offset;
    if (offset + p.bytes > w.bytes || p.bytes != problem_.values[wish.value].bytes) return false;
    const bool was_whole = w.whole;
    Join(part, whole, offset);
    // The parts end where the whole begins, so the whole stays one value in time.
    roots_[whole].whole = was_whole;
    return true;
  }

  bool TryInPlace(const MemoryProblem::InPlace& wish) {
    const size_t bytes = problem_.values[wish.in].bytes;
    const auto [in, in_offset] = Find(wish.in);
    const auto [out, out_offset] = Find(wish.out);
    const Root& a = roots_[in];
    if (in == out || in_offset != 0 || problem_.values[wish.out].bytes != bytes) return false;
    if (a.kind == Kind::kFixed || a.keep || a.bytes != bytes || !a.whole) return false;
    if (a.last > wish.step) return false;
    const Root& b = roots_[out];
    if (b.kind == Kind::kFixed || Taken(wish)) return false;
    if (b.kind == Kind::kArena && out_offset == 0 && b.bytes == bytes &&
        b.first == problem_.values[wish.out].defined) {
      Join(out, in, 0);  // also when `in` is a bucket
      granted_.emplace(wish.step, &wish);
      return true;
    }
    // The output has a place of its own already: the dead input moves there.
    if (a.kind != Kind::kArena || b.kind != Kind::kBucket) return false;
    Join(in, out, out_offset);
    granted_.emplace(wish.step, &wish);
    return true;
  }

 private:
  // One output a step may lie over one input.
  bool Taken(const MemoryProblem::InPlace& wish) const {
    const int in = Find(wish.in).first;
    const auto [begin, end] = granted_.equal_range(wish.step);
    for (auto it = begin; it != end; ++it) {
      if (it->second->out == wish.out || Find(it->second->in).first == in) return true;
    }
    return std::any_of(wish.others.begin(), wish.others.end(),
                       [&](int other) { return Find(other).first == in; });
  }

  const MemoryProblem& problem_;
  std::vector<Root> roots_;
  std::vector<int> parent_;
  std::vector<size_t> offset_;
  std::unordered_multimap<int, const MemoryProblem::InPlace*> granted_;  // by step
};

struct Placed {
  size_t begin, end;
  int first, last;
};

// The tightest gap that is free in [first, last], else behind everything.
size_t FindGap(const std::vector<Placed>& sorted, size_t bytes, int first, int last) {
  size_t best = SIZE_MAX, best_gap = SIZE_MAX, end = 0;
  for (const Placed& p : sorted) {
    if (p.last < first || p.first > last) continue;
    if (p.begin > end && p.begin - end >= bytes && p.begin - end < best_gap) {
      best = end;
      best_gap = p.begin - end;
    }
    end = std::max(end, p.end);
  }
  return best == SIZE_MAX ? end : best;
}

// Offsets of blocks in the arena, largest first.
void LayOut(const MemoryProblem& problem, const Blocks& blocks, MemoryPlan* plan,
            std::vector<size_t>* offsets) {
  std::vector<int> order;
  for (size_t i = 0; i < problem.values.size(); ++i) {
    const int block = static_cast<int>(i);
    if (blocks.Find(block).first == block && blocks.root(block).kind == Kind::kArena) {
      order.push_back(block);
    }
  }
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return blocks.root(a).bytes > blocks.root(b).bytes;
  });
  std::vector<Placed> sorted;  // by begin
  for (int block : order) {
    const Blocks::Root& r = blocks.root(block);
    const bool forever = r.keep || !problem.reuse;
    Placed p{0, Align(r.bytes), forever ? INT32_MIN : r.first, forever ? INT32_MAX : r.last};
    if (p.end == 0) continue;
    const size_t at = FindGap(sorted, p.end, p.first, p.last);
    p.begin += at;
    p.end += at;
    (*offsets)[block] = at;
    plan->arena_bytes = std::max(plan->arena_bytes, p.end);
    sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), p,
                                   [](const Placed& a, const Placed& b) {
                                     return a.begin < b.begin;
                                   }),
                  p);
  }
}

}  // namespace

MemoryPlan PlanMemory(const MemoryProblem& problem) {
  Blocks blocks(problem);
  MemoryPlan plan;
  for (const auto& alias : problem.aliases) blocks.JoinAlias(alias);
  for (const auto& wish : problem.places) plan.placed.push_back(blocks.TryPlace(wish));
  for (const auto& wish : problem.in_place) {
    plan.in_place.push_back(problem.reuse && blocks.TryInPlace(wish));
  }
  const size_t count = problem.values.size();
  std::vector<size_t> offsets(count, 0);
  LayOut(problem, blocks, &plan, &offsets);
  plan.locations.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const auto [block, offset] = blocks.Find(static_cast<int>(i));
    const bool arena = blocks.root(block).kind == Kind::kArena;
    plan.locations[i] = {arena ? -1 : block, offset + (arena ? offsets[block] : 0)};
    if (problem.values[i].kind == Kind::kArena) plan.naive_bytes += Align(problem.values[i].bytes);
  }
  for (const auto& alias : problem.aliases) {
    plan.naive_bytes -= Align(problem.values[alias.out].bytes);
  }
  return plan;
}

}  // namespace tributary
