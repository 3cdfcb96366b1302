#pragma once
// How a tensor is reduced over axes, worked out once, and the loops that do it.

#include <memory>
#include <vector>

#include "core/graph/kernel.h"

namespace tributary {

// Shape rule of Sum, Max, ...: inputs (input, reduction_indices), attribute keep_dims.
void ReductionShape(InferenceContext& c);

// The input seen as [outer, reduced, inner], if needed after its kept dimensions were
// moved to the front.
struct ReducePlan {
  int64_t outer = 1, reduced = 1, inner = 1;
  // Non-empty: dimensions and strides of the rearranged input.
  std::vector<int64_t> dims, strides;
  bool rearranged() const { return !dims.empty(); }
};
ReducePlan PlanReduction(const Shape& shape, const std::vector<int64_t>& axes,
                         const std::string& op);

// `axes` as sorted non-negative numbers. Throws InvalidArgumentError for one that is out
// of range or given twice.
std::vector<int64_t> SortedAxes(std::vector<int64_t> axes, int rank, const std::string& op);

}  // namespace tributary
