#include "trainer/data/csv.h"

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/base/strings.h"
#include "trainer/data/byte_reader.h"

namespace tributary::data {
namespace {

constexpr size_t kMaxColumns = 1 << 16;

// Splits text into records. After an error it goes on behind the end of the line.
class Scanner {
 public:
  Scanner(std::string_view text, const CsvOptions& options) : text_(text), options_(options) {
    if (StartsWith(text_, "\xef\xbb\xbf")) at_ = 3;  // a byte order mark
  }

  // False at the end of the text. An error is left in *error.
  bool Next(std::vector<std::string>* fields, std::string* error) {
    fields->clear();
    error->clear();
    if (!SkipEmptyLines()) return false;
    start_line_ = line_;
    for (;;) {
      std::string field;
      Field(&field, error);
      if (!error->empty()) {
        SkipLine();
        return true;
      }
      fields->push_back(std::move(field));
      if (fields->size() > kMaxColumns) {
        *error = fmt::format("more than {} fields", kMaxColumns);
        SkipLine();
        return true;
      }
      if (EndOfRecord()) return true;
      ++at_;  // the delimiter
    }
  }

  int64_t start_line() const { return start_line_; }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  bool AtLineEnd() const {
    return AtEnd() || text_[at_] == '\n' ||
           (text_[at_] == '\r' && (at_ + 1 == text_.size() || text_[at_ + 1] == '\n'));
  }

  bool EndOfRecord() {
    if (!AtLineEnd()) return false;
    SkipLine();
    return true;
  }

  void SkipLine() {
    const size_t end = text_.find('\n', at_);
    at_ = end == std::string_view::npos ? text_.size() : end + 1;
    ++line_;
  }

  bool SkipEmptyLines() {
    while (!AtEnd()) {
      const bool comment = options_.comment != 0 && text_[at_] == options_.comment;
      if (!comment && !AtLineEnd()) return true;
      SkipLine();
    }
    return false;
  }

  void Field(std::string* field, std::string* error) {
    const size_t start = at_;
    if (options_.trim) {
      while (!AtLineEnd() && (text_[at_] == ' ' || text_[at_] == '\t') &&
             text_[at_] != options_.delimiter) {
        ++at_;
      }
    }
    if (!AtEnd() && text_[at_] == '"') {
      Quoted(field, error);
    } else {
      if (!options_.trim) at_ = start;
      Bare(field);
    }
    if (static_cast<int64_t>(field->size()) > options_.max_field_bytes) {
      *error = fmt::format("a field of {} bytes; the limit is {}", field->size(),
                           options_.max_field_bytes);
    } else if (field->find('\0') != std::string::npos) {
      *error = "a NUL byte; is this a text file?";
    }
  }

  void Bare(std::string* field) {
    const size_t start = at_;
    while (!AtLineEnd() && text_[at_] != options_.delimiter) ++at_;
    std::string_view value = text_.substr(start, at_ - start);
    if (options_.trim) value = Trim(value);
    field->assign(value);
  }

  void Quoted(std::string* field, std::string* error) {
    const size_t open = at_++;
    const int64_t open_line = line_;
    for (;;) {
      if (AtEnd()) {
        // Go on behind the line of the quote: the rest of the file may be sound.
        *error = "a quote is opened and never closed";
        at_ = open;
        line_ = open_line;
        return;
      }
      const char c = text_[at_++];
      if (c == '"') {
        if (AtEnd() || text_[at_] != '"') break;
        ++at_;
      } else if (c == '\n') {
        ++line_;
      }
      field->push_back(c);
      if (static_cast<int64_t>(field->size()) > options_.max_field_bytes) {
        *error = fmt::format("a quoted field of more than {} bytes; is its quote closed?",
                             options_.max_field_bytes);
        at_ = open;
        line_ = open_line;
        return;
      }
    }
    if (options_.trim) {
      while (!AtLineEnd() && text_[at_] == ' ') ++at_;
    }
    if (!AtLineEnd() && text_[at_] != options_.delimiter) {
      *error = "text behind a closing quote";
    }
  }

