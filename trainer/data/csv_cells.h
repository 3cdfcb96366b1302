#pragma once
// What the text of a cell is: a number, or something that stands for a missing value.

#include <string>
#include <string_view>
#include <vector>

#include "trainer/data/csv.h"

namespace tributary::data {

// A number, whatever the locale: one sign at most; "inf" is one, "nan" is not.
bool ParseNumber(std::string_view text, double* value);

// What stands for a missing value where the job doesn't say: pandas' list but for "None",
// which is a word that tables use, and "?", which UCI's tables use.
const std::vector<std::string>& DefaultMissing();

// Whether a column holds numbers and missing values only. `texts` are its cells, by row of
// `file`. Warns of the first cell that is no number where most are, and throws
// InvalidArgumentError where nine of ten are: that cell is likely a mistake, which would
// make a category of every number.
bool HoldsNumbers(const CsvFile& file, const std::string& column,
                  const std::vector<std::string>& texts, const std::vector<std::string>& missing,
                  const std::string& remedy);

}  // namespace tributary::data
