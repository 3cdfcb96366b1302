#include "distribute/ps/shard_checkpoint.h"

#include <cstring>

#include "core/io/bundle_reader.h"

namespace tributary::ps {
namespace {

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
  int64_t clock = 0;
  bool active = false, parked = false;
  int64_t head_start = 0;
  uint64_t highest = 0;
  std::string bits;
  template <class A>
  void serialize(A& a) {
    a(worker, generation, clock, active, parked, head_start, highest, bits);
  }
};
struct State {
  uint32_t version = 1;
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

std::string OwnName(int index, int shards, const std::string& name) {
  return fmt::format("_ps/shard-{:05d}-of-{:05d}/{}", index, shards, name);
}

Tensor Floats(std::span<const float> values, const Shape& shape) {
  Tensor t = Tensor::Empty(DType::kFloat32, shape);
  if (!values.empty()) std::memcpy(t.mutable_data<float>(), values.data(), values.size_bytes());
  return t;
}

Tensor Bytes(const void* data, size_t size) {
  Tensor t = Tensor::Empty(DType::kUint8, Shape{static_cast<int64_t>(size)});
  if (size) std::memcpy(t.mutable_data<uint8_t>(), data, size);
  return t;
}

// A table's rows as tensors: ids, values, each slot; with eviction seen and frequency.
struct TableImage {
  Tensor ids, seen, frequency;
  std::vector<std::pair<std::string, Tensor>> floats;
};

// Offsets and lengths of weights and slots within a row.
struct Field {
  std::string name;
  int64_t offset, length;
  bool per_row;
};
std::vector<Field> Fields(const EmbeddingTable& table) {
  std::vector<Field> fields = {{"values", 0, table.width(), false}};
  int64_t offset = table.width();
  for (const RuleSlot& slot : table.rule().slots) {
    fields.push_back({slot.name, offset, slot.per_row ? 1 : table.width(), slot.per_row});
    offset += fields.back().length;
  }
  return fields;
}

TableImage CopyTable(const EmbeddingTable& table) {
  const auto rows = static_cast<int64_t>(table.rows());
  TableImage image;
  image.ids = Tensor::Empty(DType::kInt64, Shape{rows});
  const bool evicts = table.spec().policy.has_eviction();
  if (evicts) {
    image.seen = Tensor::Empty(DType::kInt64, Shape{rows});
    image.frequency = Tensor::Empty(DType::kInt32, Shape{rows});
  }
  const std::vector<Field> fields = Fields(table);
  std::vector<float*> out;
  for (const Field& f : fields) {
    image.floats.emplace_back(
        f.name, Tensor::Empty(DType::kFloat32, f.per_row ? Shape{rows} : Shape{rows, f.length}));
    out.push_back(image.floats.back().second.mutable_data<float>());
  }
  int64_t r = 0;
  table.ForEachRow([&](const EmbeddingTable::SavedRow& row) {
    image.ids.mutable_data<int64_t>()[r] = static_cast<int64_t>(row.id);
    if (evicts) {
      image.seen.mutable_data<int64_t>()[r] = row.seen;
      image.frequency.mutable_data<int32_t>()[r] = static_cast<int32_t>(row.frequency);
    }
    for (size_t f = 0; f < fields.size(); ++f) {
      std::memcpy(out[f] + r * fields[f].length, row.values + fields[f].offset,
                  fields[f].length * sizeof(float));
    }
    ++r;
  });
  return image;
}

}  // namespace

struct ShardSnapshot::Impl {
  int index, shards;
  std::string state;
  struct Dense {
    std::string name;
    Shape full;
    int64_t begin;
    bool whole;  // a slot of one number
    Tensor part;
  };
  std::vector<Dense> dense;
  std::vector<std::pair<std::string, TableImage>> tables;
  std::vector<std::pair<std::string, Tensor>> admission;
};

ShardSnapshot::ShardSnapshot(Shard* shard, int index, int shards, uint64_t first_segment)
    : impl_(std::make_unique<Impl>()) {
  shard->Settle();
  impl_->index = index;
  impl_->shards = shards;
  State state{.applied_steps = shard->applied_steps(), .first_segment = first_segment};
  for (const auto& [id, v] : shard->variables()) {
    const VariableSpec& spec = v->spec();
    const Shape full(spec.shape);
    Shape part = full;
    if (part.rank() > 0) part.set_dim(0, spec.end - spec.begin);
    impl_->dense.push_back({spec.name, full, spec.begin, false, Floats(v->weights(), part)});
    for (size_t k = 0; k < v->rule().slots.size(); ++k) {
      const RuleSlot& slot = v->rule().slots[k];
      impl_->dense.push_back({spec.name + "/" + slot.name, full, spec.begin, slot.per_row,
                              Floats(v->slot(k), slot.per_row ? Shape{} : part)});
    }
    state.variables.push_back({spec, v->updates(), v->version()});
  }
  for (const auto& [id, t] : shard->tables()) {
    const EmbeddingTable::SavedState s = t->state();
    state.tables.push_back({t->spec(), s.updates, s.hands.room, s.hands.expired,
                            t->admission().since_halved(), s.idle_log});
    impl_->tables.emplace_back(t->spec().name, CopyTable(*t));
    const auto counters = t->admission().counters();
    if (!counters.empty()) {
      impl_->admission.emplace_back(t->spec().name, Bytes(counters.data(), counters.size()));
    }
  }
  for (const auto& [worker, e] : shard->ledger().entries()) {
    state.workers.push_back(
        {worker, e.generation, e.clock, e.active, e.parked, e.head_start, e.seen.highest(),
         e.seen.bits()});
  }
  impl_->state = Pack(state);
}

ShardSnapshot::~ShardSnapshot() = default;
ShardSnapshot::ShardSnapshot(ShardSnapshot&&) noexcept = default;

std::string ShardSnapshot::Write(Env* env, const std::string& prefix, uint64_t* bytes,
                                 int files) const {
  BundleShardWriter writer(env, prefix, impl_->index, files > 0 ? files : impl_->shards);
  for (const Impl::Dense& d : impl_->dense) {
    if (d.whole || d.full.rank() == 0) {
      writer.Add(d.name, d.part);
    } else {
      writer.AddRows(d.name, d.full, d.begin, d.part);
    }
  }
  for (const auto& [name, image] : impl_->tables) {
    writer.AddConcatenated(name + "/ids", image.ids);
    for (const auto& [field, tensor] : image.floats) {
      writer.AddConcatenated(name + "/" + field, tensor);
    }
    if (image.seen.dtype() == DType::kInt64) {
      writer.AddConcatenated(name + "/seen", image.seen);
      writer.AddConcatenated(name + "/frequency", image.frequency);
    }
  }
  for (const auto& [name, tensor] : impl_->admission) {
    writer.Add(OwnName(impl_->index, impl_->shards, name + "/admission"), tensor);
  }
  writer.Add(OwnName(impl_->index, impl_->shards, "state"),
             Bytes(impl_->state.data(), impl_->state.size()));
  std::string entries = writer.Finish();
  if (bytes) *bytes = static_cast<uint64_t>(writer.bytes());
  return entries;
}

// --- Restoring -----------------------------------------------------------------------

namespace {

State ReadState(const BundleReader& reader, int index, int shards) {
  const Tensor t = reader.Read(OwnName(index, shards, "state"));
  if (t.dtype() != DType::kUint8) {
    throw DataLossError("[ps] {}: the state of shard {} is {}", reader.prefix(), index,
                        DTypeName(t.dtype()));
  }
  return Unpack<State>({static_cast<const std::byte*>(t.raw_data()), t.bytes()},
                       "a shard's saved state");
}

// How many servers had written it: their state is numbered "of n".
int WrittenBy(const BundleReader& reader) {
  for (int n = 1; n <= 99999 && n <= reader.num_shards(); ++n) {
    if (reader.Has(OwnName(0, n, "state"))) return n;
  }
  throw NotFoundError("[ps] {} was not written by parameter servers", reader.prefix());
}

Tensor ReadAs(const BundleReader& reader, const std::string& name, DType dtype, int64_t elements) {
  Tensor t = reader.Read(name);
  if (t.dtype() != dtype || t.NumElements() != elements) {
    throw InvalidArgumentError("[ps] {}: '{}' is {} {}; expected {} elements of {}", reader.prefix(),
                               name, DTypeName(t.dtype()), t.shape().ToString(), elements,
                               DTypeName(dtype));
  }
  return t;
}

void RestoreVariable(const BundleReader& reader, DenseVariable* v) {
  const VariableSpec& spec = v->spec();
  const int64_t all = Shape(spec.shape).NumElements();
  const int64_t begin = spec.begin * spec.row_elements();
  const auto copy = [&](const std::string& name, std::span<float> out, int64_t elements) {
    const Tensor t = ReadAs(reader, name, DType::kFloat32, elements);
    const int64_t from = elements == all ? begin : 0;
    std::copy_n(t.data<float>() + from, out.size(), out.begin());
  };
  copy(spec.name, v->mutable_weights(), all);
  for (size_t k = 0; k < v->rule().slots.size(); ++k) {
    const RuleSlot& slot = v->rule().slots[k];
    copy(spec.name + "/" + slot.name, v->mutable_slot(k), slot.per_row ? 1 : all);
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

void RestoreOwn(const BundleReader& reader, const State& state, int index, int shards,
                Shard* shard) {
  for (const TableState& t : state.tables) {
    if (!shard->tables().contains(t.spec.id)) shard->CreateTable(t.spec);
  }
  for (const VariableState& v : state.variables) {
    if (!shard->variables().contains(v.spec.id)) shard->CreateVariable(v.spec);
  }
  for (const WorkerState& w : state.workers) {
    WorkerEntry& e = shard->ledger().entries()[w.worker];
    e = {.generation = w.generation, .clock = w.clock, .active = w.active, .parked = w.parked,
         .head_start = w.head_start, .seen = {}};
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
  const int written_by = WrittenBy(reader);
  const bool same = written_by == shards;
  const State state = ReadState(reader, same ? index : 0, written_by);
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
    for (const VariableState& v : ReadState(reader, i, written_by).variables) {
      counts[v.spec.name] = v;
    }
  }
  for (const auto& [id, variable] : shard->variables()) {
    RestoreVariable(reader, variable.get());
    const VariableState& v = counts[variable->spec().name];
    variable->RestoreCounts(v.updates, std::max<uint64_t>(v.version, 2));
  }
  return {same, state.first_segment};
}

}  // namespace tributary::ps
