#pragma once
// The bytes of one tensor in a data file of TensorFlow's checkpoint format V2.

#include <cstdint>

#include "core/io/env.h"
#include "core/tensor/tensor.h"

namespace tributary {

// Appends `tensor`, plain or strings; sets how many bytes that were and returns their
// checksum, not masked.
uint32_t AppendTensorData(const Tensor& tensor, WritableFile* file, int64_t* bytes);

}  // namespace tributary
