#include "distribute/ps/shard_checkpoint.h"

#include <cstring>

#include "distribute/ps/shard_image.h"

namespace tributary::ps {
namespace {

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
    std::string variable, slot;  // "": weights; else "/momentum"
    Shape full;
    int64_t begin;
    bool whole;  // a slot of one number
    Tensor part;
  };
  std::vector<Dense> dense;
  std::vector<std::pair<std::string, TableImage>> tables;
  std::vector<std::pair<std::string, Tensor>> admission;

  void AddTo(BundleShardWriter* writer, bool alone, const std::stop_token& stop) const;
};

ShardSnapshot::ShardSnapshot(Shard* shard, int index, int shards, uint64_t first_segment)
    : impl_(std::make_unique<Impl>()) {
  shard->Settle();
  impl_->index = index;
  impl_->shards = shards;
  ShardState state{.applied_steps = shard->applied_steps(), .first_segment = first_segment};
  for (const auto& [id, v] : shard->variables()) {
    const VariableSpec& spec = v->spec();
    const Shape full(spec.shape);
    Shape part = full;
    if (part.rank() > 0) part.set_dim(0, spec.end - spec.begin);
    impl_->dense.push_back({spec.name, "", full, spec.begin, false, Floats(v->weights(), part)});
    for (size_t k = 0; k < v->rule().slots.size(); ++k) {
      const RuleSlot& slot = v->rule().slots[k];
      impl_->dense.push_back({spec.name, "/" + slot.name, full, spec.begin, slot.per_row,
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
        {worker, e.generation, e.clock, e.pace, e.active, e.parked, e.seen.highest(),
         e.seen.bits()});
  }
  impl_->state = Pack(state);
}

ShardSnapshot::~ShardSnapshot() = default;
ShardSnapshot::ShardSnapshot(ShardSnapshot&&) noexcept = default;

void ShardSnapshot::Impl::AddTo(BundleShardWriter* writer, bool alone,
                                const std::stop_token& stop) const {
  const auto go_on = [&] {
    if (stop.stop_requested()) throw AbortedError("[ps] a copy of shard {} was not wanted", index);
  };
  for (const Dense& d : dense) {
    go_on();
    if (alone) {
      writer->Add(PartName(d.variable, d.begin) + d.slot, d.part);
    } else if (d.whole || d.full.rank() == 0) {
      writer->Add(d.variable + d.slot, d.part);
    } else {
      writer->AddRows(d.variable + d.slot, d.full, d.begin, d.part);
    }
  }
  const auto add = [&](const std::string& name, const Tensor& tensor) {
    go_on();
    writer->AddConcatenated(name, tensor);
  };
  for (const auto& [name, image] : tables) {
    add(name + "/ids", image.ids);
    for (const auto& [field, tensor] : image.floats) add(name + "/" + field, tensor);
    if (image.seen.dtype() == DType::kInt64) {
      add(name + "/seen", image.seen);
      add(name + "/frequency", image.frequency);
    }
  }
  for (const auto& [name, tensor] : admission) {
    writer->Add(OwnName(index, shards, name + "/admission"), tensor);
  }
  writer->Add(OwnName(index, shards, "state"), Bytes(state.data(), state.size()));
  if (alone) writer->Add(OwnName(index, shards, "alone"), Bytes("1", 1));
}

std::string ShardSnapshot::Write(Env* env, const std::string& prefix, uint64_t* bytes,
                                 int files) const {
  BundleShardWriter writer(env, prefix, impl_->index, files > 0 ? files : impl_->shards);
  impl_->AddTo(&writer, false, {});
  std::string entries = writer.Finish();
  if (bytes) *bytes = static_cast<uint64_t>(writer.bytes());
  return entries;
}

void ShardSnapshot::WriteAlone(Env* env, const std::string& prefix,
                               const std::stop_token& stop) const {
  BundleShardWriter writer(env, prefix, 0, 1);
  impl_->AddTo(&writer, true, stop);
  CommitBundleShards(env, prefix, {writer.Finish()});
}

}  // namespace tributary::ps
