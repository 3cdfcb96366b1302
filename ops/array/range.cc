// Range: evenly spaced numbers.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"

namespace tributary {
namespace {

template <typename T>
int64_t RangeSize(T start, T limit, T delta) {
  if (delta == T(0)) throw InvalidArgumentError("[Range] delta must not be 0");
  if constexpr (std::is_integral_v<T>) {
    if ((delta > 0) != (limit > start)) return 0;
    // Unsigned differences cannot overflow.
    const uint64_t span = delta > 0 ? uint64_t(limit) - uint64_t(start)
                                    : uint64_t(start) - uint64_t(limit);
    const uint64_t step = delta > 0 ? uint64_t(delta) : uint64_t{0} - uint64_t(delta);
    return static_cast<int64_t>((span + step - 1) / step);
  } else {
    const double size = std::ceil((double(limit) - double(start)) / double(delta));
    if (!(size < 9e15)) {
      throw InvalidArgumentError("[Range] from {} to {} by {} has no finite size",
                                 double(start), double(limit), double(delta));
    }
    return std::max<int64_t>(0, static_cast<int64_t>(size));
  }
}

void RangeShape(InferenceContext& c) {
  for (int i = 0; i < 3; ++i) ops::RequireScalar(c, i, "start, limit and delta");
  if (!c.constant(0) || !c.constant(1) || !c.constant(2)) {
    return c.set_output(0, Shape{Shape::kUnknownDim});
  }
  const int64_t size = DispatchNumber(c.dtype(0), "Range", [&](auto zero) {
    using T = ComputeType<decltype(zero)>;
    const auto value = [&](int i) { return T(*c.constant(i)->data<decltype(zero)>()); };
    return RangeSize<T>(value(0), value(1), value(2));
  });
  c.set_output(0, Shape{size});
}

std::unique_ptr<Kernel> MakeRange(PrepareContext& c) {
  // The size follows from the values: this kernel is for these alone.
  for (int i = 0; i < 3; ++i) c.constant(i);
  const int64_t count = c.out_shape(0).NumElements();
  return DispatchNumber(c.in_dtype(0), "Range", [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([count](const LaunchArgs& args) {
      const auto start = Load(*static_cast<const T*>(args.in[0]));
      const auto delta = Load(*static_cast<const T*>(args.in[2]));
      for (int64_t i = 0; i < count; ++i) {
        static_cast<T*>(args.out[0])[i] = T(start + static_cast<ComputeType<T>>(i) * delta);
      }
    }));
  });
}

}  // namespace

REGISTER_OP("Range")
    .Input("start: Tidx")
    .Input("limit: Tidx")
    .Input("delta: Tidx")
    .Output("output: Tidx")
    .Attr("Tidx: {float32, float64, float16, bfloat16, int8, int16, int32, int64} = int32")
    .Shape(RangeShape)
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{{{Tensor(2), Tensor(9), Tensor(3)}},
                                   {{Tensor(5), Tensor(0), Tensor(-2)}},
                                   {{Tensor(0.0f), Tensor(1.0f), Tensor(0.3f)}},
                                   {{Tensor(5), Tensor(0), Tensor(1)}}};
    });
REGISTER_KERNEL("Range", DeviceType::kCpu, {}, MakeRange);

namespace ops {

Tensor Range(const Tensor& start, const Tensor& limit, const Tensor& delta) {
  return Execute1("Range", {start, limit, delta});
}

}  // namespace ops
}  // namespace tributary
