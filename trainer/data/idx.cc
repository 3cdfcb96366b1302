#include "trainer/data/idx.h"

#include <algorithm>
#include <bit>

#include "core/base/logging.h"
#include "trainer/data/byte_reader.h"

namespace tributary::data {
namespace {

DType ElementType(const ByteReader& reader, uint8_t code) {
  switch (code) {
    case 0x08: return DType::kUint8;
    case 0x09: return DType::kInt8;
    case 0x0b: return DType::kInt16;
    case 0x0c: return DType::kInt32;
    case 0x0d: return DType::kFloat32;
    case 0x0e: return DType::kFloat64;
  }
  throw DataLossError("[idx] {}: unknown element type 0x{:02x} at byte 2", reader.path(), code);
}

Shape ReadShape(ByteReader* reader, int rank) {
  std::vector<int64_t> dims;
  for (int i = 0; i < rank; ++i) {
    uint8_t b[4];
    reader->ReadExactly(b, 4, "a dimension");
    dims.push_back(int64_t{b[0]} << 24 | b[1] << 16 | b[2] << 8 | b[3]);
  }
  return Shape(dims);
}

// Bytes of all values; refuses what the file can't hold before memory is taken.
int64_t PayloadBytes(const ByteReader& reader, const Shape& shape, DType dtype,
                     int64_t max_bad_records) {
  int64_t row_bytes = static_cast<int64_t>(DTypeSize(dtype));
  bool wraps = false;
  for (int i = 1; i < shape.rank(); ++i) {
    wraps |= __builtin_mul_overflow(row_bytes, shape[i], &row_bytes);
  }
  int64_t bytes = 0;
  wraps |= __builtin_mul_overflow(row_bytes, shape[0], &bytes);
  const int64_t left = reader.MaxBytesLeft();
  const int64_t possible = row_bytes > 0 && !wraps ? left / row_bytes : shape[0];
  if (wraps || shape[0] - possible > max_bad_records) {
    throw DataLossError("[idx] {} is truncated, or its header is wrong: it promises {} values of "
                        "{} from byte {}, but {} {} bytes follow; get the file again",
                        reader.path(), shape.ToString(), DTypeName(dtype), reader.offset(),
                        reader.compressed() ? "at most" : "only", left);
  }
  return bytes;
}

void SwapBytes(char* data, int64_t bytes, size_t width) {
  if (width == 1 || std::endian::native == std::endian::big) return;
  for (int64_t i = 0; i < bytes; i += static_cast<int64_t>(width)) {
    std::reverse(data + i, data + i + width);
  }
}

// Drops rows lost at the end, if few enough.
Tensor KeepWholeRows(const ByteReader& reader, const Tensor& values, int64_t got_bytes,
                     int64_t row_bytes, const IdxOptions& options) {
  const int64_t rows = values.dim(0);
  const int64_t whole = row_bytes > 0 ? got_bytes / row_bytes : 0;
  if (rows - whole > options.max_bad_records) {
    throw DataLossError("[idx] {} is truncated in record {} of {}: expected {} bytes, the file "
                        "ends at byte {}{}; get the file again, or set max_bad_records to {}",
                        reader.path(), whole, rows, values.bytes(), reader.offset(),
                        reader.compressed() ? " (decompressed)" : "", rows - whole);
  }
  LogWarning("[idx] {} is truncated at byte {}: the last {} of {} records are left out",
             reader.path(), reader.offset(), rows - whole, rows);
  return values.Slice(0, whole);
}

}  // namespace

Tensor ReadIdx(Env* env, const std::string& path, const IdxOptions& options) {
  ByteReader reader(env, path);
  uint8_t magic[4];
  reader.ReadExactly(magic, 4, "the IDX header");
  if (magic[0] != 0 || magic[1] != 0) {
    throw DataLossError("[idx] {} is not an IDX file: it starts with 0x{:02x}{:02x}; expected "
                        "0x0000; at byte 0",
                        path, magic[0], magic[1]);
  }
  const DType dtype = ElementType(reader, magic[2]);
  const int rank = magic[3];
  if (rank < 1 || rank > 8) {
    throw DataLossError("[idx] {}: rank {} at byte 3; expected 1 to 8", path, rank);
  }
  const Shape shape = ReadShape(&reader, rank);
  const int64_t bytes = PayloadBytes(reader, shape, dtype, options.max_bad_records);
  Tensor values = Tensor::Empty(dtype, shape);
  char* data = static_cast<char*>(values.raw_data());
  const int64_t got = static_cast<int64_t>(reader.Read(data, static_cast<size_t>(bytes)));
  if (got < bytes) {
    values = KeepWholeRows(reader, values, got, bytes / shape[0], options);
  } else if (char extra; reader.Read(&extra, 1) == 1) {
    const int64_t end = reader.offset() - 1;
    reader.CheckRest();  // where that is the fault, it says so
    throw DataLossError("[idx] {} is damaged, or its header is wrong: it goes on after its {} "
                        "records; at byte {}{}; get the file again",
                        path, shape[0], end, reader.compressed() ? " (decompressed)" : "");
  }
  SwapBytes(data, static_cast<int64_t>(values.bytes()), DTypeSize(dtype));
  return values;
}

}  // namespace tributary::data
