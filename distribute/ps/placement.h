#pragma once
// Which part of which dense variable lives on which server.
//
// Partitioners cut a variable along axis 0 (tf.distribute.experimental.partitioners:
// FixedShards, MinSize, MaxSize). Placement balances bytes: the largest part first, each
// to the server with the fewest bytes so far (ties: the lower number). Deterministic, so
// that every process computes the same plan.

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/option_registry.h"
#include "distribute/ps/table_spec.h"

namespace tributary::ps {

struct VariableShape {
  std::string name;
  std::vector<int64_t> shape;
  // False: an optimizer with norms needs it whole (NamedUpdateRule::elementwise).
  bool divisible = true;
  int64_t bytes_per_element = 4;  // with slots
};

// In how many parts a variable is cut, for `servers` servers.
using Partitioner = std::function<int64_t(const VariableShape& variable, int servers)>;
using PartitionerRegistry = OptionRegistry<Partitioner(const Options&)>;
// "Fixed" {num_shards}, "MinSize" {min_shard_bytes, max_shards}, "MaxSize"
// {max_shard_bytes, max_shards}, as TensorFlow's.
PartitionerRegistry& Partitioners();
// A Partitioner: each variable in one part.
inline int64_t Whole(const VariableShape&, int) { return 1; }

struct PlacedPart {
  int variable = 0;  // index into the list given
  int server = 0;
  int64_t begin = 0, end = 0;  // rows of axis 0; a scalar is [0, 1)
};

// In the order of the variables, then of `begin`. Parts differ by one row at most.
std::vector<PlacedPart> PlaceVariables(const std::vector<VariableShape>& variables, int servers,
                                       const Partitioner& partitioner);

}  // namespace tributary::ps
