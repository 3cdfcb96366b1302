#pragma once
// What a server is told of a variable or an embedding table when it is created. Plain
// data: travels by cereal and stands in checkpoints.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/option_node.h"
#include "core/base/options.h"

namespace tributary::ps {

// A registered thing by name, options as text: {"Adam", {{"beta_1", "0.9"}}}.
struct NamedOptions {
  std::string name;
  std::vector<std::pair<std::string, std::string>> values;

  OptionNode ToNode() const {
    OptionNode::Map map;
    for (const auto& [key, text] : values) map.push_back({key, OptionNode::Plain{text}});
    return OptionNode(std::move(map));
  }
  template <class Archive>
  void serialize(Archive& a) {
    a(name, values);
  }
  friend bool operator==(const NamedOptions&, const NamedOptions&) = default;
};

// What `table` is called, with those values of `options` that it knows, as text.
NamedOptions Matching(const OptionTable& table, const Options& options);

// When an id gets a row, and when it loses it. All of it counts updates of the table,
// never time, so that a replay does the same.
struct RowPolicy {
  uint32_t admit_after = 0;        // pushes of an id before the one that creates its row
  double admit_probability = 1;    // of each push of an id without a row
  uint64_t admission_counters = 1 << 20;  // bytes of the counting filter of admit_after
  uint32_t evict_after = 0;        // updates without the row in them; 0: never
  uint32_t min_frequency = 0;      // rows pushed less often within `grace` updates go
  uint32_t grace = 10000;
  uint64_t max_bytes = 0;          // of rows and index; 0: no cap. At the cap the
                                   // longest unused of sixteen rows makes room
  bool has_admission() const { return admit_after > 0 || admit_probability < 1; }
  bool has_eviction() const { return evict_after > 0 || min_frequency > 0 || max_bytes > 0; }

  template <class Archive>
  void serialize(Archive& a) {
    a(admit_after, admit_probability, admission_counters, evict_after, min_frequency, grace,
      max_bytes);
  }
  friend bool operator==(const RowPolicy&, const RowPolicy&) = default;
};

struct TableSpec {
  uint32_t id = 0;
  std::string name;
  int64_t width = 0;  // of a row: the embedding's output_dim
  NamedOptions optimizer{"SGD", {}};
  NamedOptions initializer{"RandomUniform", {}};
  uint64_t seed = 0;
  RowPolicy policy;
  uint64_t expected_rows = 0;  // a hint: the index is sized for them at once

  template <class Archive>
  void serialize(Archive& a) {
    a(id, name, width, optimizer, initializer, seed, policy, expected_rows);
  }
  friend bool operator==(const TableSpec&, const TableSpec&) = default;
};

// One part of a dense variable: rows [begin, end) of axis 0, whole where it has no axis.
struct VariableSpec {
  uint32_t id = 0;  // of the part; unique on its server
  std::string name;
  std::vector<int64_t> shape;  // of the whole variable
  int64_t begin = 0, end = 0;
  NamedOptions optimizer{"SGD", {}};
  bool trainable = true;

  int64_t row_elements() const {
    int64_t n = 1;
    for (size_t i = 1; i < shape.size(); ++i) n *= shape[i];
    return n;
  }
  int64_t elements() const { return (end - begin) * row_elements(); }
  template <class Archive>
  void serialize(Archive& a) {
    a(id, name, shape, begin, end, optimizer, trainable);
  }
  friend bool operator==(const VariableSpec&, const VariableSpec&) = default;
};

}  // namespace tributary::ps
