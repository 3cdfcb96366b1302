#include "trainer/summary/histogram.h"

namespace tributary {

Tensor HistogramBuckets(const Tensor& values, int buckets) {
  std::vector<double> finite;
  finite.reserve(values.NumElements());
  DispatchPlain(values.dtype(), "histogram", [&](auto zero) {
    using T = decltype(zero);
    for (const T& v : values.values<T>()) {
      double wide;
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        wide = static_cast<double>(static_cast<float>(v));
      } else {
        wide = static_cast<double>(v);
      }
      if (std::isfinite(wide)) finite.push_back(wide);
    }
  });
  Tensor table = Tensor::Zeros(DType::kFloat64, {buckets, 3});
  if (finite.empty() || buckets < 1) return table;
  auto* rows = table.mutable_data<double>();
  const auto [low, high] = std::minmax_element(finite.begin(), finite.end());
  const double min = *low;
  const double max = *high;
  if (min == max) {
    for (int i = 0; i < buckets; ++i) {
      rows[3 * i] = min - 0.5;
      rows[3 * i + 1] = max + 0.5;
    }
    rows[3 * buckets - 1] = static_cast<double>(finite.size());
    return table;
  }
  // Halves first: max - min may overflow.
  const double width = max / buckets - min / buckets;
  for (int i = 0; i < buckets; ++i) {
    rows[3 * i] = min + width * i;
    rows[3 * i + 1] = i + 1 == buckets ? max : min + width * (i + 1);
  }
  for (const double v : finite) {
    const double position = (v / width) - (min / width);
    const int bucket = std::clamp(static_cast<int>(position), 0, buckets - 1);
    rows[3 * bucket + 2] += 1;
  }
  return table;
}

}  // namespace tributary