  std::string_view text_;
  const CsvOptions& options_;
  size_t at_ = 0;
  int64_t line_ = 1;
  int64_t start_line_ = 1;
};

std::string Shorten(const std::vector<std::string>& fields) {
  std::string text = Join(fields, " | ");
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

void SetNames(CsvFile* file, std::vector<std::string> found, int64_t line,
              const CsvOptions& options) {
  if (!options.columns.empty() && options.columns != found) {
    throw InvalidArgumentError("[csv] {}:{}: the header does not match the columns of the job; "
                               "expected {}, got {}",
                               file->path, line, Join(options.columns, ", "), Shorten(found));
  }
  for (size_t i = 0; i < found.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (found[i] == found[j]) {
        throw InvalidArgumentError("[csv] {}:{}: two columns are named '{}'", file->path, line,
                                   found[i]);
      }
    }
  }
  file->names = std::move(found);
  file->columns.resize(file->names.size());
}

class Collector {
 public:
  Collector(CsvFile* file, const CsvOptions& options) : file_(file), options_(options) {}

  void Add(std::vector<std::string>* fields, int64_t line) {
    if (file_->names.empty() && options_.columns.empty()) {
      // Neither a header nor names: columns are called by number.
      std::vector<std::string> numbers;
      for (size_t i = 0; i < fields->size(); ++i) numbers.push_back(std::to_string(i));
      SetNames(file_, std::move(numbers), line, options_);
    } else if (file_->names.empty()) {
      SetNames(file_, options_.columns, line, options_);
    }
    if (fields->size() != file_->names.size()) {
      Bad(line, fmt::format("expected {} fields, got {}: {}", file_->names.size(),
                            fields->size(), Shorten(*fields)));
      return;
    }
    for (size_t i = 0; i < fields->size(); ++i) {
      file_->columns[i].push_back(std::move((*fields)[i]));
    }
    file_->lines.push_back(line);
  }

  void Bad(int64_t line, const std::string& why) {
    if (++file_->bad_records > options_.max_bad_records) {
      throw DataLossError("[csv] {}:{}: {}; {} bad records are allowed (max_bad_records)",
                          file_->path, line, why, options_.max_bad_records);
    }
    LogWarning("[csv] {}:{}: {}; the record is left out", file_->path, line, why);
  }

 private:
  CsvFile* file_;
  const CsvOptions& options_;
};

}  // namespace

int CsvFile::ColumnIndex(const std::string& name) const {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<int>(i);
  }
  throw NotFoundError("[csv] {} has no column '{}'{} (columns: {})", path, name,
                      DidYouMean(name, names), Join(names, ", "));
}

CsvFile ParseCsv(std::string_view text, const std::string& name, const CsvOptions& options) {
  CsvFile file;
  file.path = name;
  Scanner scanner(text, options);
  Collector collector(&file, options);
  std::vector<std::string> fields;
  std::string error;
  if (options.header) {
    if (!scanner.Next(&fields, &error)) {
      throw DataLossError("[csv] {} is empty; expected a header", name);
    }
    if (!error.empty()) {
      throw DataLossError("[csv] {}:{}: header: {}", name, scanner.start_line(), error);
    }
    SetNames(&file, std::move(fields), scanner.start_line(), options);
  }
  while (scanner.Next(&fields, &error)) {
    if (error.empty()) {
      collector.Add(&fields, scanner.start_line());
    } else {
      collector.Bad(scanner.start_line(), error);
    }
  }
  if (file.names.empty()) {
    std::vector<std::string> names = options.columns;
    SetNames(&file, std::move(names), 1, options);
  }
  return file;
}

CsvFile ReadCsv(Env* env, const std::string& path, const CsvOptions& options) {
  ByteReader reader(env, path);
  return ParseCsv(reader.ReadRest(options.max_bytes), path, options);
}

}  // namespace tributary::data
