#pragma once
// Live objects by number: how a node of a graph, which holds attributes only,
// names the communicator that its kernel uses (TensorFlow's group_key).

#include <map>
#include <memory>
#include <mutex>

#include "core/base/errors.h"

namespace tributary {

template <typename T>
class ObjectTable {
 public:
  explicit ObjectTable(const char* kind) : kind_(kind) {}

  // Does not own. Ranks that add the same objects in the same order get the same
  // numbers.
  int64_t Add(const std::shared_ptr<T>& object) {
    std::lock_guard lock(mutex_);
    objects_[++last_] = object;
    return last_;
  }

  // Throws FailedPreconditionError when it is gone, or never was.
  std::shared_ptr<T> Get(int64_t key) const {
    std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    auto object = found == objects_.end() ? nullptr : found->second.lock();
    if (!object) {
      throw FailedPreconditionError(
          "[{}] group_key {} is not alive in this process; a graph with collectives runs only "
          "under the strategy that made it",
          kind_, key);
    }
    return object;
  }

 private:
  const char* kind_;
  mutable std::mutex mutex_;
  std::map<int64_t, std::weak_ptr<T>> objects_;
  int64_t last_ = 0;
};

}  // namespace tributary
