// Sum, Mean, Prod, Max, Min, All, Any.

#include <limits>

#include "core/base/parallel.h"
#include "core/runtime/execute.h"
#include "ops/array/constant_value.h"
#include "ops/array/strided_copy.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"
#include "ops/math/reduce.h"
#include "ops/math/samples.h"
#include "ops/math_ops.h"
#include "ops/simd/float_loops.h"

namespace tributary {
namespace {

// A reducer: Acc Identity(); Acc Join(Acc, Acc). Row and Column have vector forms for
// float32.
template <typename A>
struct SumOf {
  using Acc = TotalType<A>;
  static Acc Identity() { return 0; }
  static Acc Join(Acc a, Acc b) { return Add(a, b); }
  static constexpr const char* kLoop = "AddV2";
  static auto Vector() { return simd::Reductions().sum; }
};
template <typename A>
struct ProdOf {
  using Acc = TotalType<A>;
  static Acc Identity() { return 1; }
  static Acc Join(Acc a, Acc b) { return Mul(a, b); }
  static constexpr const char* kLoop = "Mul";
  static simd::ReduceFn Vector() { return nullptr; }
};
template <typename A>
struct MaxOf {
  using Acc = A;
  static Acc Identity() {
    if constexpr (std::is_floating_point_v<A>) return -std::numeric_limits<A>::infinity();
    else return std::numeric_limits<A>::lowest();
  }
  static Acc Join(Acc a, Acc b) { return a != a || a > b ? a : b; }
  static constexpr const char* kLoop = "Maximum";
  static auto Vector() { return simd::Reductions().max; }
};
template <typename A>
struct MinOf {
  using Acc = A;
  static Acc Identity() {
    if constexpr (std::is_floating_point_v<A>) return std::numeric_limits<A>::infinity();
    else return std::numeric_limits<A>::max();
  }
  static Acc Join(Acc a, Acc b) { return a != a || a < b ? a : b; }
  static constexpr const char* kLoop = "Minimum";
  static auto Vector() { return simd::Reductions().min; }
};

// Pieces of this many elements are reduced on their own and joined in order, so that
// the result does not depend on the number of threads.
constexpr int64_t kPiece = 8192;
// Columns that are summed together.
constexpr int64_t kColumns = 1024;

template <typename R, typename T>
typename R::Acc ReduceRun(const T* x, int64_t n) {
  using Acc = typename R::Acc;
  if constexpr (std::is_same_v<T, float>) {
    if (const auto vector = R::Vector()) return vector(x, n);
  }
  if constexpr (std::is_integral_v<T>) {
    // One total, of any order: GCC 12 at -O3 sums four lanes of widened integers wrongly.
    Acc total = R::Identity();
    for (int64_t i = 0; i < n; ++i) total = R::Join(total, Load(x[i]));
    return total;
  }
  Acc lanes[4] = {R::Identity(), R::Identity(), R::Identity(), R::Identity()};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int k = 0; k < 4; ++k) lanes[k] = R::Join(lanes[k], Load(x[i + k]));
  }
  for (; i < n; ++i) lanes[0] = R::Join(lanes[0], Load(x[i]));
  return R::Join(R::Join(lanes[0], lanes[1]), R::Join(lanes[2], lanes[3]));
}

template <typename R, typename T>
class ReduceKernel final : public Kernel {
 public:
  using Acc = typename R::Acc;

  ReduceKernel(PrepareContext& c, ReducePlan plan, bool mean)
      : plan_(std::move(plan)), divisor_(mean ? plan_.reduced : 1) {
    if (plan_.rearranged()) {
      const Shape dense(plan_.dims);
      copy_ = std::make_unique<StridedCopy>(c.in_dtype(0), plan_.dims, plan_.strides,
                                            dense.Strides());
      copy_bytes_ = (dense.NumElements() * sizeof(T) + 63) / 64 * 64;
    }
    rows_ = plan_.inner >= kColumns ? std::max<int64_t>(1, plan_.reduced) : kPiece / std::max<int64_t>(1, plan_.inner);
    pieces_ = std::max<int64_t>(1, (plan_.reduced + rows_ - 1) / rows_);
    c.set_scratch_bytes(copy_bytes_ + plan_.outer * pieces_ * plan_.inner * sizeof(Acc));
    if constexpr (std::is_same_v<T, float>) {
      column_ = simd::FindBinary(R::kLoop).vector_vector;
    }
  }

