#include "ops/math/reduce.h"

namespace tributary {

std::vector<int64_t> SortedAxes(std::vector<int64_t> axes, int rank, const std::string& op) {
  for (int64_t& axis : axes) axis = NormalizeAxis(axis, rank, op);
  std::sort(axes.begin(), axes.end());
  if (const auto twice = std::adjacent_find(axes.begin(), axes.end()); twice != axes.end()) {
    throw InvalidArgumentError("[{}] axis {} is given twice; each axis is reduced once", op,
                               *twice);
  }
  return axes;
}

void ReductionShape(InferenceContext& c) {
  const Shape& shape = c.shape(0);
  const bool keep = c.attr<bool>("keep_dims");
  const auto axes = c.constant_ints(1);
  if (shape.unknown_rank()) return;
  if (!axes) {
    if (keep) c.set_output(0, Shape(std::vector<int64_t>(shape.rank(), Shape::kUnknownDim)));
    return;
  }
  const auto sorted = SortedAxes(*axes, shape.rank(), c.op());
  Shape result;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!std::binary_search(sorted.begin(), sorted.end(), i)) {
      result.AddDim(shape[i]);
    } else if (keep) {
      result.AddDim(1);
    }
  }
  c.set_output(0, result);
}

ReducePlan PlanReduction(const Shape& shape, const std::vector<int64_t>& axes,
                         const std::string& op) {
  const auto sorted = SortedAxes(axes, shape.rank(), op);
  struct Group {
    int64_t size;
    bool reduced;
    int64_t stride;
  };
  const auto strides = shape.Strides();
  std::vector<Group> groups;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const bool reduced = std::binary_search(sorted.begin(), sorted.end(), i);
    if (!groups.empty() && groups.back().reduced == reduced) {
      groups.back() = {groups.back().size * shape[i], reduced, strides[i]};
    } else {
      groups.push_back({shape[i], reduced, strides[i]});
    }
  }
  ReducePlan plan;
  const auto reduced_groups =
      std::count_if(groups.begin(), groups.end(), [](const Group& g) { return g.reduced; });
  if (reduced_groups <= 1) {
    bool before = true;
    for (const Group& g : groups) {
      if (g.reduced) {
        plan.reduced = g.size;
        before = false;
      } else {
        (before ? plan.outer : plan.inner) = g.size;
      }
    }
    return plan;
  }
  std::stable_partition(groups.begin(), groups.end(), [](const Group& g) { return !g.reduced; });
  for (const Group& g : groups) {
    (g.reduced ? plan.reduced : plan.outer) *= g.size;
    plan.dims.push_back(g.size);
    plan.strides.push_back(g.stride);
  }
  return plan;
}

}  // namespace tributary
