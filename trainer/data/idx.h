#pragma once
// IDX, the format of the MNIST files (http://yann.lecun.com/exdb/mnist): two zero
// bytes, an element type, a rank, big-endian dimensions, row-major values.

#include <string>

#include "core/io/env.h"
#include "core/tensor/tensor.h"

namespace tributary::data {

struct IdxOptions {
  // Rows that may be missing at the end of a truncated file; they are logged and
  // dropped.
  int64_t max_bad_records = 0;
};

// uint8, int8, int16, int32, float32 or float64, plain or gzip. Throws
// DataLossError naming file and byte offset for anything that is not a whole IDX
// file; a header is checked against the size of the file before memory is taken.
Tensor ReadIdx(Env* env, const std::string& path, const IdxOptions& options = {});

}  // namespace tributary::data
