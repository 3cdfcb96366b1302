#include "trainer/data/criteo.h"

#include <array>
#include <charconv>
#include <string_view>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "trainer/data/byte_reader.h"

namespace tributary::data {
namespace {

constexpr int kNumbers = 13, kCategories = 26;
constexpr size_t kChunk = 1 << 20;
constexpr size_t kMaxLine = 1 << 16;
// An empty category. Real ones that are equal to it are one in four thousand million.
constexpr uint32_t kEmpty = 0xffffffffu;

struct Row {
  float label = 0;
  std::array<float, kNumbers> numbers{};
  std::array<uint32_t, kCategories> categories{};
};

template <typename T>
bool Parse(std::string_view text, T* value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value, base);
  return error == std::errc() && end == text.data() + text.size();
}

// What is wrong with the line, or "".
std::string ParseLine(std::string_view line, Row* row) {
  int field = 0;
  for (;; ++field) {
    const size_t tab = line.find('\t');
    const std::string_view text = line.substr(0, tab);
    const auto bad = [&](const char* expected) {
      return fmt::format("field {}: expected {}, got '{}'", field + 1, expected,
                         text.substr(0, 40));
    };
    if (field == 0) {
      if (text != "0" && text != "1") return bad("a label, 0 or 1");
      row->label = text == "1" ? 1.0f : 0.0f;
    } else if (field <= kNumbers) {
      int64_t number = 0;
      if (!text.empty() && !Parse(text, &number)) return bad("a whole number");
      row->numbers[field - 1] = static_cast<float>(number);
    } else if (field <= kNumbers + kCategories) {
      uint32_t category = kEmpty;
      if (!text.empty() && !Parse(text, &category, 16)) return bad("8 hexadecimal digits");
      row->categories[field - 1 - kNumbers] = category;
    }
    if (tab == line.npos) break;
    line.remove_prefix(tab + 1);
  }
  if (field != kNumbers + kCategories) {
    return fmt::format("expected {} fields, got {}", 1 + kNumbers + kCategories, field + 1);
  }
  return "";
}

// Calls fn(line, its number) for each line, without its end; stops when fn returns false.
template <typename Fn>
void ForEachLine(Env* env, const std::string& path, const Fn& fn) {
  ByteReader reader(env, path);
  std::string buffer;
  int64_t number = 0;
  for (bool more = true; more;) {
    const size_t old = buffer.size();
    buffer.resize(old + kChunk);
    const size_t got = reader.Read(buffer.data() + old, kChunk);
    buffer.resize(old + got);
    more = got == kChunk;
    size_t at = 0;
    for (;;) {
      const size_t end = buffer.find('\n', at);
      if (end == buffer.npos && (more || at == buffer.size())) break;
      std::string_view line = std::string_view(buffer).substr(at, end - at);
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      ++number;
      if (!line.empty() && !fn(line, number)) return;
      if (end == buffer.npos) return;
      at = end + 1;
    }
    buffer.erase(0, at);
    if (buffer.size() > kMaxLine) {
      throw DataLossError("[criteo] {}:{}: a line of more than {} bytes; is this a text file?",
                          path, number + 1, kMaxLine);
    }
  }
}

class CategoryColumn final : public Column {
 public:
  explicit CategoryColumn(std::vector<uint32_t> values)
      : Column({DType::kInt64, Shape{}}), values_(std::move(values)) {}
  void Gather(std::span<const int64_t> rows, void* out) const override {
    auto* to = static_cast<int64_t*>(out);
    for (const int64_t row : rows) {
      const uint32_t value = values_[row];
      *to++ = value == kEmpty ? -1 : int64_t{value};
    }
  }

 private:
  std::vector<uint32_t> values_;
};

class Collector {
 public:
  void Add(const Row& row) {
    labels_.push_back(row.label);
    for (int i = 0; i < kNumbers; ++i) numbers_[i].push_back(row.numbers[i]);
    for (int i = 0; i < kCategories; ++i) categories_[i].push_back(row.categories[i]);
  }
  int64_t rows() const { return static_cast<int64_t>(labels_.size()); }

  TablePtr Take() {
    auto table = std::make_shared<Table>();
    table->rows = rows();
    for (int i = 0; i < kNumbers; ++i) {
      table->names.push_back(fmt::format("I{}", i + 1));
      table->columns.push_back(TensorColumn(Tensor::FromVector(numbers_[i])));
      numbers_[i] = {};
    }
    for (int i = 0; i < kCategories; ++i) {
      table->names.push_back(fmt::format("C{}", i + 1));
      table->columns.push_back(std::make_shared<CategoryColumn>(std::move(categories_[i])));
    }
    table->names.push_back("label");
    table->columns.push_back(TensorColumn(Tensor::FromVector(labels_)));
    return table;
  }

 private:
  std::vector<float> labels_;
  std::array<std::vector<float>, kNumbers> numbers_;
  std::array<std::vector<uint32_t>, kCategories> categories_;
};

}  // namespace

TablePtr ReadCriteo(Env* env, const std::vector<std::string>& paths,
                    const CriteoOptions& options) {
  Collector collector;
  int64_t bad = 0;
  for (const std::string& path : paths) {
    ForEachLine(env, path, [&](std::string_view line, int64_t number) {
      if (options.max_rows > 0 && collector.rows() >= options.max_rows) return false;
      Row row;
      const std::string error = ParseLine(line, &row);
      if (error.empty()) {
        collector.Add(row);
        return true;
      }
      if (++bad > options.max_bad_records) {
        throw DataLossError("[criteo] {}:{}: {}; {} bad records are allowed (max_bad_records)",
                            path, number, error, options.max_bad_records);
      }
      LogWarning("[criteo] {}:{}: {}; the line is left out", path, number, error);
      return true;
    });
  }
  return collector.Take();
}

}  // namespace tributary::data
