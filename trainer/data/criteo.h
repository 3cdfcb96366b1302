#pragma once
// Criteo's click logs (Kaggle 2014 and the terabyte sets): lines of tab-separated fields,
// label, 13 counts I1 ... I13, 26 categories C1 ... C26 as 32-bit hexadecimal numbers.
// Fields may be empty.

#include <string>
#include <vector>

#include "core/io/env.h"
#include "trainer/data/column.h"

namespace tributary::data {

struct CriteoOptions {
  // Lines that can't be read, logged and left out before it is an error.
  int64_t max_bad_records = 0;
  // Lines read of all files together; 0: all.
  int64_t max_rows = 0;
};

// All lines of the files (plain or gzip), one after the other. Columns I1 ... I13
// (float32, 0 where empty), C1 ... C26 (int64, -1 where empty), label (float32): four
// bytes of memory each. Throws DataLossError naming file and line.
TablePtr ReadCriteo(Env* env, const std::vector<std::string>& paths,
                    const CriteoOptions& options = {});

}  // namespace tributary::data
