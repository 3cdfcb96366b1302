#pragma once
// CSV after RFC 4180: quoted fields, doubled quotes, line breaks inside quotes,
// LF or CRLF. Everything stays text here; csv_features.h makes numbers of it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/env.h"

namespace tributary::data {

struct CsvOptions {
  char delimiter = ',';
  // Lines that start with this character are left out; 0: none.
  char comment = 0;
  // Names in the first record.
  bool header = true;
  // Names of the columns when there is no header, or to be checked against it.
  std::vector<std::string> columns;
  // Blanks around unquoted fields don't count.
  bool trim = true;
  // Malformed records that are logged and left out before it is an error.
  int64_t max_bad_records = 0;
  int64_t max_bytes = int64_t{4} << 30;
  int64_t max_field_bytes = 1 << 20;
};

struct CsvFile {
  std::string path;
  std::vector<std::string> names;
  // By column; all of one length.
  std::vector<std::vector<std::string>> columns;
  // Line on which each record starts, from 1.
  std::vector<int64_t> lines;
  int64_t bad_records = 0;

  int64_t rows() const { return static_cast<int64_t>(lines.size()); }
  // Throws NotFoundError that names the nearest column.
  int ColumnIndex(const std::string& name) const;
};

// Plain or gzip. Blank lines are left out. Throws DataLossError naming file and
// line for a malformed record: an open quote, text behind a closing quote, a NUL
// byte, a field that is too long, another number of fields than names.
CsvFile ReadCsv(Env* env, const std::string& path, const CsvOptions& options = {});
// The same on text; `name` is for messages.
CsvFile ParseCsv(std::string_view text, const std::string& name,
                 const CsvOptions& options = {});

}  // namespace tributary::data
