// Cast: converts the dtype of every element.

#include <limits>

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"

namespace tributary {

REGISTER_OP("Cast")
    .Input("x: SrcT")
    .Output("y: DstT")
    .Attr("SrcT: type")
    .Attr("DstT: type")
    .Attr("Truncate: bool = false")
    .Shape(ops::UnchangedShape)
    .Gradient([](const GradContext& g) -> Grads {
      if (!IsFloating(g.attr<DType>("SrcT")) || !IsFloating(g.attr<DType>("DstT"))) return {{}};
      return {ops::Cast(g.grad(), g.attr<DType>("SrcT"))};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Tensor::FromVector<double>({1.5, -2.5, 0})}, {{"DstT", DType::kFloat64}}},
          {{Tensor::FromVector<float>({1.5, -2.5, 1e30f})}, {{"DstT", DType::kInt32}}},
          {{Tensor::FromVector<uint8_t>({0, 7, 255})}, {{"DstT", DType::kFloat32}}},
          {{Tensor::FromVector<float>({1.5, -2.5})}, {{"DstT", DType::kHalf}}},
          {{Tensor::FromVector<bool>({true, false})}, {{"DstT", DType::kInt64}}}};
    });

namespace {

template <typename From, typename To>
To Convert(From from) {
  if constexpr (kIsSmallFloat<From>) {
    return Convert<float, To>(static_cast<float>(from));
  } else if constexpr (kIsSmallFloat<To>) {
    return To(static_cast<float>(from));
  } else if constexpr (std::is_same_v<To, bool>) {
    return from != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // The bounds are powers of two, so exact in From.
    constexpr From kLow = static_cast<From>(std::numeric_limits<To>::min());
    constexpr From kAbove = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * 2;
    if (!(from >= kLow)) return from != from ? To(0) : std::numeric_limits<To>::min();
    return from < kAbove ? static_cast<To>(from) : std::numeric_limits<To>::max();
  } else {
    return static_cast<To>(from);
  }
}

using ConvertFn = void (*)(const void* in, void* out, int64_t begin, int64_t end);

template <typename From, typename To>
void ConvertRange(const void* in, void* out, int64_t begin, int64_t end) {
  const From* x = static_cast<const From*>(in);
  To* y = static_cast<To*>(out);
  for (int64_t i = begin; i < end; ++i) y[i] = Convert<From, To>(x[i]);
}

std::unique_ptr<Kernel> MakeCast(PrepareContext& c) {
  if (c.in_dtype(0) == c.out_dtype(0)) {
    c.forward(0, 0);
    return nullptr;
  }
  const ConvertFn fn = DispatchPlain(c.in_dtype(0), "Cast", [&](auto from) {
    return DispatchPlain(c.out_dtype(0), "Cast", [&](auto to) -> ConvertFn {
      return ConvertRange<decltype(from), decltype(to)>;
    });
  });
  const int64_t count = c.out_shape(0).NumElements();
  if (DTypeSize(c.in_dtype(0)) == DTypeSize(c.out_dtype(0))) c.allow_in_place(0, 0);
  return MakeKernel([fn, count](const LaunchArgs& args) {
    ParallelFor(count, 1 << 15, [&](int64_t begin, int64_t end) {
      fn(args.in[0], args.out[0], begin, end);
    });
  });
}

REGISTER_KERNEL("Cast", DeviceType::kCpu, {}, MakeCast);

}  // namespace

namespace ops {

Tensor Cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return Execute1("Cast", {x}, {{"DstT", dtype}});
}

}  // namespace ops
}  // namespace tributary
