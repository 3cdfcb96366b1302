#include "ops/array/strided_copy.h"

#include "core/base/copy_small.h"
#include "core/base/parallel.h"

namespace tributary {
namespace {

constexpr int kMaxDims = 16;
constexpr int64_t kGrainElements = 1 << 15;
constexpr int64_t kTile = 16;

}  // namespace

StridedCopy::StridedCopy(DType dtype, std::vector<int64_t> dims,
                         std::vector<int64_t> from_strides, std::vector<int64_t> to_strides,
                         int64_t from_offset, int64_t to_offset)
    : from_offset_(from_offset), to_offset_(to_offset) {
  std::vector<Dim> merged;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    const Dim dim{dims[i], from_strides[i], to_strides[i]};
    if (!merged.empty() && merged.back().from == dim.from * dim.size &&
        merged.back().to == dim.to * dim.size) {
      merged.back() = {merged.back().size * dim.size, dim.from, dim.to};
    } else {
      merged.push_back(dim);
    }
  }
  if (!merged.empty()) {
    inner_ = merged.back();
    merged.pop_back();
  }
  // Source rows that are contiguous along another dimension: copy in tiles.
  if (inner_.from != 1 && inner_.from != 0 && inner_.to == 1) {
    const auto it = std::find_if(merged.begin(), merged.end(),
                                 [](const Dim& d) { return d.from == 1 && d.size >= 4; });
    if (it != merged.end()) {
      middle_ = *it;
      merged.erase(it);
    }
  }
  outer_ = std::move(merged);
  if (outer_.size() > kMaxDims) {
    throw UnimplementedError("[copy] more than {} dimensions", kMaxDims);
  }
  for (const Dim& dim : outer_) outer_count_ *= dim.size;
  inner_count_ = inner_.size * middle_.size;
  if (inner_count_ == 0) outer_count_ = 0;
  switch (dtype == DType::kString ? 0 : DTypeSize(dtype)) {
    case 0: run_ = RunRange<std::string>; break;
    case 1: run_ = RunRange<uint8_t>; break;
    case 2: run_ = RunRange<uint16_t>; break;
    case 4: run_ = RunRange<uint32_t>; break;
    default: run_ = RunRange<uint64_t>; break;
  }
}

void StridedCopy::operator()(const void* from, void* to) const {
  if (outer_count_ == 0) return;
  const int64_t grain = std::max<int64_t>(1, kGrainElements / inner_count_);
  ParallelFor(outer_count_, grain, [&](int64_t begin, int64_t end) {
    run_(*this, from, to, begin, end);
  });
}

template <typename T>
void StridedCopy::CopyInner(const T* from, T* to) const {
  const int64_t n = inner_.size;
  if (middle_.size > 1) {
    for (int64_t i0 = 0; i0 < middle_.size; i0 += kTile) {
      const int64_t i1 = std::min(i0 + kTile, middle_.size);
      for (int64_t j0 = 0; j0 < n; j0 += kTile) {
        const int64_t j1 = std::min(j0 + kTile, n);
        for (int64_t i = i0; i < i1; ++i) {
          for (int64_t j = j0; j < j1; ++j) to[i * middle_.to + j] = from[i + j * inner_.from];
        }
      }
    }
  } else if (inner_.from == 1 && inner_.to == 1) {
    if constexpr (std::is_trivially_copyable_v<T>) {
      CopySmall(to, from, n * sizeof(T));
    } else {
      std::copy_n(from, n, to);
    }
  } else if (inner_.from == 0 && inner_.to == 1) {
    std::fill_n(to, n, *from);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * inner_.to] = from[i * inner_.from];
  }
}

template <typename T>
void StridedCopy::RunRange(const StridedCopy& c, const void* from_base, void* to_base,
                           int64_t begin, int64_t end) {
  const T* from = static_cast<const T*>(from_base) + c.from_offset_;
  T* to = static_cast<T*>(to_base) + c.to_offset_;
  const int rank = static_cast<int>(c.outer_.size());
  int64_t index[kMaxDims];
  int64_t rest = begin;
  for (int d = rank - 1; d >= 0; --d) {
    index[d] = rest % c.outer_[d].size;
    rest /= c.outer_[d].size;
    from += index[d] * c.outer_[d].from;
    to += index[d] * c.outer_[d].to;
  }
  for (int64_t i = begin; i < end; ++i) {
    c.CopyInner(from, to);
    for (int d = rank - 1; d >= 0; --d) {
      const Dim& dim = c.outer_[d];
      from += dim.from;
      to += dim.to;
      if (++index[d] < dim.size) break;
      from -= dim.size * dim.from;
      to -= dim.size * dim.to;
      index[d] = 0;
    }
  }
}

}  // namespace tributary
