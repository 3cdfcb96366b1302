#pragma once
// Memory planning: where every tensor of a plan lies.
//
// A pure algorithm over numbers; it knows no graph and no kernel. Values are
// defined at one step and used at others. Values that may share memory are
// joined into blocks (aliases, parts placed inside a whole, outputs written over
// dead inputs); then blocks get offsets in one arena, largest first, each into
// the tightest gap that is free during its whole life. (Greedy by size, as in
// Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
// Inference", 2020.)

#include <cstddef>
#include <vector>

namespace tributary {

// Every block starts at a multiple of this.
inline constexpr size_t kArenaAlignment = 64;

struct MemoryProblem {
  // Whose memory a value has before anything is joined.
  enum class Kind {
    kArena,   // to be laid out
    kFixed,   // lies elsewhere and must not be written over (feed, constant, variable)
    kBucket,  // lies elsewhere and is this value's alone: parts may be placed
              // inside, and it may be written over when dead
  };
  struct Value {
    size_t bytes = 0;
    int defined = 0;        // step that writes it
    int last_use = 0;       // last step that reads it; at least `defined`
    Kind kind = Kind::kArena;
    bool keep = false;      // stable: its memory serves nothing else, ever
  };
  // `out` is the same memory as `in`.
  struct Alias {
    int out, in;
  };
  // `value` should lie at `offset` inside `parent`, which step `step` completes.
  struct Place {
    int value, parent;
    size_t offset;
    int step;
  };
  // `out` may lie over `in`, which the same step reads (up to `step`), unless one
  // of that step's other inputs is the same memory.
  struct InPlace {
    int out, in, step;
    std::vector<int> others;
  };

  std::vector<Value> values;
  std::vector<Alias> aliases;
  std::vector<Place> places;      // wishes, granted in this order where possible
  std::vector<InPlace> in_place;  // wishes, after places
  bool reuse = true;              // false: no sharing in time, no in-place
};

struct MemoryPlan {
  struct Location {
    int base = -1;        // value whose memory it is (kFixed, kBucket), or -1: the arena
    size_t offset = 0;    // from the base
  };
  std::vector<Location> locations;  // one a value
  std::vector<bool> placed;         // one a wish in MemoryProblem::places
  std::vector<bool> in_place;       // one a wish in MemoryProblem::in_place
  size_t arena_bytes = 0;
  size_t naive_bytes = 0;           // a buffer for every kArena value that is no alias
};

MemoryPlan PlanMemory(const MemoryProblem& problem);

}  // namespace tributary
