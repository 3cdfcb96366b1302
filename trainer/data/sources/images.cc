#include "trainer/data/sources/images.h"

#include "core/base/logging.h"
#include "trainer/data/transform.h"

namespace tributary::data {

std::vector<OptionSpec> ImageOptionSpecs() {
  return {
      Opt("channel").Bool().Default(true).Doc("a last axis of 1: (28, 28, 1)"),
      Opt("scale").Bool().Default(true).Doc("bytes become float32 in [0, 1]"),
      Opt("label_dtype").OneOf({"int64", "int32", "float32"}).Default("int64"),
  };
}

ImageOptions ReadImageOptions(const Options& options) {
  return {options.Bool("channel"), options.Bool("scale"),
          ParseDType(options.String("label_dtype"))};
}

TablePtr ImageTable(const ImageSet& set, const ImageOptions& options) {
  auto table = std::make_shared<Table>();
  table->rows = set.images.dim(0);
  const bool bytes = set.images.dtype() == DType::kUint8;
  ColumnPtr images =
      bytes && options.scale ? UnitScaledColumn(set.images) : TensorColumn(set.images);
  const Shape& shape = images->spec().shape;
  if (options.channel && shape.rank() == 2) {
    images = ReshapeColumn(images, Shape{shape[0], shape[1], 1});
  }
  table->columns.push_back(std::move(images));
  if (set.labels.defined()) {
    const ColumnPtr labels = CastColumn(TensorColumn(set.labels), options.label_dtype);
    // Kept converted: a label is read far more often than made.
    table->columns.push_back(TensorColumn(Materialize(*labels, set.labels.dim(0))));
  }
  return table;
}

void MatchRows(ImageSet* set, const std::string& images_path,
               const std::string& labels_path, int64_t max_bad_records) {
  const int64_t images = set->images.dim(0), labels = set->labels.dim(0);
  if (images == labels) return;
  if (std::abs(images - labels) > max_bad_records) {
    throw DataLossError("[idx] {} has {} records, but {} has {}; expected as many labels as images",
                        images_path, images, labels_path, labels);
  }
  const int64_t both = std::min(images, labels);
  LogWarning("[idx] {} has {} records and {} has {}: the first {} are used", images_path, images,
             labels_path, labels, both);
  set->images = set->images.Slice(0, both);
  set->labels = set->labels.Slice(0, both);
}

}  // namespace tributary::data
