#pragma once
// The slicing grammar of TensorFlow Datasets: "train", "test[:9000]",
// "train[10%:20%]", "test[-1000:]", "train+test[:50%]".

#include <cstdint>
#include <string>
#include <vector>

namespace tributary::data {

struct SplitPart {
  std::string name;
  // Python's slice; without a value: from the start, to the end.
  struct Bound {
    bool given = false;
    bool percent = false;
    int64_t value = 0;
  };
  Bound from, to;

  // Rows [begin, end) of a split with `rows` rows. Percentages round to nearest,
  // row numbers beyond the end are cut (as in Python).
  struct Range {
    int64_t begin, end;
  };
  Range Resolve(int64_t rows) const;
};

// Throws InvalidArgumentError that shows the grammar. An empty name stands for a
// source without splits ("[:90%]").
std::vector<SplitPart> ParseSplit(const std::string& text);

}  // namespace tributary::data
