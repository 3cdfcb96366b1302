#pragma once
// Memory for the length of a scope, kept for the next lease of the thread.

#include <cstddef>
#include <vector>

namespace tributary::data {

class ScratchLease {
 public:
  explicit ScratchLease(size_t bytes) {
    auto& spare = Spare();
    if (!spare.empty()) {
      memory_ = std::move(spare.back());
      spare.pop_back();
    }
    if (memory_.size() < bytes) memory_.resize(bytes);
  }
  ~ScratchLease() { Spare().push_back(std::move(memory_)); }
  ScratchLease(const ScratchLease&) = delete;

  char* data() { return memory_.data(); }

 private:
  static std::vector<std::vector<char>>& Spare() {
    thread_local std::vector<std::vector<char>> spare;
    return spare;
  }
  std::vector<char> memory_;
};

}  // namespace tributary::data
