#pragma once
// Second half of building a plan: the schedule, and an address for every tensor.

#include <functional>

#include "core/runtime/prepare.h"

namespace tributary {

// Where a tensor lies. Feeds have no address before they are bound.
struct Address {
  void* data = nullptr;
  int feed = -1;
};

struct LayoutStep {
  enum class Kind { kLaunch, kFinish, kCopy };
  Kind kind = Kind::kLaunch;
  const PreparedNode* prepared = nullptr;  // null for the copy of a fetched feed
  std::vector<Address> in, out;
  void* scratch = nullptr;
  // For the report and for kCopy.
  std::string name, output;
  size_t bytes = 0;
  bool strings = false;
  bool in_place = false;
  std::optional<size_t> arena_offset;
};

struct Layout {
  std::vector<LayoutStep> steps;
  std::vector<Tensor> fetches;
  std::vector<std::shared_ptr<void>> keep_alive;  // arena, buckets, variables
  size_t arena_bytes = 0, naive_bytes = 0, scratch_bytes = 0, constant_bytes = 0,
         variable_bytes = 0, bucket_bytes = 0;
};

// Pins the variables.
Layout MakeLayout(const PreparedGraph& prepared, const PlanOptions& options);

}  // namespace tributary
