#include "trainer/data/zipf.h"

#include <algorithm>
#include <cmath>

#include "core/base/philox.h"

namespace tributary::data {
namespace {

// expm1(t) / t and log1p(t) / t, also near 0.
double ExpRatio(double t) { return std::abs(t) > 1e-8 ? std::expm1(t) / t : 1 + t / 2; }
double LogRatio(double t) { return std::abs(t) > 1e-8 ? std::log1p(t) / t : 1 - t / 2; }

double Uniform(const PhiloxBlock& block, int half) {
  const uint64_t bits = (uint64_t{block[2 * half]} << 32 | block[2 * half + 1]) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

}  // namespace

Zipf::Zipf(int64_t count, double exponent)
    : count_(static_cast<double>(count)), exponent_(exponent),
      from_(Integral(1.5) - 1), to_(Integral(count_ + 0.5)),
      shortcut_(2 - InverseIntegral(Integral(2.5) - Density(2))) {}

double Zipf::Integral(double x) const {
  const double log_x = std::log(x);
  return ExpRatio((1 - exponent_) * log_x) * log_x;
}

double Zipf::InverseIntegral(double y) const {
  const double t = std::max(-1.0, y * (1 - exponent_));
  return std::exp(LogRatio(t) * y);
}

double Zipf::Density(double x) const { return std::exp(-exponent_ * std::log(x)); }

int64_t Zipf::At(uint64_t seed, uint64_t stream, uint64_t index) const {
  for (uint64_t attempt = 0;; ++attempt) {
    const PhiloxBlock block = PhiloxAt(seed, stream + (attempt << 32), index);
    for (const int half : {0, 1}) {
      const double u = to_ + Uniform(block, half) * (from_ - to_);
      const double x = InverseIntegral(u);
      const double k = std::clamp(std::floor(x + 0.5), 1.0, count_);
      if (k - x <= shortcut_ || u >= Integral(k + 0.5) - Density(k)) {
        return static_cast<int64_t>(k) - 1;
      }
    }
  }
}

}  // namespace tributary::data