  void Launch(const LaunchArgs& args) override {
    const T* x = static_cast<const T*>(args.in[0]);
    char* scratch = static_cast<char*>(args.scratch);
    if (copy_) {
      (*copy_)(x, scratch);
      x = reinterpret_cast<const T*>(scratch);
    }
    Acc* parts = reinterpret_cast<Acc*>(scratch + copy_bytes_);
    T* y = static_cast<T*>(args.out[0]);
    if (plan_.inner == 1) {
      ReduceRows(x, parts, y);
    } else {
      ReduceColumns(x, parts, y);
    }
  }

 private:
  void ReduceRows(const T* x, Acc* parts, T* y) const {
    const int64_t n = plan_.reduced;
    if (pieces_ == 1) {
      ParallelFor(plan_.outer, 1 + kPiece / std::max<int64_t>(n, 1),
                  [=, this](int64_t begin, int64_t end) {
                    for (int64_t o = begin; o < end; ++o) {
                      y[o] = Finish(ReduceRun<R, T>(x + o * n, n));
                    }
                  });
      return;
    }
    ParallelFor(plan_.outer * pieces_, 2, [=, this](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t from = i % pieces_ * rows_;
        parts[i] = ReduceRun<R, T>(x + i / pieces_ * n + from, std::min(rows_, n - from));
      }
    });
    for (int64_t o = 0; o < plan_.outer; ++o) {
      Acc acc = parts[o * pieces_];
      for (int64_t p = 1; p < pieces_; ++p) acc = R::Join(acc, parts[o * pieces_ + p]);
      y[o] = Finish(acc);
    }
  }

  void ReduceColumns(const T* x, Acc* parts, T* y) const {
    const int64_t inner = plan_.inner;
    const int64_t blocks = (inner + kColumns - 1) / kColumns;
    const int64_t work = rows_ * std::min(inner, kColumns);
    ParallelFor(plan_.outer * pieces_ * blocks, 1 + 2 * kPiece / std::max<int64_t>(1, work),
                [=, this](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    const int64_t part = i / blocks, column = i % blocks * kColumns;
                    const int64_t row = part % pieces_ * rows_;
                    Accumulate(
                        x + (part / pieces_ * plan_.reduced + row) * inner + column,
                        std::min(rows_, plan_.reduced - row), std::min(kColumns, inner - column),
                        parts + part * inner + column);
                  }
                });
    for (int64_t o = 0; o < plan_.outer; ++o) {
      Acc* sums = parts + o * pieces_ * inner;
      for (int64_t p = 1; p < pieces_; ++p) {
        for (int64_t k = 0; k < inner; ++k) sums[k] = R::Join(sums[k], sums[p * inner + k]);
      }
      for (int64_t k = 0; k < inner; ++k) y[o * inner + k] = Finish(sums[k]);
    }
  }

  void Accumulate(const T* x, int64_t rows, int64_t columns, Acc* sums) const {
    std::fill_n(sums, columns, R::Identity());
    for (int64_t r = 0; r < rows; ++r, x += plan_.inner) {
      if (column_) {
        column_(sums, x, sums, columns);
      } else {
        for (int64_t k = 0; k < columns; ++k) sums[k] = R::Join(sums[k], Load(x[k]));
      }
    }
  }

  T Finish(Acc acc) const {
    if (divisor_ == 1) return T(acc);
    if constexpr (std::is_integral_v<T>) {
      return divisor_ ? static_cast<T>(acc / divisor_) : T(0);
    } else {
      return T(acc / static_cast<Acc>(divisor_));  // of nothing: NaN
    }
  }

  ReducePlan plan_;
  int64_t divisor_, pieces_ = 1, rows_ = 1;  // rows of a piece
  std::unique_ptr<StridedCopy> copy_;
  size_t copy_bytes_ = 0;
  simd::BinaryFn column_ = nullptr;
};

template <template <typename> class R>
std::unique_ptr<Kernel> MakeReduction(PrepareContext& c) {
  ReducePlan plan = PlanReduction(c.in_shape(0), c.constant_ints(1), c.op());
  const bool mean = c.op() == "Mean";
  if (plan.reduced == 1) {
    c.forward(0, 0);
    return nullptr;
  }
  return DispatchNumber(c.in_dtype(0), c.op().c_str(), [&](auto zero) -> std::unique_ptr<Kernel> {
    using T = decltype(zero);
    return std::make_unique<ReduceKernel<R<ComputeType<T>>, T>>(c, std::move(plan), mean);
  });
}

