#pragma once
// What shard_checkpoint.cc writes and shard_restore.cc reads; nobody else includes it.

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "distribute/ps/shard.h"

namespace tributary::ps {

struct TableState {
  TableSpec spec;
  uint64_t updates = 0, room_hand = 0, expired_hand = 0, since_halved = 0;
  double idle_log = 0;
  template <class A>
  void serialize(A& a) {
    a(spec, updates, room_hand, expired_hand, since_halved, idle_log);
  }
};
struct VariableState {
  VariableSpec spec;
  uint64_t updates = 0, version = 0;
  template <class A>
  void serialize(A& a) {
    a(spec, updates, version);
  }
};
struct WorkerState {
  uint32_t worker = 0;
  uint64_t generation = 0;
  int64_t clock = 0, pace = 0;
  bool active = false, parked = false;
  uint64_t highest = 0;
  std::string bits;
  template <class A>
  void serialize(A& a) {
    a(worker, generation, clock, pace, active, parked, highest, bits);
  }
};
struct ShardState {
  static constexpr uint32_t kVersion = 2;
  uint32_t version = kVersion;
  int64_t applied_steps = 0;
  uint64_t first_segment = 0;
  std::vector<TableState> tables;
  std::vector<VariableState> variables;
  std::vector<WorkerState> workers;
  template <class A>
  void serialize(A& a) {
    a(version, applied_steps, first_segment, tables, variables, workers);
  }
};

inline std::string OwnName(int index, int shards, const std::string& name) {
  return fmt::format("_ps/shard-{:05d}-of-{:05d}/{}", index, shards, name);
}

// Of the variable's part that begins there, where a shard stands alone.
inline std::string PartName(const std::string& variable, int64_t begin) {
  return fmt::format("{}@{}", variable, begin);
}

// Offsets and lengths of weights and slots within a row.
struct Field {
  std::string name;
  int64_t offset, length;
  bool per_row;
};
inline std::vector<Field> Fields(const EmbeddingTable& table) {
  std::vector<Field> fields = {{"values", 0, table.width(), false}};
  int64_t offset = table.width();
  for (const RuleSlot& slot : table.rule().slots) {
    fields.push_back({slot.name, offset, slot.per_row ? 1 : table.width(), slot.per_row});
    offset += fields.back().length;
  }
  return fields;
}

}  // namespace tributary::ps
