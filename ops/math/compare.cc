// Comparisons, tests and logic: bool results, no gradient. One line an op.

#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/elementwise.h"
#include "ops/math/samples.h"
#include "ops/math_ops.h"

#define TRB_COMPARE(Op, kCommutes, formula)                                                 \
  namespace {                                                                               \
  struct Op##Fn {                                                                           \
    template <typename T>                                                                   \
    bool operator()(T x, T y) const {                                                       \
      return formula;                                                                       \
    }                                                                                       \
  };                                                                                        \
  [[maybe_unused]] const OpRegistrar Op##_registrar =                                       \
      DescribedComparison(OpBuilder(#Op), kCommutes);                                       \
  REGISTER_KERNEL(#Op, DeviceType::kCpu, {}, MakeComparison<Op##Fn>);                       \
  }                                                                                         \
  Tensor ops::Op(const Tensor& x, const Tensor& y) { return Execute1(#Op, {x, y}); }

#define TRB_LOGICAL(Op, formula)                                                            \
  namespace {                                                                               \
  struct Op##Fn {                                                                           \
    bool operator()(bool x, bool y) const { return formula; }                               \
  };                                                                                        \
  REGISTER_OP(#Op)                                                                          \
      .Input("x: bool")                                                                     \
      .Input("y: bool")                                                                     \
      .Output("z: bool")                                                                    \
      .Commutative()                                                                        \
      .Shape(BroadcastShape)                                                                \
      .NotDifferentiable()                                                                  \
      .Samples(LogicalSamples);                                                             \
  REGISTER_KERNEL(#Op, DeviceType::kCpu, {DType::kBool}, [](PrepareContext& c) {            \
    return MakeBroadcastKernel(c, LoopsOf<Op##Fn, bool, bool>());                           \
  });                                                                                       \
  }                                                                                         \
  Tensor ops::Op(const Tensor& x, const Tensor& y) { return Execute1(#Op, {x, y}); }

#define TRB_TEST(Op, formula)                                                               \
  namespace {                                                                               \
  struct Op##Fn {                                                                           \
    template <typename T>                                                                   \
    bool operator()(T x) const {                                                            \
      return formula;                                                                       \
    }                                                                                       \
  };                                                                                        \
  REGISTER_OP(#Op)                                                                          \
      .Input("x: T")                                                                        \
      .Output("y: bool")                                                                    \
      .Attr("T: {float32, float64, float16, bfloat16}")                                     \
      .Shape(ops::UnchangedShape)                                                           \
      .NotDifferentiable()                                                                  \
      .Samples([] { return UnarySamples(AnySample()); });                                   \
  REGISTER_KERNEL(#Op, DeviceType::kCpu, FloatTypes(), MakeTest<Op##Fn>);                   \
  }                                                                                         \
  Tensor ops::Op(const Tensor& x) { return Execute1(#Op, {x}); }

namespace tributary {
namespace {

OpBuilder& DescribedComparison(OpBuilder&& builder, bool commutes) {
  builder.Input("x: T").Input("y: T").Output("z: bool").Attr("T: type");
  if (commutes) builder.Commutative();
  // Equal and NotEqual; shapes that do not broadcast are always an error here.
  if (commutes) builder.Attr("incompatible_shape_error: bool = true");
  return builder.Shape(BroadcastShape).NotDifferentiable().Samples([] {
    return BinarySamples(AnySample(), AnySample());
  });
}

std::vector<OpSample> LogicalSamples() {
  return {{{Tensor::FromVector<bool>({true, true, false, false}, {2, 2}),
            Tensor::FromVector<bool>({true, false})}}};
}

template <typename Fn>
std::unique_ptr<Kernel> MakeComparison(PrepareContext& c) {
  if (c.in_dtype(0) == DType::kString) {
    return MakeBroadcastKernel(c, LoopsOf<Fn, std::string, bool>());
  }
  return DispatchPlain(c.in_dtype(0), c.op().c_str(), [&](auto zero) {
    return MakeBroadcastKernel(c, LoopsOf<Fn, decltype(zero), bool>());
  });
}

template <typename Fn, typename T>
void TestLoop(const void* in, void* out, int64_t n) {
  const T* x = static_cast<const T*>(in);
  for (int64_t i = 0; i < n; ++i) static_cast<bool*>(out)[i] = Fn()(Load(x[i]));
}

template <typename Fn>
std::unique_ptr<Kernel> MakeTest(PrepareContext& c) {
  return DispatchFloat(c.in_dtype(0), c.op().c_str(), [&](auto zero) {
    return MakeUnaryKernel(c, &TestLoop<Fn, decltype(zero)>);
  });
}

void NotLoop(const void* in, void* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    static_cast<bool*>(out)[i] = !static_cast<const bool*>(in)[i];
  }
}

}  // namespace

TRB_COMPARE(Equal, true, x == y)
TRB_COMPARE(NotEqual, true, x != y)
TRB_COMPARE(Less, false, x < y)
TRB_COMPARE(LessEqual, false, x <= y)
TRB_COMPARE(Greater, false, x > y)
TRB_COMPARE(GreaterEqual, false, x >= y)

TRB_LOGICAL(LogicalAnd, x && y)
TRB_LOGICAL(LogicalOr, x || y)

TRB_TEST(IsNan, std::isnan(x))
TRB_TEST(IsInf, std::isinf(x))
TRB_TEST(IsFinite, std::isfinite(x))

REGISTER_OP("LogicalNot")
    .Input("x: bool")
    .Output("y: bool")
    .Shape(ops::UnchangedShape)
    .NotDifferentiable()
    .Samples([] { return std::vector<OpSample>{{{Tensor::FromVector<bool>({true, false})}}}; });
REGISTER_KERNEL("LogicalNot", DeviceType::kCpu, {DType::kBool},
                [](PrepareContext& c) { return MakeUnaryKernel(c, &NotLoop); });
Tensor ops::LogicalNot(const Tensor& x) { return Execute1("LogicalNot", {x}); }

}  // namespace tributary