// All is the smallest, Any the largest of bools.
template <template <typename> class R>
std::unique_ptr<Kernel> MakeLogical(PrepareContext& c) {
  ReducePlan plan = PlanReduction(c.in_shape(0), c.constant_ints(1), c.op());
  if (plan.reduced == 1) {
    c.forward(0, 0);
    return nullptr;
  }
  return std::make_unique<ReduceKernel<R<bool>, bool>>(c, std::move(plan), false);
}

// --- Gradients -------------------------------------------------------------------

// `y` (an output, or its gradient) with the reduced dimensions of x as size 1.
Tensor WithKeptDims(const GradContext& g, const Tensor& y) {
  const Tensor& x = g.input(0);
  if (g.attr<bool>("keep_dims")) return y;
  const auto axes = ops::ConstantInts(g.input(1));
  if (axes && !x.shape().unknown_rank()) {
    Tensor kept = y;
    const auto sorted = SortedAxes(*axes, x.rank(), g.op());
    if (x.shape().IsFullyDefined()) {
      Shape shape = x.shape();
      for (const int64_t axis : sorted) shape.set_dim(static_cast<int>(axis), 1);
      return kept.shape() == shape ? kept : ops::Reshape(kept, shape);
    }
    for (const int64_t axis : sorted) kept = ops::ExpandDims(kept, axis);
    return kept;
  }
  if (x.shape().unknown_rank()) {
    throw UnimplementedError("[{}] gradient of a tensor of unknown rank", g.op());
  }
  // 1 where an axis is reduced, else the dimension.
  const Tensor axis_list = ops::Cast(g.input(1), DType::kInt32);
  const Tensor rank(static_cast<int32_t>(x.rank()));
  const Tensor hit = ops::Sum(
      ops::OneHot(ops::FloorMod(axis_list, rank), x.rank(), Tensor(1), Tensor(0)), {0});
  const Tensor reduced = ops::Minimum(hit, Tensor(1));
  const Tensor shape = ops::Add(ops::Mul(ops::ShapeOf(x), ops::Sub(Tensor(1), reduced)), reduced);
  return ops::Reshape(y, shape);
}

Tensor Spread(const GradContext& g, const Tensor& dy) {
  return ops::BroadcastTo(WithKeptDims(g, dy), ops::ShapeOf(g.input(0)));
}

Grads SumGradient(const GradContext& g) { return {Spread(g, g.grad()), {}}; }

Grads MeanGradient(const GradContext& g) {
  const Tensor &x = g.input(0), &y = g.output();
  if (x.shape().IsFullyDefined() && y.shape().IsFullyDefined()) {
    const double count = static_cast<double>(x.NumElements()) /
                         static_cast<double>(std::max<int64_t>(1, y.NumElements()));
    return {Spread(g, ops::Div(g.grad(), ops::ScalarLike(y, count))), {}};
  }
  const Tensor count = ops::FloorDiv(ops::SizeOf(x), ops::Maximum(ops::SizeOf(y), Tensor(1)));
  return {Spread(g, ops::Div(g.grad(), ops::Cast(count, y.dtype()))), {}};
}

// Shared among equal largest elements.
Grads ExtremeGradient(const GradContext& g) {
  const Tensor& x = g.input(0);
  const Tensor hits = ops::Cast(ops::Equal(x, WithKeptDims(g, g.output())), x.dtype());
  const Tensor count = ops::Sum(hits, ops::Axes(g.input(1)), true);
  return {ops::Mul(ops::Div(hits, count), WithKeptDims(g, g.grad())), {}};
}

// Products of all elements but one, from both sides: exact with zeros too.
Grads ProdGradient(const GradContext& g) {
  const Tensor& x = g.input(0);
  const auto axes = ops::ConstantInts(g.input(1));
  if (!axes || !x.shape().IsFullyDefined()) {
    throw UnimplementedError("[Prod] the gradient needs known shapes and axes");
  }
  const auto sorted = SortedAxes(*axes, x.rank(), g.op());
  std::vector<int64_t> perm = sorted;
  int64_t reduced = 1;
  for (const int64_t axis : sorted) reduced *= x.dim(static_cast<int>(axis));
  for (int64_t i = 0; i < x.rank(); ++i) {
    if (!std::binary_search(sorted.begin(), sorted.end(), i)) perm.push_back(i);
  }
  const Tensor moved = ops::Transpose(x, perm);
  const Tensor flat = ops::Reshape(moved, {reduced, reduced ? x.NumElements() / reduced : 0});
  const Tensor others = ops::Mul(ops::Cumprod(flat, 0, true, false),
                                 ops::Cumprod(flat, 0, true, true));
  const Tensor back = ops::Transpose(ops::Reshape(others, moved.shape()),
                                     ops::InvertPermutation(ops::IntList(perm).tensor()));
  return {ops::Mul(Spread(g, g.grad()), back), {}};
}

