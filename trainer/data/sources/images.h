#pragma once
// What image sources share: bytes become float32 in [0, 1] of shape (28, 28, 1), or
// (28, 28) without a channel axis, and labels a class number, as Keras's examples
// have them.

#include <string>
#include <vector>

#include "core/base/options.h"
#include "trainer/data/column.h"

namespace tributary::data {

struct ImageSet {
  Tensor images;  // (rows, height, width); other ranks and dtypes stay as they are
  Tensor labels;  // (rows), any integers; may be undefined
};

struct ImageOptions {
  bool channel = true;
  bool scale = true;  // bytes to [0, 1]; else they stay uint8
  DType label_dtype = DType::kInt64;
};

std::vector<OptionSpec> ImageOptionSpecs();
ImageOptions ReadImageOptions(const Options& options);

TablePtr ImageTable(const ImageSet& set, const ImageOptions& options);

// Cuts images and labels to one length when they differ by no more than
// `max_bad_records`; else throws DataLossError naming both files.
void MatchRows(ImageSet* set, const std::string& images_path,
               const std::string& labels_path, int64_t max_bad_records);

}  // namespace tributary::data
