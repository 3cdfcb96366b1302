#include "distribute/ps/dense_variable.h"

#include <algorithm>

#include "core/base/checked.h"
#include "core/base/errors.h"

namespace tributary::ps {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 36;

VariableSpec Checked(VariableSpec spec) {
  int64_t elements = 1;
  for (const int64_t d : spec.shape) {
    if (d < 0) throw InvalidArgumentError("[ps] variable '{}' has a dimension {}", spec.name, d);
    elements = CheckedMul(elements, d, "ps variable");
  }
  const int64_t rows = spec.shape.empty() ? 1 : spec.shape[0];
  if (spec.begin < 0 || spec.end < spec.begin || spec.end > rows || elements > kMaxElements) {
    throw InvalidArgumentError("[ps] part [{}, {}) of variable '{}' with {} rows", spec.begin,
                               spec.end, spec.name, rows);
  }
  return spec;
}

}  // namespace

DenseVariable::DenseVariable(VariableSpec spec)
    : spec_(Checked(std::move(spec))),
      rule_(UpdateRules().Make(spec_.optimizer.name, spec_.optimizer.ToNode())) {
  const int64_t rows = spec_.shape.empty() ? 1 : spec_.shape[0];
  if (!rule_.elementwise && spec_.trainable && spec_.end - spec_.begin != rows) {
    throw InvalidArgumentError("[ps] variable '{}' is cut into parts, but {} needs it whole",
                               spec_.name, rule_.name);
  }
  weights_.resize(spec_.elements());
  for (const RuleSlot& slot : rule_.slots) {
    slots_.emplace_back(slot.per_row ? 1 : spec_.elements(), slot.initial);
  }
}

void DenseVariable::Apply(const float* grad, uint64_t update, double learning_rate) {
  UpdateArrays arrays{.var = weights_.data(), .grad = grad};
  float** slots[] = {&arrays.slot0, &arrays.slot1, &arrays.slot2};
  for (size_t k = 0; k < slots_.size(); ++k) *slots[k] = slots_[k].data();
  rule_.update(arrays, rule_.numbers(static_cast<int64_t>(update), learning_rate), 0,
               static_cast<int64_t>(weights_.size()));
  updates_ = update;
  ++version_;
}

void DenseVariable::Assign(const float* weights) {
  std::copy(weights, weights + weights_.size(), weights_.begin());
  ++version_;
}

uint64_t DenseVariable::bytes() const {
  uint64_t n = weights_.size();
  for (const auto& s : slots_) n += s.size();
  return n * sizeof(float);
}

}  // namespace tributary::ps
