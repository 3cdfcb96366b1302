// A shard's own part of a checkpoint, taken back.

#include <cstring>

#include "core/io/bundle_reader.h"
#include "distribute/ps/shard_checkpoint.h"
#include "distribute/ps/shard_image.h"

namespace tributary::ps {
namespace {

ShardState ReadState(const BundleReader& reader, int index, int shards) {
  const Tensor t = reader.Read(OwnName(index, shards, "state"));
  if (t.dtype() != DType::kUint8) {
    throw DataLossError("[ps] {}: the state of shard {} is {}", reader.prefix(), index,
                        DTypeName(t.dtype()));
  }
  auto state = Unpack<ShardState>({static_cast<const std::byte*>(t.raw_data()), t.bytes()},
                                  "a shard's saved state");
  if (state.version != ShardState::kVersion) {
    throw UnimplementedError("[ps] {}: the state of shard {} is of version {}; this program reads "
                             "{}: go on with the one that wrote it", reader.prefix(), index,
                             state.version, ShardState::kVersion);
  }
  return state;
}

bool IsAlone(const BundleReader& reader, int index, int shards) {
  return reader.Has(OwnName(index, shards, "alone"));
}

// How many servers had written it: their state is numbered "of n".
int WrittenBy(const BundleReader& reader, int index, int shards) {
  if (IsAlone(reader, index, shards)) return shards;
  for (int n = 1; n <= 99999 && n <= reader.num_shards(); ++n) {
    if (reader.Has(OwnName(0, n, "state"))) return n;
  }
  throw NotFoundError("[ps] {} was not written by parameter servers", reader.prefix());
}

Tensor ReadAs(const BundleReader& reader, const std::string& name, DType dtype, int64_t elements) {
  Tensor t = reader.Read(name);
  if (t.dtype() != dtype || t.NumElements() != elements) {
    throw InvalidArgumentError("[ps] {}: '{}' is {} {}; expected {} elements of {}",
                               reader.prefix(), name, DTypeName(t.dtype()), t.shape().ToString(),
                               elements, DTypeName(dtype));
  }
  return t;
}

void RestoreVariable(const BundleReader& reader, bool alone, DenseVariable* v) {
  const VariableSpec& spec = v->spec();
  const auto own = static_cast<int64_t>(v->weights().size());
  const int64_t all = alone ? own : Shape(spec.shape).NumElements();
  const int64_t begin = alone ? 0 : spec.begin * spec.row_elements();
  const std::string name = alone ? PartName(spec.name, spec.begin) : spec.name;
  const auto copy = [&](const std::string& tensor, std::span<float> out, int64_t elements) {
    const Tensor t = ReadAs(reader, tensor, DType::kFloat32, elements);
    const int64_t from = elements == all ? begin : 0;
    std::copy_n(t.data<float>() + from, out.size(), out.begin());
  };
  copy(name, v->mutable_weights(), all);
  for (size_t k = 0; k < v->rule().slots.size(); ++k) {
    const RuleSlot& slot = v->rule().slots[k];
    copy(name + "/" + slot.name, v->mutable_slot(k), slot.per_row ? 1 : all);
  }
}

void RestoreTable(const BundleReader& reader, int index, int shards, EmbeddingTable* table) {
  const std::string& name = table->spec().name;
  const Tensor ids = reader.Read(name + "/ids");
  const int64_t rows = ids.NumElements();
  if (ids.dtype() != DType::kInt64) {
    throw InvalidArgumentError("[ps] {}: '{}/ids' is {}", reader.prefix(), name,
                               DTypeName(ids.dtype()));
  }
  const std::vector<Field> fields = Fields(*table);
  std::vector<Tensor> tensors;
  for (const Field& f : fields) {
    tensors.push_back(ReadAs(reader, name + "/" + f.name, DType::kFloat32, rows * f.length));
  }
  Tensor seen, frequency;
  const bool evicts = table->spec().policy.has_eviction() && reader.Has(name + "/seen");
  if (evicts) {
    seen = ReadAs(reader, name + "/seen", DType::kInt64, rows);
    frequency = ReadAs(reader, name + "/frequency", DType::kInt32, rows);
  }
  std::vector<float> row(table->row_floats());
  for (int64_t r = 0; r < rows; ++r) {
    const auto id = static_cast<uint64_t>(ids.data<int64_t>()[r]);
    if (ServerOfRow(id, shards) != index) continue;
    for (size_t f = 0; f < fields.size(); ++f) {
      std::memcpy(row.data() + fields[f].offset, tensors[f].data<float>() + r * fields[f].length,
                  fields[f].length * sizeof(float));
    }
    table->RestoreRow({id, row.data(),
                       evicts ? static_cast<uint32_t>(seen.data<int64_t>()[r]) : 0,
                       evicts ? static_cast<uint32_t>(frequency.data<int32_t>()[r]) : 0u});
  }
}

void RestoreOwn(const BundleReader& reader, const ShardState& state, int index, int shards,
                Shard* shard) {
  for (const TableState& t : state.tables) {
    if (!shard->tables().contains(t.spec.id)) shard->CreateTable(t.spec);
  }
  for (const VariableState& v : state.variables) {
    if (!shard->variables().contains(v.spec.id)) shard->CreateVariable(v.spec);
  }
  for (const WorkerState& w : state.workers) {
    WorkerEntry& e = shard->ledger().entries()[w.worker];
    e = {.generation = w.generation, .clock = w.clock, .pace = w.pace, .active = w.active,
         .parked = w.parked, .seen = {}};
    e.seen.Restore(w.highest, w.bits);
  }
  for (const TableState& t : state.tables) {
    const std::string name = OwnName(index, shards, t.spec.name + "/admission");
    if (!reader.Has(name)) continue;
    const Tensor counters = reader.Read(name);
    shard->table(t.spec.id).admission().Restore({counters.data<uint8_t>(), counters.bytes()},
                                                t.since_halved);
  }
}

}  // namespace

RestoredFrom RestoreShard(Env* env, const std::string& prefix, int index, int shards,
                          Shard* shard) {
  const BundleReader reader(env, prefix);
  const int written_by = WrittenBy(reader, index, shards);
  const bool same = written_by == shards, alone = IsAlone(reader, index, shards);
  const ShardState state = ReadState(reader, same ? index : 0, written_by);
  if (same) RestoreOwn(reader, state, index, shards, shard);
  shard->RestoreSteps(state.applied_steps);
  for (const auto& [id, table] : shard->tables()) {
    table->Clear();
    for (const TableState& t : state.tables) {
      if (t.spec.name != table->spec().name) continue;
      EmbeddingTable::SavedState s{.updates = t.updates, .idle_log = t.idle_log};
      if (same) s.hands = {t.room_hand, t.expired_hand};
      table->RestoreState(s);
    }
    RestoreTable(reader, index, shards, table.get());
  }
  // Parts of a variable may have been on any server.
  std::map<std::string, VariableState> counts;
  for (int i = 0; i < written_by; ++i) {
    if (alone && i != index) continue;
    for (const VariableState& v : ReadState(reader, i, written_by).variables) {
      counts[v.spec.name] = v;
    }
  }
  for (const auto& [id, variable] : shard->variables()) {
    RestoreVariable(reader, alone, variable.get());
    const VariableState& v = counts[variable->spec().name];
    variable->RestoreCounts(v.updates, std::max<uint64_t>(v.version, 2));
  }
  return {same, state.first_segment};
}

uint64_t FirstSegmentOf(Env* env, const std::string& prefix, int index, int shards) {
  return ReadState(BundleReader(env, prefix), index, shards).first_segment;
}

}  // namespace tributary::ps
