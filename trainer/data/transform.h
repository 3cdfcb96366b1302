#pragma once
// What Dataset::Map applies to a column: one transformation of rows each. They
// register themselves; a job names them in `map:`.

#include <memory>

#include "core/base/option_registry.h"
#include "trainer/data/column.h"

namespace tributary::data {

class ColumnTransform {
 public:
  virtual ~ColumnTransform() = default;
  // The transformed column. Throws InvalidArgumentError when `source` does not
  // fit, naming dtype and shape.
  virtual ColumnPtr Apply(ColumnPtr source) const = 0;
};

using TransformRegistry = OptionRegistry<std::unique_ptr<ColumnTransform>(const Options&)>;
TransformRegistry& DataTransforms();

// Numeric conversion as tf.cast (towards zero to integers).
ColumnPtr CastColumn(ColumnPtr source, DType dtype);
// (x - mean) * (1 / deviation), one value each for the row or for its last axis.
ColumnPtr NormalizeColumn(ColumnPtr source, std::vector<float> mean,
                          std::vector<float> deviation);
// Integers to float32 with a last axis of `depth`. A value outside [0, depth)
// throws InvalidArgumentError when read, naming the row.
ColumnPtr OneHotColumn(ColumnPtr source, int64_t depth);
// The row's elements in another shape (one -1 allowed).
ColumnPtr ReshapeColumn(ColumnPtr source, const Shape& shape);

}  // namespace tributary::data
