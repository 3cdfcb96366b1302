#include "distribute/ps/embedding_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/errors.h"

namespace tributary::ps {
namespace {

// Without a cap: a reservation only, of which a process has room for some 500.
constexpr uint64_t kAddressSpace = uint64_t{1} << 38;
constexpr uint64_t kRowOverhead = 24;
constexpr uint64_t kHistoryLimit = 1 << 20;  // updates kept for idle rows

TableSpec Checked(TableSpec spec) {
  if (spec.width < 1 || spec.width > (1 << 16)) {
    throw InvalidArgumentError("[ps] table '{}' has rows of {} weights; expected 1 to 65536",
                               spec.name, spec.width);
  }
  const RowPolicy& p = spec.policy;
  if (!(p.admit_probability > 0 && p.admit_probability <= 1)) {
    throw InvalidArgumentError("[ps] table '{}': admit_probability is {}; expected above 0, up to 1",
                               spec.name, p.admit_probability);
  }
  if (p.admit_after > 200 || p.min_frequency > 200) {
    throw InvalidArgumentError("[ps] table '{}': admit_after and min_frequency go up to 200",
                               spec.name);
  }
  if (p.admission_counters < 64 || p.admission_counters > (uint64_t{1} << 34)) {
    throw InvalidArgumentError("[ps] table '{}': admission_counters is {}; expected 64 to 2^34",
                               spec.name, p.admission_counters);
  }
  return spec;
}

}  // namespace

EmbeddingTable::EmbeddingTable(TableSpec spec)
    : spec_(Checked(std::move(spec))),
      rule_(UpdateRules().Make(spec_.optimizer.name, spec_.optimizer.ToNode())),
      initializer_(RowInitializers().Make(spec_.initializer.name, spec_.initializer.ToNode())) {
  row_floats_ = spec_.width;
  for (const RuleSlot& slot : rule_.slots) row_floats_ += slot.per_row ? 1 : spec_.width;
  stride_ = row_floats_ + (rule_.idle_rows_change ? 1 : 0);
  const uint64_t row_bytes = static_cast<uint64_t>(stride_) * sizeof(float);
  max_rows_ = RowIndex::kNone - 1;
  uint64_t reserve = std::min(kAddressSpace, row_bytes * max_rows_);
  if (const uint64_t cap = spec_.policy.max_bytes) {
    max_rows_ = cap / (row_bytes + kRowOverhead);
    if (max_rows_ < 4 * kEvictCandidates) {
      throw InvalidArgumentError("[ps] table '{}': max_bytes {} holds {} rows; expected at least {}",
                                 spec_.name, cap, max_rows_, 4 * kEvictCandidates);
    }
    reserve = row_bytes * max_rows_;
  }
  max_rows_ = std::min(max_rows_, reserve / row_bytes);
  rows_ = MemoryMap::Reserve(reserve);
  if (spec_.policy.admit_after > 0) admission_ = AdmissionFilter(spec_.policy.admission_counters);
  if (spec_.expected_rows > 0) index_.Reserve(std::min(spec_.expected_rows, max_rows_));
  scratch_.resize(stride_);
  zeros_.resize(spec_.width);
}

uint64_t EmbeddingTable::bytes() const {
  return static_cast<uint64_t>(next_row_) * stride_ * sizeof(float) + index_.bytes() +
         seen_.capacity() * 4 + frequency_.capacity() + admission_.counters().size() +
         history_.bytes();
}

void EmbeddingTable::InitialWeights(uint64_t id, float* out) const {
  initializer_(spec_.seed, id, out, spec_.width);
  if (rule_.idle_rows_change && history_.total() != 0) {
    const auto kept = static_cast<float>(std::exp(history_.total()));
    for (int64_t i = 0; i < spec_.width; ++i) out[i] *= kept;
  }
}

void EmbeddingTable::CopyWeights(uint64_t id, uint32_t row_number, float* out) {
  const int64_t width = spec_.width;
  if (row_number == RowIndex::kNone) {
    if (spec_.policy.has_admission()) {
      std::fill(out, out + width, 0.0f);
    } else {
      InitialWeights(id, out);
    }
    return;
  }
  const float* row = Row(row_number);
  if (rule_.idle_rows_change) {
    std::memcpy(scratch_.data(), row, stride_ * sizeof(float));
    CatchUp(scratch_.data(), updates_);
    row = scratch_.data();
  }
  if (width == 16) {  // the commonest width, in registers
    std::memcpy(out, row, 64);
  } else {
    std::memcpy(out, row, width * sizeof(float));
  }
}

// Three stages a group of ids apart, so that what one stage asks of the memory is there
// when the next one comes: the bucket, the row, the copy.
void EmbeddingTable::Lookup(std::span<const uint64_t> ids, float* out) {
  const size_t count = ids.size(), groups = (count + kGroup - 1) / kGroup;
  uint64_t hashes[2][kGroup];
  uint32_t rows[2][kGroup];
  uint64_t hits = 0;
  for (size_t g = 0; g < groups + 2; ++g) {
    const auto range = [&](size_t group) {
      const size_t begin = std::min(group * kGroup, count);
      return ids.subspan(begin, std::min(count - begin, kGroup));
    };
    if (g < groups) {
      const auto group = range(g);
      for (size_t i = 0; i < group.size(); ++i) {
        index_.Prefetch(hashes[g % 2][i] = RowIndex::Hash(group[i]));
      }
    }
    if (g >= 2) {
      const auto group = range(g - 2);
      float* to = out + (g - 2) * kGroup * spec_.width;
      for (size_t i = 0; i < group.size(); ++i) {
        CopyWeights(group[i], rows[g % 2][i], to + i * spec_.width);
      }
    }
    if (g >= 1 && g <= groups) {
      const auto group = range(g - 1);
      for (size_t i = 0; i < group.size(); ++i) {
        const uint32_t row = index_.Find(hashes[(g - 1) % 2][i], group[i]);
        rows[(g - 1) % 2][i] = row;
        if (row == RowIndex::kNone) continue;
        PrefetchRow(row);
        ++hits;
      }
    }
  }
  counters_.lookups += count;
  counters_.hits += hits;
}

// --- Pushes ----------------------------------------------------------------------

uint32_t EmbeddingTable::Upto(const float* row) const {
  uint32_t update;
  std::memcpy(&update, row + row_floats_, sizeof(update));
  return update;
}

void EmbeddingTable::SetUpto(float* row, uint64_t update) const {
  const auto small = static_cast<uint32_t>(update);
  std::memcpy(row + row_floats_, &small, sizeof(small));
}

// Updates without a gradient: step by step while moments still move weights, then in
// one go.
void EmbeddingTable::CatchUp(float* row, uint64_t update) {
  const uint64_t from = std::max<uint64_t>(Upto(row), history_.base());
  if (from >= update) return;
  const int64_t width = spec_.width;
  const UpdateArrays arrays{.var = row, .slot0 = row + width, .slot1 = row + 2 * width,
                            .slot2 = row + 3 * width, .grad = zeros_.data()};
  const uint64_t exact = std::min<uint64_t>(update, from + rule_.idle_horizon);
  const UpdateNumbers numbers = rule_.numbers(from + 1, rule_.learning_rate);
  for (uint64_t u = from + 1; u <= exact; ++u) {
    rule_.update(arrays, history_.At(u, numbers), 0, width);
  }
  if (update > exact) {
    const auto kept = static_cast<float>(std::exp(history_.LogUpTo(update) - history_.LogUpTo(exact)));
    const auto rest = static_cast<int64_t>(update - exact);
    for (int64_t i = 0; i < width; ++i) row[i] *= kept;
    for (size_t k = 0; k < rule_.slots.size(); ++k) {
      const auto decay = static_cast<float>(rule_.idle_decay(static_cast<int>(k), rest));
      float* slot = row + width * (static_cast<int64_t>(k) + 1);
      for (int64_t i = 0; i < width; ++i) slot[i] *= decay;
    }
  }
  SetUpto(row, update);
}

void EmbeddingTable::Push(std::span<const uint64_t> ids, const float* grads,
                          double learning_rate) {
  const UpdateNumbers numbers = rule_.numbers(static_cast<int64_t>(updates_ + 1), learning_rate);
  const size_t count = ids.size(), groups = (count + kGroup - 1) / kGroup;
  Found found[2];
  for (size_t g = 0; g < groups + 2; ++g) {
    const auto range = [&](size_t group) {
      const size_t begin = std::min(group * kGroup, count);
      return ids.subspan(begin, std::min(count - begin, kGroup));
    };
    if (g < groups) {
      const auto group = range(g);
      for (size_t i = 0; i < group.size(); ++i) {
        index_.Prefetch(found[g % 2].hashes[i] = RowIndex::Hash(group[i]));
      }
    }
    if (g >= 2) {
      Update(found[g % 2], static_cast<int64_t>(range(g - 2).size()),
             grads + (g - 2) * kGroup * spec_.width, numbers);
    }
    if (g >= 1 && g <= groups) FindOrCreate(range(g - 1), &found[(g - 1) % 2]);
  }
  ++updates_;
  counters_.pushes += ids.size();
  if (rule_.idle_rows_change) {
    history_.Add(numbers);
    if (history_.size() >= kHistoryLimit) Settle();
  }
  SweepExpired();
}

void EmbeddingTable::FindOrCreate(std::span<const uint64_t> ids, Found* found) {
  const bool evicts = spec_.policy.has_eviction();
  for (size_t i = 0; i < ids.size(); ++i) {
    uint32_t row = index_.Find(found->hashes[i], ids[i]);
    if (row == RowIndex::kNone) {
      row = NewRow(found->hashes[i], ids[i]);
    } else {
      PrefetchRow(row);
    }
    found->rows[i] = row == RowIndex::kNone ? nullptr : Row(row);
    if (evicts && found->rows[i]) {
      seen_[row] = static_cast<uint32_t>(updates_ + 1);  // may not be evicted by this push
      if (frequency_[row] < 255) ++frequency_[row];
    }
  }
}

void EmbeddingTable::Update(const Found& found, int64_t count, const float* grads,
                            const UpdateNumbers& numbers) {
  float* const* rows = found.rows;
  for (int64_t begin = 0, end; begin < count; begin = end) {
    for (end = begin; end < count && rows[end]; ++end) {
      if (!rule_.idle_rows_change) continue;
      CatchUp(rows[end], updates_);
      SetUpto(rows[end], updates_ + 1);
    }
    if (end > begin) {
      rule_.update_rows({rows + begin, grads + begin * spec_.width, end - begin, spec_.width},
                        numbers);
    }
    while (end < count && !rows[end]) ++end;
  }
}

bool EmbeddingTable::Admitted(uint64_t id) {
  const RowPolicy& p = spec_.policy;
  if (p.admit_after > 0 && admission_.Count(id) < p.admit_after) return false;
  if (p.admit_probability >= 1) return true;
  const PhiloxBlock coin = PhiloxAt(MixSeed(spec_.seed, 0x61646d69), id, updates_);
  return UniformFloat(coin[0]) < p.admit_probability;
}

// Memory for one more row; its content is undefined.
uint32_t EmbeddingTable::TakeRow() {
  uint32_t row = free_row_;
  if (row != RowIndex::kNone) {
    std::memcpy(&free_row_, Row(row), sizeof(free_row_));
  } else {
    row = next_row_++;
    const size_t end = (static_cast<size_t>(row) + 1) * stride_ * sizeof(float);
    if (end > rows_.committed()) rows_.Commit(std::min(rows_.size(), end + (4 << 20)));
    if (spec_.policy.has_eviction()) {
      if (seen_.size() == seen_.capacity()) {  // in small steps: the overhead is bounded
        seen_.reserve(seen_.size() + seen_.size() / 16 + 64);
        frequency_.reserve(seen_.capacity());
      }
      seen_.push_back(0);
      frequency_.push_back(0);
    }
  }
  return row;
}

uint32_t EmbeddingTable::NewRow(uint64_t hash, uint64_t id) {
  if (spec_.policy.has_admission() && !Admitted(id)) {
    ++counters_.refused;
    return RowIndex::kNone;
  }
  if (index_.size() >= max_rows_ && !MakeRoom()) {
    ++counters_.no_room;
    return RowIndex::kNone;
  }
  const uint32_t row = TakeRow();
  float* values = Row(row);
  InitialWeights(id, values);
  float* slot = values + spec_.width;
  for (const RuleSlot& s : rule_.slots) {
    const int64_t n = s.per_row ? 1 : spec_.width;
    std::fill(slot, slot + n, s.initial);
    slot += n;
  }
  if (rule_.idle_rows_change) SetUpto(values, updates_);
  if (spec_.policy.has_eviction()) frequency_[row] = 0;
  index_.Insert(hash, id, row);
  ++counters_.created;
  return row;
}

}  // namespace tributary::ps
