#include "core/io/bundle_data.h"

#include "core/io/coding.h"
#include "core/io/crc32c.h"

namespace tributary {
namespace {

uint32_t ExtendLength(uint32_t crc, uint64_t length) {
  return ExtendCrc32c(crc, &length, length > UINT32_MAX ? 8 : 4);
}

// Lengths as varints, the masked checksum of the lengths as fixed numbers, then
// the strings. Returns the checksum of the whole, which is over fixed lengths.
uint32_t AppendStrings(const Tensor& tensor, WritableFile* file, int64_t* bytes) {
  std::string head;
  uint32_t crc = 0;
  for (const std::string& value : tensor.values<std::string>()) {
    PutVarint(&head, value.size());
    crc = ExtendLength(crc, value.size());
  }
  PutFixed32(&head, MaskCrc(crc));
  crc = ExtendCrc32c(crc, head.data() + head.size() - 4, 4);
  file->Append(head);
  *bytes = static_cast<int64_t>(head.size());
  for (const std::string& value : tensor.values<std::string>()) {
    file->Append(value);
    crc = ExtendCrc32c(crc, value.data(), value.size());
    *bytes += static_cast<int64_t>(value.size());
  }
  return crc;
}

uint32_t AppendPlain(const Tensor& tensor, WritableFile* file, int64_t* bytes) {
  *bytes = static_cast<int64_t>(tensor.bytes());
  const std::string_view data(static_cast<const char*>(tensor.raw_data()), tensor.bytes());
  file->Append(data);
  return Crc32c(data);
}

}  // namespace

uint32_t AppendTensorData(const Tensor& tensor, WritableFile* file, int64_t* bytes) {
  return tensor.dtype() == DType::kString ? AppendStrings(tensor, file, bytes)
                                          : AppendPlain(tensor, file, bytes);
}

}  // namespace tributary
