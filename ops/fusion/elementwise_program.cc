#include "ops/fusion/elementwise_program.h"

#include "core/base/errors.h"
#include "core/base/parallel.h"
#include "ops/nn/activation_loops.h"

namespace tributary {
namespace {

template <ActivationLoop kLoop>
void Activation(const void* x, void* y, int64_t n) {
  RunActivation(kLoop, static_cast<const float*>(x), nullptr, static_cast<float*>(y), n, 0);
}

template <ActivationLoop kLoop>
void ActivationGrad(const void* dy, const void* x, void* dx, int64_t n) {
  RunActivation(kLoop, static_cast<const float*>(dy), static_cast<const float*>(x),
                static_cast<float*>(dx), n, 0);
}

struct ActivationRow {
  const char* op;
  simd::UnaryFn unary;
  simd::BinaryFn grad;
};

#define TRB_ACTIVATION(Name)                                     \
  {#Name, &Activation<ActivationLoop::k##Name>, nullptr},        \
      {#Name "Grad", nullptr, &ActivationGrad<ActivationLoop::k##Name##Grad>}

// Those without an attribute.
constexpr ActivationRow kActivations[] = {
    TRB_ACTIVATION(Relu), TRB_ACTIVATION(Relu6),    TRB_ACTIVATION(Elu),
    TRB_ACTIVATION(Selu), TRB_ACTIVATION(Softplus), TRB_ACTIVATION(Softsign)};

}  // namespace

ElementwiseLoops FindElementwise(std::string_view op) {
  if (const auto unary = simd::FindUnary(op)) return {unary, {}};
  if (const auto binary = simd::FindBinary(op); binary.vector_vector) return {nullptr, binary};
  for (const ActivationRow& row : kActivations) {
    if (op == row.op) return {row.unary, {row.grad, nullptr, nullptr}};
  }
  return {};
}

OperandKind KindOf(const Shape& operand, const Shape& result) {
  if (operand == result) return OperandKind::kFull;
  int leading = 0;
  while (leading < operand.rank() && operand[leading] == 1) ++leading;
  if (leading == operand.rank()) return OperandKind::kScalar;
  const int shift = result.rank() - operand.rank();
  if (shift < 0) return OperandKind::kOther;
  for (int i = leading; i < operand.rank(); ++i) {
    if (operand[i] != result[i + shift]) return OperandKind::kOther;
  }
  return OperandKind::kRow;
}

ElementwiseProgram::ElementwiseProgram(const std::vector<std::string>& ops,
                                       const std::vector<int64_t>& args,
                                       const std::vector<Shape>& inputs, const Shape& result)
    : count_(result.NumElements()) {
  const int n = static_cast<int>(inputs.size());
  const int steps = static_cast<int>(ops.size());
  if (steps < 1 || steps > kMaxSteps || args.size() != 2 * ops.size() || n > kMaxInputs) {
    throw InvalidArgumentError("[_FusedElementwise] {} steps with {} arguments and {} inputs",
                               steps, args.size(), n);
  }
  for (const Shape& shape : inputs) {
    Input input{KindOf(shape, result)};
    if (input.kind == OperandKind::kRow) {
      input.row = shape.NumElements();
      if (row_ && row_ != input.row) input.kind = OperandKind::kOther;
      row_ = input.row;
      if (row_ <= kBlock) input.tile = tiled_rows_++;
    }
    if (input.kind == OperandKind::kOther) {
      throw InvalidArgumentError("[_FusedElementwise] an input of shape {} does not fit {}",
                                 shape.ToString(), result.ToString());
    }
    inputs_.push_back(input);
  }
  if (row_ && row_ <= kBlock) block_ = kBlock / row_ * row_;
  std::vector<int> last_use(steps, -1);
  for (int k = 0; k < steps; ++k) {
    for (int j = 0; j < 2; ++j) {
      const int64_t arg = args[2 * k + j];
      if (arg < (j ? -1 : 0) || arg >= n + k) {
        throw InvalidArgumentError("[_FusedElementwise] step {} reads value {}", k, arg);
      }
      if (arg >= n) last_use[arg - n] = k;
    }
  }
  std::vector<int> slot_of(steps, -1);
  for (int k = 0; k < steps; ++k) {
    AddStep(ops[k], static_cast<int>(args[2 * k]), static_cast<int>(args[2 * k + 1]), &slot_of,
            last_use, k);
  }
  steps_.back().to = -1;
}

bool ElementwiseProgram::Fits(const std::vector<std::string>& ops,
                              const std::vector<int64_t>& args,
                              const std::vector<Shape>& inputs, const Shape& result) {
  try {
    ElementwiseProgram(ops, args, inputs, result);
    return true;
  } catch (const InvalidArgumentError&) {
    return false;
  }
}

void ElementwiseProgram::AddStep(const std::string& op, int a, int b, std::vector<int>* slot_of,
                                 const std::vector<int>& last_use, int k) {
  const int n = static_cast<int>(inputs_.size());
  const ElementwiseLoops loops = FindElementwise(op);
  const auto scalar = [&](int v) { return v < n && inputs_[v].kind == OperandKind::kScalar; };
  Step step{loops.unary, nullptr, a, b, -1};
  if (b >= 0) {
    step.binary = scalar(a)   ? loops.binary.scalar_vector
                  : scalar(b) ? loops.binary.vector_scalar
                              : loops.binary.vector_vector;
  }
  const bool both_scalar = scalar(a) && (b < 0 || scalar(b));
  if ((b < 0 ? !step.unary : !step.binary) || (both_scalar && count_ != 1)) {
    throw InvalidArgumentError("[_FusedElementwise] step {} ({}) can't be computed", k, op);
  }
  // The slot of an operand that nobody reads later may take the result.
  for (int* operand : {&step.a, &step.b}) {
    if (*operand < n) continue;
    const int source = *operand - n;
    *operand = n + (*slot_of)[source];
    if (last_use[source] == k) free_slots_ |= 1u << (*slot_of)[source];
  }
  if (last_use[k] >= 0) {
    if (free_slots_ == 0) {
      throw InvalidArgumentError("[_FusedElementwise] needs more than {} values at once", kSlots);
    }
    step.to = (*slot_of)[k] = __builtin_ctz(free_slots_);
    free_slots_ &= free_slots_ - 1;
  }
  steps_.push_back(step);
}

void ElementwiseProgram::Run(void* const* in, float* out, float* scratch) const {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i].tile < 0) continue;
    float* tile = scratch + inputs_[i].tile * kBlock;
    for (int64_t k = 0; k < std::min(block_, count_); k += row_) {
      std::memcpy(tile + k, in[i], row_ * sizeof(float));
    }
  }
  const int64_t grain = std::max<int64_t>(1, (1 << 16) / (block_ * steps_.size()));
  if (row_ > kBlock) {
    // Blocks end where rows do.
    const int64_t blocks = (row_ + kBlock - 1) / kBlock;
    ParallelFor(count_ / row_ * blocks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t column = i % blocks * kBlock;
        RunBlock(in, out, scratch, i / blocks * row_ + column,
                 std::min(kBlock, row_ - column));
      }
    });
    return;
  }
  ParallelFor((count_ + block_ - 1) / block_, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      RunBlock(in, out, scratch, i * block_, std::min(block_, count_ - i * block_));
    }
  });
}

void ElementwiseProgram::RunBlock(void* const* in, float* out, const float* scratch,
                                  int64_t at, int64_t n) const {
  alignas(64) float slots[kSlots][kBlock];
  const int inputs_count = static_cast<int>(inputs_.size());
  const auto operand = [&](int v) -> const float* {
    if (v >= inputs_count) return slots[v - inputs_count];
    const float* base = static_cast<const float*>(in[v]);
    switch (inputs_[v].kind) {
      case OperandKind::kFull: return base + at;
      case OperandKind::kRow:
        return inputs_[v].tile >= 0 ? scratch + inputs_[v].tile * kBlock : base + at % row_;
      default: return base;
    }
  };
  for (const Step& step : steps_) {
    float* to = step.to < 0 ? out + at : slots[step.to];
    if (step.unary) {
      step.unary(operand(step.a), to, n);
    } else {
      step.binary(operand(step.a), operand(step.b), to, n);
    }
  }
}

}  // namespace tributary
