#include "distribute/ps/placement.h"

#include <algorithm>
#include <numeric>

namespace tributary::ps {
namespace {

int64_t RowsOf(const VariableShape& v) { return v.shape.empty() ? 1 : v.shape[0]; }

int64_t BytesOfRow(const VariableShape& v) {
  int64_t n = v.bytes_per_element;
  for (size_t i = 1; i < v.shape.size(); ++i) n *= v.shape[i];
  return n;
}

[[maybe_unused]] const PartitionerRegistry::Registrar kFixed(
    Partitioners(),
    OptionTable{"Fixed", "Each variable in so many parts (tf FixedShardsPartitioner).",
                {Opt("num_shards").Int().Min(1).Required()}},
    [](const Options& o) -> Partitioner {
      return [n = o.Int("num_shards")](const VariableShape&, int) { return n; };
    });

[[maybe_unused]] const PartitionerRegistry::Registrar kMinSize(
    Partitioners(),
    OptionTable{"MinSize", "As many parts of at least so many bytes as there are servers (tf "
                "MinSizePartitioner).",
                {Opt("min_shard_bytes").Int().Min(1).Default(256 << 10),
                 Opt("max_shards").Int().Min(1)}},
    [](const Options& o) -> Partitioner {
      const int64_t most = o.Has("max_shards") ? o.Int("max_shards") : 0;
      return [least = o.Int("min_shard_bytes"), most](const VariableShape& v, int servers) {
        const int64_t parts = RowsOf(v) * BytesOfRow(v) / least;
        return std::clamp<int64_t>(parts, 1, most ? most : servers);
      };
    });

[[maybe_unused]] const PartitionerRegistry::Registrar kMaxSize(
    Partitioners(),
    OptionTable{"MaxSize", "Parts of at most so many bytes (tf MaxSizePartitioner).",
                {Opt("max_shard_bytes").Int().Min(1).Required(), Opt("max_shards").Int().Min(1)}},
    [](const Options& o) -> Partitioner {
      const int64_t most = o.Has("max_shards") ? o.Int("max_shards") : 0;
      return [largest = o.Int("max_shard_bytes"), most](const VariableShape& v, int) {
        const int64_t rows = std::max<int64_t>(1, largest / std::max<int64_t>(1, BytesOfRow(v)));
        const int64_t parts = std::max<int64_t>(1, (RowsOf(v) + rows - 1) / rows);
        return most ? std::min(parts, most) : parts;
      };
    });

}  // namespace

PartitionerRegistry& Partitioners() {
  static PartitionerRegistry registry("partitioner");
  return registry;
}

std::vector<PlacedPart> PlaceVariables(const std::vector<VariableShape>& variables, int servers,
                                       const Partitioner& partitioner) {
  if (servers < 1) throw InvalidArgumentError("[ps] {} servers; expected at least 1", servers);
  std::vector<PlacedPart> parts;
  std::vector<int64_t> bytes;
  for (size_t v = 0; v < variables.size(); ++v) {
    const int64_t rows = RowsOf(variables[v]);
    int64_t count = variables[v].divisible ? partitioner(variables[v], servers) : 1;
    count = std::clamp<int64_t>(count, 1, std::max<int64_t>(1, rows));
    for (int64_t p = 0; p < count; ++p) {
      parts.push_back({static_cast<int>(v), 0, rows * p / count, rows * (p + 1) / count});
      bytes.push_back((parts.back().end - parts.back().begin) * BytesOfRow(variables[v]));
    }
  }
  std::vector<size_t> order(parts.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return bytes[a] > bytes[b]; });
  std::vector<int64_t> load(servers);
  for (const size_t i : order) {
    const auto least = std::min_element(load.begin(), load.end());
    parts[i].server = static_cast<int>(least - load.begin());
    *least += bytes[i];
  }
  return parts;
}

}  // namespace tributary::ps
