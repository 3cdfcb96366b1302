#pragma once
// A copy between two strided layouts, made ready once and run many times. Transpose,
// Tile, Slice, Pad, Concat and the like are all one of these.

#include <cstdint>
#include <vector>

#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace tributary {

// Copies element (i0, i1, ...) of `dims` from from[from_offset + sum(i * from_strides)]
// to to[to_offset + sum(i * to_strides)]; offsets and strides count elements. A source
// stride may be 0 (broadcast) or negative. The layouts must not overlap.
class StridedCopy {
 public:
  // Throws UnimplementedError when more than 16 dimensions can't be merged.
  StridedCopy(DType dtype, std::vector<int64_t> dims, std::vector<int64_t> from_strides,
              std::vector<int64_t> to_strides, int64_t from_offset = 0, int64_t to_offset = 0);

  // Safe from several threads; runs on the compute team when it is large.
  void operator()(const void* from, void* to) const;
  // Source and target agree wherever they start: a plain copy of all elements.
  bool IsContiguous() const { return outer_.empty() && inner_.from == 1 && inner_.to == 1; }

 private:
  struct Dim {
    int64_t size, from, to;
  };
  using RunFn = void (*)(const StridedCopy&, const void*, void*, int64_t, int64_t);
  template <typename T>
  static void RunRange(const StridedCopy& c, const void* from, void* to, int64_t begin,
                       int64_t end);
  template <typename T>
  void CopyInner(const T* from, T* to) const;

  std::vector<Dim> outer_;
  Dim middle_{1, 0, 0};  // of a blocked transpose: the source is contiguous along it
  Dim inner_{1, 1, 1};
  int64_t outer_count_ = 1;
  int64_t inner_count_ = 1;
  int64_t from_offset_, to_offset_;
  RunFn run_ = nullptr;
};

// Row-major strides of a fully defined shape.
inline std::vector<int64_t> DenseStrides(const Shape& shape) { return shape.Strides(); }

}  // namespace tributary
