#include "trainer/strategy/plain_buckets.h"

#include <cstring>

#include "core/base/errors.h"

namespace tributary {

std::shared_ptr<Buffer> PlainBuckets::Allocate(const char* strategy, BucketKind kind,
                                               const std::string& name, size_t bytes) {
  std::shared_ptr<Buffer>& buffer = buckets_[{kind, name}];
  if (!buffer) {
    buffer = Buffer::Allocate(bytes);
    std::memset(buffer->data(), 0, bytes);
  }
  if (buffer->bytes() < bytes) {
    throw InvalidArgumentError(
        "[{}] bucket '{}' was allocated with {} bytes, now {} are asked for", strategy, name,
        buffer->bytes(), bytes);
  }
  return buffer;
}

}  // namespace tributary
