// BroadcastGradientArgs: which axes broadcasting had spread.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"

namespace tributary {
namespace {

// Axes of the broadcast shape along which `a` is spread, for `a` and `b` in turn.
std::array<std::vector<int64_t>, 2> SpreadAxes(const std::vector<int64_t>& a,
                                               const std::vector<int64_t>& b) {
  const int rank = static_cast<int>(std::max(a.size(), b.size()));
  std::array<std::vector<int64_t>, 2> axes;
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - static_cast<int>(a.size()));
    const int ib = i - (rank - static_cast<int>(b.size()));
    const int64_t da = ia < 0 ? 1 : a[ia];
    const int64_t db = ib < 0 ? 1 : b[ib];
    if (da != db && da != 1 && db != 1) {
      throw InvalidArgumentError("[BroadcastGradientArgs] shapes [{}] and [{}] do not broadcast",
                                 fmt::join(a, ", "), fmt::join(b, ", "));
    }
    // Both 1: TensorFlow lists the axis for both; summing it changes nothing.
    if (da == 1) axes[0].push_back(i);
    if (db == 1) axes[1].push_back(i);
  }
  return axes;
}

}  // namespace

REGISTER_OP("BroadcastGradientArgs")
    .Input("s0: T")
    .Input("s1: T")
    .Output("r0: T")
    .Output("r1: T")
    .Attr("T: {int32, int64} = int32")
    .Shape([](InferenceContext& c) {
      c.RequireRank(0, 1, "s0");
      c.RequireRank(1, 1, "s1");
      c.set_output(0, Shape{Shape::kUnknownDim});
      c.set_output(1, Shape{Shape::kUnknownDim});
      const auto s0 = c.constant_ints(0);
      const auto s1 = c.constant_ints(1);
      if (!s0 || !s1) return;
      const auto axes = SpreadAxes(*s0, *s1);
      for (int i = 0; i < 2; ++i) c.set_output(i, Shape{static_cast<int64_t>(axes[i].size())});
    })
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{{{Tensor::FromVector<int32_t>({2, 1, 4}),
                                     Tensor::FromVector<int32_t>({3, 1})}}};
    });

namespace {

std::unique_ptr<Kernel> MakeBroadcastGradientArgs(PrepareContext& c) {
  const auto axes = SpreadAxes(c.constant_ints(0), c.constant_ints(1));
  return DispatchIndex(c.in_dtype(0), "BroadcastGradientArgs", [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([axes](const LaunchArgs& args) {
      for (int i = 0; i < 2; ++i) {
        std::copy(axes[i].begin(), axes[i].end(), static_cast<T*>(args.out[i]));
      }
    }));
  });
}

REGISTER_KERNEL("BroadcastGradientArgs", DeviceType::kCpu, {}, MakeBroadcastGradientArgs);

}  // namespace

namespace ops {

std::vector<Tensor> BroadcastGradientArgs(const Tensor& s0, const Tensor& s1) {
  return Execute("BroadcastGradientArgs", {s0, s1});
}

}  // namespace ops
}  // namespace tributary
