#pragma once
// Numbers from the columns of a CSV file, by statistics and vocabularies of a
// file to fit on (the training file, also when the test file is encoded).

#include <map>
#include <string>
#include <vector>

#include "trainer/data/column.h"
#include "trainer/data/csv.h"
#include "trainer/data/csv_cells.h"

namespace tributary::data {

struct CsvFeatureOptions {
  // Target column; "": the elements are inputs only.
  std::string label;
  // Columns that are not used.
  std::vector<std::string> drop;
  // Kinds of the others. A column in neither list is numeric when each of its
  // values in the fitted file is a number or missing (HoldsNumbers in csv_cells.h).
  std::vector<std::string> numeric, categorical;
  // What stands for a missing value: the mean, or no category. A record whose label is
  // missing is bad, unless that is one of the classes.
  std::vector<std::string> na = DefaultMissing();
  enum class Scale { kStandard, kMinMax, kNone } scale = Scale::kStandard;
  // kOneHot: one float32 row of all features. kIndex: float32 numbers, and int64
  // categories from 1 (0: unknown or missing), as a tensor each. kColumns: a tensor for
  // each column, under its name, as it stands: float32 numbers (0 where one is missing)
  // and strings.
  enum class Encode { kOneHot, kIndex, kColumns } encode = Encode::kOneHot;
  // kClass: number in `classes` (sorted values when empty). kNumber: itself.
  // kAuto: kNumber when all are numbers and no classes are given.
  enum class Label { kAuto, kClass, kNumber } label_kind = Label::kAuto;
  std::vector<std::string> classes;
  // Characters taken off the end of a label ("." in Adult's test file).
  std::string label_strip;
  DType label_dtype = DType::kInvalid;  // default: int64 for classes, else float32
  // Records with a number or label that can't be read, left out with a warning.
  int64_t max_bad_records = 0;
};

class CsvEncoder {
 public:
  // Learns from `fit`. Throws NotFoundError for unknown columns and
  // InvalidArgumentError for contradictions, and for a column of numbers with a stray word.
  CsvEncoder(const CsvFile& fit, CsvFeatureOptions options);

  // Throws NotFoundError when a column is missing, DataLossError naming file and
  // line for values that can't be read.
  TablePtr Encode(const CsvFile& file) const;

  // One name for each float of a row, "age", "sex=Male".
  std::vector<std::string> FeatureNames() const;
  const std::vector<std::string>& classes() const { return options_.classes; }

 private:
  struct Feature {
    std::string name;
    bool numeric = false;
    double mean = 0, scale = 1;
    std::map<std::string, int64_t, std::less<>> vocabulary;
    std::vector<std::string> values;  // of the vocabulary, in order
  };
  struct Rows;

  bool IsMissing(const std::string& text) const;
  void FitFeature(const CsvFile& fit, const std::string& name);
  void FitNumbers(const std::vector<std::string>& column, Feature* feature) const;
  void FitLabel(const CsvFile& fit);
  std::string StripLabel(const std::string& text) const;
  // Returns what is wrong with the row, or "".
  std::string EncodeRow(const CsvFile& file, const std::vector<int>& columns,
                        int64_t row, Rows* rows) const;
  std::string EncodeLabel(const std::string& text, Rows* rows) const;
  TablePtr MakeTable(const Rows& rows) const;
  void AddNamedColumns(const Rows& rows, Table* table) const;

  CsvFeatureOptions options_;
  std::vector<Feature> features_;
  std::map<std::string, int64_t, std::less<>> class_of_;
  int64_t numeric_count_ = 0;
  int64_t width_ = 0;  // floats of a one-hot row
};

}  // namespace tributary::data
