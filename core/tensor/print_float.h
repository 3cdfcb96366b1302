#pragma once
// Decimal text of floating point numbers as NumPy 2 prints them (numpy/_core/
// arrayprint.py, FloatingFormat, default options: precision 8, shortest digits
// that read back as the same number of the element's own type).

#include <string>
#include <vector>

#include "core/tensor/dtype.h"

namespace tributary::internal {

// A number and the shortest decimal digits that identify it in its own type:
// d.ddd x 10^exponent, sign kept in `value`.
struct Decimal {
  double value = 0;
  std::string digits;  // empty for NaN and infinities
  int exponent = 0;
};

Decimal ToDecimal(float value);
Decimal ToDecimal(double value);
Decimal ToDecimal(Half value);

// A lone number: "0.5", "1e-05", "nan". From `scientific_from` on (NumPy: 1e3
// for half, 1e6 for float, 1e16 for double) and below 1e-4 it has an exponent.
std::string ScalarText(const Decimal& number, double scientific_from);

// Numbers of one array share a notation and a width. `round`: to the nearest number of
// their type, in which NumPy compares them; `scientific_from`: 1e3 for half, 1e6 for
// float, 1e8 for double.
class FloatColumn {
 public:
  FloatColumn(const std::vector<Decimal>& numbers, double scientific_from,
              double (*round)(double));
  std::string Text(const Decimal& number) const;

 private:
  bool scientific_ = false;
  int precision_ = 8;
  int exponent_digits_ = 0;
  size_t left_ = 0;   // width before the point
  size_t right_ = 0;  // width after it
};

}  // namespace tributary::internal