// --- Registration ----------------------------------------------------------------

std::vector<OpSample> ReductionSamples() {
  const Tensor x = Tensor::FromVector<double>(
      {0.5, -1.2, 2.3, 0.7, 1.9, -0.4, 3.1, 0.9, -2.2, 1.1, 0.3, -0.8}, {2, 3, 2});
  const auto axes = [](std::vector<int32_t> v) { return Tensor::FromVector(v); };
  std::vector<OpSample> samples;
  for (const auto& list : std::vector<std::vector<int32_t>>{
           {0, 1, 2}, {2}, {0}, {1}, {0, 2}, {-1, 1}, {}}) {
    samples.push_back({{x, axes(list)}});
  }
  samples.push_back({{x, axes({1})}, {{"keep_dims", true}}});
  samples.push_back({{x, axes({0, 2})}, {{"keep_dims", true}}});
  samples.push_back({{x, Tensor(1)}});
  samples.push_back({{SampleAs(x, DType::kFloat32), axes({0})}});
  samples.push_back({{Tensor::Zeros(DType::kFloat32, {0, 3}), axes({0})}, {}, {0}, 1e9});
  return samples;
}

std::vector<OpSample> LogicalSamples() {
  const Tensor x = Tensor::FromVector<bool>({true, false, true, true}, {2, 2});
  return {{{x, Tensor::FromVector<int32_t>({0})}},
          {{x, Tensor::FromVector<int32_t>({1})}, {{"keep_dims", true}}},
          {{x, Tensor::FromVector<int32_t>({0, 1})}}};
}

Tensor Reduced(const char* op, const Tensor& input, const ops::Axes& axes, bool keep_dims) {
  Tensor list = axes.tensor();
  if (axes.all() && !input.shape().unknown_rank()) {
    std::vector<int32_t> all(input.rank());
    for (int i = 0; i < input.rank(); ++i) all[i] = i;
    list = Tensor::FromVector(all);
  } else if (axes.all()) {
    list = ops::Range(Tensor(0), ops::RankOf(input), Tensor(1));
  }
  return Execute1(op, {input, list}, {{"keep_dims", keep_dims}});
}

}  // namespace

#define TRB_REDUCTION(Name, reducer, gradient)                                              \
  REGISTER_OP(#Name)                                                                        \
      .Input("input: T")                                                                    \
      .Input("reduction_indices: Tidx")                                                     \
      .Output("output: T")                                                                  \
      .Attr("keep_dims: bool = false")                                                      \
      .Attr("T: {float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8}")   \
      .Attr("Tidx: {int32, int64} = int32")                                                 \
      .Shape(ReductionShape)                                                                \
      .Gradient(gradient)                                                                   \
      .Samples(ReductionSamples);                                                           \
  REGISTER_KERNEL(#Name, DeviceType::kCpu, NumberTypes(), MakeReduction<reducer>);          \
  Tensor ops::Name(const Tensor& input, const Axes& axes, bool keep_dims) {                 \
    return Reduced(#Name, input, axes, keep_dims);                                          \
  }

#define TRB_LOGICAL_REDUCTION(Name, reducer)                                                \
  REGISTER_OP(#Name)                                                                        \
      .Input("input: bool")                                                                 \
      .Input("reduction_indices: Tidx")                                                     \
      .Output("output: bool")                                                               \
      .Attr("keep_dims: bool = false")                                                      \
      .Attr("Tidx: {int32, int64} = int32")                                                 \
      .Shape(ReductionShape)                                                                \
      .NotDifferentiable()                                                                  \
      .Samples(LogicalSamples);                                                             \
  REGISTER_KERNEL(#Name, DeviceType::kCpu, {}, MakeLogical<reducer>);                       \
  Tensor ops::Name(const Tensor& input, const Axes& axes, bool keep_dims) {                 \
    return Reduced(#Name, input, axes, keep_dims);                                          \
  }

TRB_REDUCTION(Sum, SumOf, SumGradient)
TRB_REDUCTION(Mean, SumOf, MeanGradient)
TRB_REDUCTION(Prod, ProdOf, ProdGradient)
TRB_REDUCTION(Max, MaxOf, ExtremeGradient)
TRB_REDUCTION(Min, MinOf, ExtremeGradient)
TRB_LOGICAL_REDUCTION(All, MinOf)
TRB_LOGICAL_REDUCTION(Any, MaxOf)

}  // namespace tributary
