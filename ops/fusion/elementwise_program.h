#pragma once
// A chain of elementwise float32 ops as a small program over blocks that stay in the
// cache: what _FusedElementwise runs.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/shape.h"
#include "ops/simd/float_loops.h"

namespace tributary {

// The vector loops of an op with one or two float32 operands that may be part of a
// chain; both null when it may not.
struct ElementwiseLoops {
  simd::UnaryFn unary = nullptr;
  simd::BinaryFns binary;  // scalar forms may be null
  explicit operator bool() const { return unary || binary.vector_vector; }
};
ElementwiseLoops FindElementwise(std::string_view op);

// How an operand lies against the result: like it, one value, one row (the trailing
// dimensions) for all rows, or in a way that a chain can't read.
enum class OperandKind { kFull, kScalar, kRow, kOther };
OperandKind KindOf(const Shape& operand, const Shape& result);

class ElementwiseProgram {
 public:
  static constexpr int kMaxSteps = 24;
  static constexpr int kMaxInputs = 12;

  // ops: names; args: two numbers a step (the second is -1 for one operand), where
  // 0 .. inputs-1 are inputs and inputs + k is the result of step k. Throws
  // InvalidArgumentError for a program that makes no sense for these shapes.
  ElementwiseProgram(const std::vector<std::string>& ops, const std::vector<int64_t>& args,
                     const std::vector<Shape>& inputs, const Shape& result);

  // Whether the constructor would accept this.
  static bool Fits(const std::vector<std::string>& ops, const std::vector<int64_t>& args,
                   const std::vector<Shape>& inputs, const Shape& result);

  size_t scratch_bytes() const { return tiled_rows_ * kBlock * sizeof(float); }
  // out may be one of the inputs that have the shape of the result.
  void Run(void* const* in, float* out, float* scratch) const;

 private:
  static constexpr int64_t kBlock = 512;
  static constexpr int kSlots = 8;

  struct Input {
    OperandKind kind;
    int64_t row = 0;  // its length
    int tile = -1;    // of a short row: which part of the scratch repeats it
  };
  struct Step {
    simd::UnaryFn unary;
    simd::BinaryFn binary;
    int a, b;  // input, or inputs + slot
    int to;    // slot, or -1 for the result
  };
  void AddStep(const std::string& op, int a, int b, std::vector<int>* slot_of,
               const std::vector<int>& last_use, int k);
  void RunBlock(void* const* in, float* out, const float* scratch, int64_t at,
                int64_t n) const;

  std::vector<Input> inputs_;
  std::vector<Step> steps_;
  int64_t count_ = 0;
  int64_t row_ = 0;       // common length of row operands, 0 without
  int64_t block_ = kBlock;
  int tiled_rows_ = 0;
  uint32_t free_slots_ = (1u << kSlots) - 1;
};

}  // namespace tributary
