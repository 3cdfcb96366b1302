#include "trainer/data/csv_cells.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/base/strings.h"

namespace tributary::data {

bool ParseNumber(std::string_view text, double* value) {
  if (StartsWith(text, "+") && !StartsWith(text, "+-")) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && !std::isnan(*value);
}

const std::vector<std::string>& DefaultMissing() {
  static const std::vector<std::string> list = {
      "",     "?",    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND",
      "1.#QNAN", "<NA>", "N/A",  "n/a",   "NA",  "NULL",    "null",     "NaN",  "nan"};
  return list;
}

bool HoldsNumbers(const CsvFile& file, const std::string& column,
                  const std::vector<std::string>& texts, const std::vector<std::string>& missing,
                  const std::string& remedy) {
  int64_t numbers = 0, others = 0;
  size_t first = 0;
  double ignored;
  for (size_t row = 0; row < texts.size(); ++row) {
    if (std::find(missing.begin(), missing.end(), texts[row]) != missing.end()) continue;
    if (ParseNumber(texts[row], &ignored)) {
      ++numbers;
    } else if (others++ == 0) {
      first = row;
    }
  }
  if (others == 0) return numbers > 0;
  if (numbers <= others) return false;
  const std::string what = fmt::format(
      "[csv] {}:{}: column '{}' holds numbers in {} of {} cells, but here '{}'", file.path,
      file.lines[first], column, numbers, numbers + others, texts[first].substr(0, 60));
  if (numbers >= 9 * others) throw InvalidArgumentError("{}; {}", what, remedy);
  LogWarning("{}: all are taken for words; {}", what, remedy);
  return false;
}

}  // namespace tributary::data
