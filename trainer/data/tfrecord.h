#pragma once
// TFRecord files of tf.Example (tf.data.TFRecordDataset and tf.io.parse_example with
// FixedLenFeature).

#include <string>
#include <vector>

#include "core/io/env.h"
#include "trainer/data/column.h"

namespace tributary::data {

// What is read of an example.
struct ExampleFeature {
  std::string name;
  DType dtype = DType::kFloat32;  // float32, int64 or string
  Shape shape;                    // fully defined: so many values each example has
  // Values of an example that lacks the feature: one, or as many as the shape has. Without
  // it such a record is bad.
  Tensor default_value = {};
};

enum class RecordCompression { kAuto, kNone, kGzip, kZlib };

struct TfRecordOptions {
  std::vector<ExampleFeature> features;
  // kAuto: gzip by its first bytes, else none (zlib can't be told apart from a length).
  RecordCompression compression = RecordCompression::kAuto;
  // Records with a wrong checksum, that are no Example, or without a feature: logged and
  // left out before it is an error.
  int64_t max_bad_records = 0;
  int64_t max_record_bytes = int64_t{1} << 30;
};

// All records of the files, one after the other; a column for each feature, by name.
// Throws DataLossError naming file and offset (of the decompressed bytes, where it is
// compressed) for what can't be read; a damaged length ends a file, as what follows can't
// be found.
TablePtr ReadTfRecords(Env* env, const std::vector<std::string>& paths,
                       const TfRecordOptions& options);

}  // namespace tributary::data
