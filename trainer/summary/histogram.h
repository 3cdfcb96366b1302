#pragma once
// Buckets of the histograms dashboard (tensorboard/plugins/histogram/summary_v2.py).

#include <vector>

#include "core/tensor/tensor.h"

namespace tributary {

// Float64 [buckets, 3]: left edge, right edge, count; the buckets join. No data:
// zeros. All values equal: every count in the last bucket. Values that are not
// finite are left out. Any numeric dtype.
Tensor HistogramBuckets(const Tensor& values, int buckets = 30);

}  // namespace tributary
