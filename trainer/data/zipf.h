#pragma once
// Numbers from 0 with probability proportional to (k + 1)^-exponent.

#include <cstdint>

namespace tributary::data {

// By rejection-inversion (Hoermann and Derflinger 1996): a few logarithms a number,
// whatever the range.
class Zipf {
 public:
  // exponent > 0, count >= 1.
  Zipf(int64_t count, double exponent);

  // A function of (seed, stream, index) alone.
  int64_t At(uint64_t seed, uint64_t stream, uint64_t index) const;

 private:
  double Integral(double x) const;         // of x^-exponent
  double InverseIntegral(double y) const;
  double Density(double x) const;

  double count_, exponent_;
  double from_, to_, shortcut_;
};

}  // namespace tributary::data
