#pragma once
// What workers and the chief say to a parameter server.
//
// Pulls and pushes, which are every step's business, have control parts of fixed
// layout (little-endian, like FrameHeader): StepControl, then PartControl for each
// part pushed, then for each part pulled. Their payload is the parts pushed, one after
// another, each padded to a multiple of 8 bytes:
//   dense   `count` values: the gradient of that part of the variable
//   rows    `count` ids (uint64), then count * width values
// and, for a pull of rows, after all pushed parts, `count` ids each. Ids that the server
// has from an earlier part, of this message or another one, may be left out (PartIds).
// The reply's control is StepReply and a PartReply for each part pulled; its payload
// their values, unpadded. All other kinds carry one struct by cereal (Pack, Unpack).
//
// Values have the part's encoding, those of a reply the one that was asked for:
//   0 float32    4 bytes each
//   1 bfloat16   2 bytes each
//   2 int8       a float32 scale for each group, then 1 byte each; a group is a row, or
//                256 elements of a dense part, counted from its beginning (wire_format.h)
//
// What changes a server (a join, a creation, a push) is numbered by its sender: the
// frame's (worker, generation, sequence) is applied exactly once, however often it comes.

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "core/base/errors.h"
#include "distribute/ps/table_spec.h"
#include "distribute/transport/pack.h"
#include "distribute/ps/wire_format.h"

namespace tributary::ps {

enum MessageKind : uint16_t {
  // These change the server, and stand in its log.
  kJoin = 1,        // JoinControl -> WorkerReply: the sender takes part from a step on
  kEvict,           // EvictControl -> WorkerReply: a worker no longer counts and is fenced
  kCreateTable,     // TableSpec; the same again is fine
  kCreateVariable,  // VariableSpec; the same again is fine
  kAssign,          // AssignControl; payload: the part's weights
  kPush,            // StepControl
  kPushPull,        // StepControl: a push, then a pull for the step after it
  kPark,            // ParkControl: a worker has nothing to do, or goes on
  // These do not.
  kPull = 32,       // StepControl
  kBarrier,         // BarrierControl: answered when all have come
  kSave,            // SaveControl -> SaveReply
  kCommit,          // CommitControl: a checkpoint is complete
  kRestore,         // RestoreControl
  kStats,           // -> ServerStats
};
inline bool Mutates(uint16_t kind) { return kind >= kJoin && kind <= kPark; }
inline bool IsPush(uint16_t kind) { return kind == kPush || kind == kPushPull; }

enum StepFlags : uint32_t {
  kEndOfStep = 1,  // the sender's last push of the step (to this server)
  kPushedBefore = 2,  // the step's gradients are here already: somebody who was lost had sent them
};

struct StepControl {
  int64_t step = 0;           // of the sender, from 0
  int64_t pace = 0;           // of what its gradients are computed from (shard.h)
  double learning_rate = -1;  // below 0: what the optimizer was created with
  uint32_t push_parts = 0, pull_parts = 0;
  uint32_t flags = 0;
  uint32_t list_seed = 0;  // of the signatures of its lists of ids
};
static_assert(sizeof(StepControl) == 40);

enum class PartKind : uint8_t { kDense = 0, kRows = 1 };

// Where the ids of rows are. Lists are kept for each worker that has joined, until its next
// life, a bounded number of them (key_lists.h). Who names one that is not there gets a
// NotFoundError, and nothing is changed: it says the same again with the ids.
enum class PartIds : uint16_t {
  kHere = 0,
  kHereToKeep = 1,  // kept if `version` is their signature
  kKept = 2,        // left out: `version` is their signature
};
// What a server throws then; it travels as the error that it is made from.
class UnknownListError : public NotFoundError {
 public:
  using NotFoundError::NotFoundError;
};

struct PartControl {
  uint32_t target = 0;  // id of a variable's part, or of a table
  PartKind kind = PartKind::kDense;
  WireFormat encoding = WireFormat::kFloat32;
  PartIds ids = PartIds::kHere;
  uint64_t count = 0;    // elements, or rows
  uint64_t version = 0;  // pull of a dense part: what the sender has; the same: not resent

