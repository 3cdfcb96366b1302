#include "trainer/data/csv_features.h"

#include <cmath>
#include <set>

#include "core/base/logging.h"
#include "core/base/strings.h"
#include "trainer/data/transform.h"

namespace tributary::data {
namespace {

bool Contains(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace

// Values of the rows that were kept, one after the other.
struct CsvEncoder::Rows {
  std::vector<float> numbers;
  std::vector<int64_t> categories;
  std::vector<std::string> words;
  std::vector<double> labels;
  int64_t count = 0;
};

CsvEncoder::CsvEncoder(const CsvFile& fit, CsvFeatureOptions options)
    : options_(std::move(options)) {
  for (const auto* list : {&options_.drop, &options_.numeric, &options_.categorical}) {
    for (const std::string& name : *list) {
      fit.ColumnIndex(name);
      if (name == options_.label) {
        throw InvalidArgumentError("[csv] '{}' is the label and can't be a feature too", name);
      }
    }
  }
  for (const std::string& name : options_.numeric) {
    if (Contains(options_.categorical, name)) {
      throw InvalidArgumentError("[csv] '{}' is listed as numeric and as categorical", name);
    }
  }
  for (const std::string& name : fit.names) {
    if (name != options_.label && !Contains(options_.drop, name)) FitFeature(fit, name);
  }
  if (features_.empty()) throw InvalidArgumentError("[csv] no column is left as a feature");
  if (!options_.label.empty()) FitLabel(fit);
  for (const Feature& feature : features_) {
    numeric_count_ += feature.numeric;
    width_ += feature.numeric ? 1 : static_cast<int64_t>(feature.values.size());
  }
}

bool CsvEncoder::IsMissing(const std::string& text) const {
  return Contains(options_.na, text);
}

void CsvEncoder::FitFeature(const CsvFile& fit, const std::string& name) {
  const auto& column = fit.columns[fit.ColumnIndex(name)];
  Feature feature;
  feature.name = name;
  feature.numeric = Contains(options_.numeric, name);
  if (!feature.numeric && !Contains(options_.categorical, name)) {
    feature.numeric = HoldsNumbers(
        fit, name, column, options_.na,
        fmt::format("correct it, or list it under na (a missing value), or '{}' under categorical",
                    name));
  }
  if (feature.numeric) {
    FitNumbers(column, &feature);
  } else {
    std::set<std::string> seen;
    for (const std::string& text : column) {
      if (!IsMissing(text)) seen.insert(text);
    }
    for (const std::string& value : seen) {
      feature.vocabulary.emplace(value, static_cast<int64_t>(feature.values.size()));
      feature.values.push_back(value);
    }
  }
  features_.push_back(std::move(feature));
}

void CsvEncoder::FitNumbers(const std::vector<std::string>& column, Feature* feature) const {
  if (options_.scale == CsvFeatureOptions::Scale::kNone ||
      options_.encode == CsvFeatureOptions::Encode::kColumns) {
    return;
  }
  double sum = 0, low = INFINITY, high = -INFINITY;
  int64_t count = 0;
  const auto each = [&](auto&& fn) {
    double value;
    for (const std::string& text : column) {
      if (!IsMissing(text) && ParseNumber(text, &value) && std::isfinite(value)) fn(value);
    }
  };
  each([&](double v) {
    sum += v;
    ++count;
    low = std::min(low, v);
    high = std::max(high, v);
  });
  if (count == 0) return;
  if (options_.scale == CsvFeatureOptions::Scale::kMinMax) {
    feature->mean = low;
    if (high > low) feature->scale = 1 / (high - low);
    return;
  }
  feature->mean = sum / static_cast<double>(count);
  double squares = 0;
  each([&](double v) { squares += (v - feature->mean) * (v - feature->mean); });
  if (squares > 0) feature->scale = 1 / std::sqrt(squares / static_cast<double>(count));
}

std::string CsvEncoder::StripLabel(const std::string& text) const {
  const size_t end = text.find_last_not_of(options_.label_strip);
  return options_.label_strip.empty() ? text : text.substr(0, end + 1);
}

void CsvEncoder::FitLabel(const CsvFile& fit) {
  using Label = CsvFeatureOptions::Label;
  const auto& column = fit.columns[fit.ColumnIndex(options_.label)];
  std::vector<std::string> texts;
  for (const std::string& text : column) texts.push_back(StripLabel(text));
  if (options_.label_kind == Label::kAuto) {
    const bool numbers =
        options_.classes.empty() &&
        HoldsNumbers(fit, options_.label, texts, options_.na,
                     "correct it, or set label_kind to class (each value a class) or to number "
                     "(and leave such records out by max_bad_records)");
    options_.label_kind = numbers ? Label::kNumber : Label::kClass;
  }
  if (options_.label_kind == Label::kClass) {
    if (options_.classes.empty()) {
      std::set<std::string> seen;
      for (const std::string& text : texts) {
        if (!IsMissing(text)) seen.insert(text);
      }
      options_.classes.assign(seen.begin(), seen.end());
      double ignored;
      const auto is_number = [&](const std::string& text) { return ParseNumber(text, &ignored); };
      if (std::all_of(seen.begin(), seen.end(), is_number)) {
        std::sort(options_.classes.begin(), options_.classes.end(),
                  [](const std::string& a, const std::string& b) {
                    double x = 0, y = 0;
                    ParseNumber(a, &x);
                    ParseNumber(b, &y);
                    return x < y;
                  });
      }
    }
    for (const std::string& name : options_.classes) {
      class_of_.emplace(name, static_cast<int64_t>(class_of_.size()));
    }
  }
  if (options_.label_dtype == DType::kInvalid) {
    options_.label_dtype =
        options_.label_kind == Label::kClass ? DType::kInt64 : DType::kFloat32;
  }
}

std::vector<std::string> CsvEncoder::FeatureNames() const {
  std::vector<std::string> names;
  for (const Feature& feature : features_) {
    if (feature.numeric) names.push_back(feature.name);
    for (const std::string& value : feature.values) {
      names.push_back(feature.name + "=" + value);
    }
  }
  return names;
}

std::string CsvEncoder::EncodeLabel(const std::string& text, Rows* rows) const {
  const std::string label = StripLabel(text);
  double value = 0;
  if (IsMissing(label) && class_of_.find(label) == class_of_.end()) {
    return fmt::format("the label '{}' is missing (the cell holds '{}'); fill it in, or take the "
                       "record out", options_.label, label);
  }
  if (options_.label_kind == CsvFeatureOptions::Label::kNumber) {
    if (!ParseNumber(label, &value) || !std::isfinite(value)) {
      return fmt::format("label '{}' is not a finite number", label);
    }
  } else {
    const auto it = class_of_.find(label);
    if (it == class_of_.end()) {
      return fmt::format("label '{}' is none of the {} classes ({})", label, class_of_.size(),
                         Join(options_.classes, ", ").substr(0, 200));
    }
    value = static_cast<double>(it->second);
  }
  rows->labels.push_back(value);
  return "";
}

std::string CsvEncoder::EncodeRow(const CsvFile& file, const std::vector<int>& columns,
                                  int64_t row, Rows* rows) const {
  const bool one_hot = options_.encode == CsvFeatureOptions::Encode::kOneHot;
  const size_t start = rows->numbers.size();
  size_t at = start;
  rows->numbers.resize(start + (one_hot ? width_ : numeric_count_), 0.0f);
  for (size_t f = 0; f < features_.size(); ++f) {
    const Feature& feature = features_[f];
    const std::string& text = file.columns[columns[f]][row];
    if (feature.numeric) {
      double value = feature.mean;
      if (!IsMissing(text) && (!ParseNumber(text, &value) || !std::isfinite(value))) {
        return fmt::format("column '{}': expected a finite number, got '{}'", feature.name,
                           text.substr(0, 60));
      }
      rows->numbers[at++] = static_cast<float>((value - feature.mean) * feature.scale);
      continue;
    }
    if (options_.encode == CsvFeatureOptions::Encode::kColumns) {
      rows->words.push_back(text);
      continue;
    }
    const auto it = IsMissing(text) ? feature.vocabulary.end() : feature.vocabulary.find(text);
    const bool known = it != feature.vocabulary.end();
    if (one_hot) {
      if (known) rows->numbers[at + it->second] = 1.0f;
      at += feature.values.size();
    } else {
      rows->categories.push_back(known ? it->second + 1 : 0);
    }
  }
  if (options_.label.empty()) return "";
  return EncodeLabel(file.columns[columns.back()][row], rows);
}

TablePtr CsvEncoder::Encode(const CsvFile& file) const {
  std::vector<int> columns;
  for (const Feature& feature : features_) columns.push_back(file.ColumnIndex(feature.name));
  if (!options_.label.empty()) columns.push_back(file.ColumnIndex(options_.label));
  Rows rows;
  int64_t bad = 0;
  for (int64_t row = 0; row < file.rows(); ++row) {
    const size_t numbers = rows.numbers.size(), categories = rows.categories.size();
    const size_t words = rows.words.size();
    const std::string error = EncodeRow(file, columns, row, &rows);
    if (error.empty()) {
      ++rows.count;
      continue;
    }
    if (++bad > options_.max_bad_records) {
      throw DataLossError("[csv] {}:{}: {}; {} bad records are allowed (max_bad_records)",
                          file.path, file.lines[row], error, options_.max_bad_records);
    }
    LogWarning("[csv] {}:{}: {}; the record is left out", file.path, file.lines[row], error);
    rows.numbers.resize(numbers);
    rows.categories.resize(categories);
    rows.words.resize(words);
  }
  return MakeTable(rows);
}

void CsvEncoder::AddNamedColumns(const Rows& rows, Table* table) const {
  const int64_t words = static_cast<int64_t>(features_.size()) - numeric_count_;
  int64_t number = 0, word = 0;
  for (const Feature& feature : features_) {
    Tensor column;
    if (feature.numeric) {
      column = Tensor::Empty(DType::kFloat32, Shape{rows.count});
      for (int64_t i = 0; i < rows.count; ++i) {
        column.mutable_data<float>()[i] = rows.numbers[i * numeric_count_ + number];
      }
      ++number;
    } else {
      column = Tensor::Empty(DType::kString, Shape{rows.count});
      for (int64_t i = 0; i < rows.count; ++i) {
        column.mutable_data<std::string>()[i] = rows.words[i * words + word];
      }
      ++word;
    }
    table->columns.push_back(TensorColumn(column));
    table->names.push_back(feature.name);
  }
}

TablePtr CsvEncoder::MakeTable(const Rows& rows) const {
  const bool one_hot = options_.encode == CsvFeatureOptions::Encode::kOneHot;
  const int64_t floats = one_hot ? width_ : numeric_count_;
  const int64_t categories = static_cast<int64_t>(features_.size()) - numeric_count_;
  auto table = std::make_shared<Table>();
  table->rows = rows.count;
  const bool named = options_.encode == CsvFeatureOptions::Encode::kColumns;
  if (named) {
    AddNamedColumns(rows, table.get());
  } else if (floats > 0) {
    table->columns.push_back(
        TensorColumn(Tensor::FromVector(rows.numbers, Shape{rows.count, floats})));
  }
  if (!one_hot && !named && categories > 0) {
    table->columns.push_back(
        TensorColumn(Tensor::FromVector(rows.categories, Shape{rows.count, categories})));
  }
  if (!options_.label.empty()) {
    const ColumnPtr labels = CastColumn(TensorColumn(Tensor::FromVector(rows.labels)),
                                        options_.label_dtype);
    table->columns.push_back(TensorColumn(Materialize(*labels, rows.count)));
    if (named) table->names.push_back(options_.label);
  }
  return table;
}

}  // namespace tributary::data
