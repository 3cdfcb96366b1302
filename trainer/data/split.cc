#include "trainer/data/split.h"

#include <algorithm>
#include <charconv>

#include "core/base/errors.h"
#include "core/base/strings.h"

namespace tributary::data {
namespace {

[[noreturn]] void Refuse(const std::string& text, const std::string& why) {
  throw InvalidArgumentError("[data] split '{}': {}; expected e.g. test, test[:9000], "
                             "test[-1000:], train[10%:20%], train+test",
                             text, why);
}

SplitPart::Bound ParseBound(std::string_view bound, const std::string& text) {
  SplitPart::Bound result;
  bound = Trim(bound);
  if (bound.empty()) return result;
  result.given = true;
  if (bound.back() == '%') {
    result.percent = true;
    bound.remove_suffix(1);
  }
  const char* end = bound.data() + bound.size();
  const auto parsed = std::from_chars(bound.data(), end, result.value);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    Refuse(text, fmt::format("'{}' is not a whole number", bound));
  }
  if (result.percent && std::abs(result.value) > 100) Refuse(text, "a percentage above 100");
  return result;
}

int64_t ResolveBound(const SplitPart::Bound& bound, int64_t rows, int64_t otherwise) {
  if (!bound.given) return otherwise;
  // Nearest row, halves away from zero; rows * 100 can't wrap: rows < 2^56.
  int64_t value = bound.value;
  if (bound.percent) value = (rows * value + (value < 0 ? -50 : 50)) / 100;
  if (value < 0) value += rows;
  return std::clamp<int64_t>(value, 0, rows);
}

}  // namespace

SplitPart::Range SplitPart::Resolve(int64_t rows) const {
  const int64_t begin = ResolveBound(from, rows, 0);
  return {begin, std::max(begin, ResolveBound(to, rows, rows))};
}

std::vector<SplitPart> ParseSplit(const std::string& text) {
  std::vector<SplitPart> parts;
  for (const std::string& piece : Split(text, '+')) {
    const std::string_view item = Trim(piece);
    if (item.empty()) Refuse(text, "an empty part");
    SplitPart part;
    const size_t open = item.find('[');
    part.name = std::string(Trim(item.substr(0, open)));
    if (open != std::string_view::npos) {
      if (item.back() != ']') Refuse(text, "a missing ]");
      const std::string_view inside = item.substr(open + 1, item.size() - open - 2);
      const size_t colon = inside.find(':');
      if (colon == inside.npos || inside.find(':', colon + 1) != inside.npos) {
        Refuse(text, "a slice is from:to");
      }
      part.from = ParseBound(inside.substr(0, colon), text);
      part.to = ParseBound(inside.substr(colon + 1), text);
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace tributary::data
