#pragma once
// Buckets in plain memory of this process: what most strategies hand out.

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/tensor/buffer.h"
#include "trainer/strategy/strategy.h"

namespace tributary {

class PlainBuckets {
 public:
  // Strategy::AllocateBucket. `strategy` is named in errors.
  std::shared_ptr<Buffer> Allocate(const char* strategy, BucketKind kind, const std::string& name,
                                   size_t bytes);

 private:
  std::map<std::pair<BucketKind, std::string>, std::shared_ptr<Buffer>> buckets_;
};

}  // namespace tributary
