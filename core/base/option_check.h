#pragma once
// Validation of values against option tables: all mistakes at once, each with
// the place it was written at.

#include <functional>
#include <string>
#include <vector>

#include "core/base/options.h"

namespace tributary {

struct OptionProblem {
  OptionMark mark;
  std::string path;     // "optimizer.Adam.learning_rate"
  std::string message;  // "expected a number above 0, got -1"
  bool missing_file = false;
};

// What a check may ask of its surroundings.
struct OptionCheckContext {
  // Text for Options::Origin of a value written at `mark`.
  std::function<std::string(const OptionMark&)> origin;
  // Finds an input path; returns the path to use, or sets *error. Null: as is.
  std::function<std::string(const std::string& path, std::string* error)> find_path;
  // Says where an unknown key belongs ("`lr` belongs under `optimizer`"), or "";
  // `known` are the keys that there are at `path`.
  std::function<std::string(const std::string& path, const std::string& key,
                            const std::vector<std::string>& known)>
      hint;
};

// Validates `values` (a map; null is an empty one) against `table`. Mistakes are
// appended to *problems; the result is meaningful only when none were added.
Options CheckOptions(const OptionTable& table, const OptionNode& values,
                     const std::string& path, const OptionMark& mark,
                     const OptionCheckContext& context,
                     std::vector<OptionProblem>* problems);

// A number from unquoted text. Integers: decimal, also 1e6; no leading zero, no
// 0x. Return what is wrong, or "".
std::string ParseInt(const std::string& text, int64_t* value);
std::string ParseFloat(const std::string& text, double* value);

// "an integer of at least 1", "one of valid, same": for messages and docs.
std::string DescribeOption(const OptionSpec& spec);

namespace internal {
std::string DescribeElement(const OptionSpec& spec);  // one element of a list
std::string KindWord(const std::string& kind);        // "data_source" -> "data source"
std::string Article(const std::string& word);         // "a layer", "an optimizer"
}  // namespace internal

}  // namespace tributary
