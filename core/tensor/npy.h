#pragma once
// NumPy's .npy files, versions 1 to 3 (numpy/lib/format.py). Every plain dtype;
// bfloat16 travels as '<V2', the way NumPy saves ml_dtypes' bfloat16. Fortran
// order and foreign endianness are converted on reading.

#include <cstddef>
#include <string>
#include <string_view>

#include "core/tensor/tensor.h"

namespace tributary {

class Env;

struct NpyHeader {
  DType dtype = DType::kInvalid;
  Shape shape;
  bool fortran_order = false;
  bool big_endian = false;
  size_t data_offset = 0;  // bytes before the first element
};

// Parses the front of a file. `name` is for messages. Throws DataLossError for
// malformed or truncated headers, UnimplementedError for element types that
// Tributary does not have.
NpyHeader ParseNpyHeader(std::string_view file, const std::string& name);

// Throws also when the file is shorter than its header says.
Tensor ReadNpy(Env* env, const std::string& path);
// Throws UnimplementedError for strings. Replaces a file atomically, writes
// straight through to a pipe or a device.
void WriteNpy(Env* env, const std::string& path, const Tensor& tensor);

// The same on bytes.
Tensor ParseNpy(std::string_view file, const std::string& name);
std::string SerializeNpy(const Tensor& tensor);

}  // namespace tributary
