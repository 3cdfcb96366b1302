#include "core/tensor/print_float.h"

#include <charconv>
#include <cstdlib>

namespace tributary::internal {
namespace {

constexpr int kPrecision = 8;

// "d.ddde[+-]xx" into digits and exponent.
Decimal FromScientific(double value, std::string_view text) {
  Decimal number{value, {}, 0};
  const size_t e = text.find('e');
  for (const char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') number.digits += c;
  }
  while (number.digits.size() > 1 && number.digits.back() == '0') number.digits.pop_back();
  number.exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  return number;
}

template <typename T>
Decimal Shortest(T value) {
  if (!std::isfinite(value)) return {static_cast<double>(value), {}, 0};
  char text[64];
  const auto end = std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific);
  return FromScientific(value, {text, static_cast<size_t>(end.ptr - text)});
}

std::string Sign(const Decimal& number) { return std::signbit(number.value) ? "-" : ""; }

void TrimZeros(std::string* text) {
  while (text->back() == '0') text->pop_back();
}

// "-12.5" or "3.": always with a point, at most `precision` digits after it.
std::string Positional(const Decimal& number, int precision) {
  const int count = static_cast<int>(number.digits.size());
  if (count - 1 - number.exponent > precision) {
    std::string text = fmt::format("{:.{}f}", number.value, precision);
    TrimZeros(&text);
    return text;
  }
  std::string text = number.digits;
  if (number.exponent < 0) text.insert(0, -number.exponent, '0');
  const size_t point = std::max(number.exponent, 0) + 1;
  if (text.size() < point) text.append(point - text.size(), '0');
  text.insert(point, 1, '.');
  if (text.find_first_not_of('0', point + 1) == std::string::npos) text.resize(point + 1);
  return Sign(number) + text;
}

struct Mantissa {
  std::string text;  // "-1.25", "3."
  int exponent;
};

// The exact value rounded to `precision` digits after the point.
Mantissa Rounded(double value, int precision) {
  const std::string text = fmt::format("{:#.{}e}", value, precision);
  const size_t e = text.find('e');
  return {text.substr(0, e), std::atoi(text.c_str() + e + 1)};
}

Mantissa Scientific(const Decimal& number, int precision) {
  if (static_cast<int>(number.digits.size()) - 1 > precision) {
    Mantissa result = Rounded(number.value, precision);
    TrimZeros(&result.text);
    return result;
  }
  return {Sign(number) + number.digits.substr(0, 1) + "." + number.digits.substr(1),
          number.exponent};
}

std::string NonFinite(double value) {
  if (std::isnan(value)) return "nan";
  return value < 0 ? "-inf" : "inf";
}

std::string ExponentText(int exponent, int digits) {
  return fmt::format("e{}{:0{}}", exponent < 0 ? '-' : '+', std::abs(exponent), digits);
}

}  // namespace

Decimal ToDecimal(float value) { return Shortest(value); }
Decimal ToDecimal(double value) { return Shortest(value); }

Decimal ToDecimal(Half value) {
  const float wide = static_cast<float>(value);
  if (!std::isfinite(wide)) return {wide, {}, 0};
  std::string text;
  for (int precision = 0; precision < 6; ++precision) {
    text = fmt::format("{:.{}e}", wide, precision);
    if (Half(std::strtof(text.c_str(), nullptr)) == value) break;
    // Below a power of two the neighbour is near: of a tie only the upper half may read back.
    text = fmt::format("{:.{}e}", wide * (1 + 1e-12), precision);
    if (Half(std::strtof(text.c_str(), nullptr)) == value) break;
  }
  return FromScientific(wide, text);
}

std::string ScalarText(const Decimal& number, double scientific_from) {
  if (number.digits.empty()) return NonFinite(number.value);
  const double magnitude = std::abs(number.value);
  if (magnitude != 0 && (magnitude < 1e-4 || magnitude >= scientific_from)) {
    Mantissa mantissa = Scientific(number, 1000);
    if (mantissa.text.back() == '.') mantissa.text.pop_back();
    return mantissa.text + ExponentText(mantissa.exponent, 2);
  }
  std::string text = Positional(number, 1000);
  return text.back() == '.' ? text + "0" : text;
}

FloatColumn::FloatColumn(const std::vector<Decimal>& numbers, double scientific_from,
                         double (*round)(double)) {
  double largest = 0;
  double smallest = INFINITY;
  for (const Decimal& n : numbers) {
    if (n.digits.empty() || n.value == 0) continue;
    largest = std::max(largest, std::abs(n.value));
    smallest = std::min(smallest, std::abs(n.value));
  }
  scientific_ = largest > 0 && (largest >= scientific_from || smallest < round(1e-4) ||
                                round(largest / smallest) > 1000);

  size_t non_finite = 0;
  for (const Decimal& n : numbers) {
    if (n.digits.empty()) {
      non_finite = std::max(non_finite, NonFinite(n.value).size());
      continue;
    }
    std::string text;
    if (scientific_) {
      Mantissa mantissa = Scientific(n, kPrecision);
      const int digits = static_cast<int>(std::to_string(std::abs(mantissa.exponent)).size());
      exponent_digits_ = std::max({exponent_digits_, digits, 2});
      text = std::move(mantissa.text);
    } else {
      text = Positional(n, kPrecision);
    }
    const size_t point = text.find('.');
    left_ = std::max(left_, point);
    right_ = std::max(right_, text.size() - point - 1);
  }
  if (scientific_) {
    precision_ = static_cast<int>(right_);
    right_ += exponent_digits_ + 2;
  }
  if (non_finite > left_ + right_ + 1) left_ = non_finite - right_ - 1;
}

std::string FloatColumn::Text(const Decimal& number) const {
  const size_t width = left_ + right_ + 1;
  if (number.digits.empty()) return fmt::format("{:>{}}", NonFinite(number.value), width);
  std::string text;
  if (scientific_) {
    // Past the shortest digits follow the real ones, not zeros.
    const bool fits = static_cast<int>(number.digits.size()) - 1 == precision_;
    const Mantissa mantissa =
        fits ? Scientific(number, precision_) : Rounded(number.value, precision_);
    text = mantissa.text + ExponentText(mantissa.exponent, exponent_digits_);
    return fmt::format("{:>{}}", text, width);
  }
  text = Positional(number, precision_);
  text.append(right_ - (text.size() - text.find('.') - 1), ' ');
  return fmt::format("{:>{}}", text, width);
}

}  // namespace tributary::internal