  bool kept() const { return kind == PartKind::kRows && ids == PartIds::kKept; }
  // In the message.
  uint64_t id_bytes() const {
    return kind == PartKind::kRows && !kept() ? count * sizeof(uint64_t) : 0;
  }
};
static_assert(sizeof(PartControl) == 24);

enum ReplyFlags : uint32_t {
  kDuplicate = 1,  // the push was known already
  kLate = 2,       // its step was complete without it (backup workers): dropped
};

struct StepReply {
  int64_t applied_steps = 0;  // sync: complete steps; else: the slowest worker's pace
  int64_t pace = 0;           // that what is pulled counts as: the pull's or more
  uint32_t flags = 0;
  uint32_t parts = 0;
};
static_assert(sizeof(StepReply) == 24);

struct PartReply {
  uint64_t version = 0;
  uint64_t bytes = 0;  // in the payload; 0: unchanged
};

struct JoinControl {
  // Steps that it has behind it; sync: at least those that are complete. Its pace is that of the
  // slowest of the others.
  int64_t step = 0;
  template <class A>
  void serialize(A& a) {
    a(step);
  }
};

// Others do not wait for a worker that is parked (bounded staleness). When it goes on, or has
// caught up with others, its pace is `pace`: one number for all servers, where it was parked the
// largest that their replies to its parking (again) had. Servers that did not agree on who is
// ahead of whom would make two workers wait for each other.
struct ParkControl {
  bool parked = false;
  int64_t pace = 0;
  template <class A>
  void serialize(A& a) {
    a(parked, pace);
  }
};

struct EvictControl {
  uint32_t worker = 0;
  uint64_t generation = 0;  // the lowest that it may come back with
  template <class A>
  void serialize(A& a) {
    a(worker, generation);
  }
};

// Where a worker stands: the answer to its join, its parking, its eviction.
struct WorkerReply {
  int64_t clock = 0;          // steps it has done on this server
  int64_t applied_steps = 0;  // as in StepReply
  int64_t pace = 0;           // its own; of a parked worker: where it would go on
  template <class A>
  void serialize(A& a) {
    a(clock, applied_steps, pace);
  }
};

struct AssignControl {
  uint32_t target = 0;
  bool only_if_new = true;  // nothing was ever assigned or pushed
  template <class A>
  void serialize(A& a) {
    a(target, only_if_new);
  }
};

struct BarrierControl {
  std::string name;
  uint32_t count = 0;
  template <class A>
  void serialize(A& a) {
    a(name, count);
  }
};

struct SaveControl {
  std::string prefix;  // "<dir>/ckpt-12"
  int64_t step = 0;    // the cut: taken when so many steps are complete (async: at once)
  int files = 0;       // data files of the checkpoint, where others write some as well
  template <class A>
  void serialize(A& a) {
    a(prefix, step, files);
  }
};

struct SaveReply {
  std::string entries;  // for CommitBundleShards
  uint64_t bytes = 0;
  template <class A>
  void serialize(A& a) {
    a(entries, bytes);
  }
};

struct CommitControl {
  std::string prefix;
  template <class A>
  void serialize(A& a) {
    a(prefix);
  }
};

struct RestoreControl {
  std::string prefix;  // "": the server becomes empty
  template <class A>
  void serialize(A& a) {
    a(prefix);
  }
};

using tributary::AsBytes;
using tributary::Pack;
using tributary::Unpack;

// The fixed part of pulls and pushes; one object is used again and again.
struct StepMessage {
  StepControl control;
  std::vector<PartControl> parts;
  std::span<const PartControl> push() const { return {parts.data(), control.push_parts}; }
  std::span<const PartControl> pull() const {
    return {parts.data() + control.push_parts, control.pull_parts};
  }
  // Throws InvalidArgumentError when the lengths do not match.
  void Parse(std::span<const std::byte> control);
};

inline uint64_t Padded8(uint64_t bytes) { return (bytes + 7) & ~uint64_t{7}; }

}  // namespace tributary::ps
