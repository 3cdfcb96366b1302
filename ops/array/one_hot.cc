// OneHot: indices as unit vectors.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"

namespace tributary {
namespace {

int AxisOf(int64_t axis, int rank) {
  return axis == -1 ? rank : NormalizeAxis(axis, rank + 1, "OneHot");
}

void OneHotShape(InferenceContext& c) {
  ops::RequireScalar(c, 1, "depth");
  ops::RequireScalar(c, 2, "on_value");
  ops::RequireScalar(c, 3, "off_value");
  const auto depth = ops::ConstantInt(c, 1);
  if (depth && *depth < 0) throw InvalidArgumentError("[OneHot] depth {} is negative", *depth);
  const Shape& indices = c.shape(0);
  if (indices.unknown_rank()) return c.set_output(0, indices);
  std::vector<int64_t> dims = indices.dims();
  const int axis = AxisOf(c.attr<int64_t>("axis"), indices.rank());
  dims.insert(dims.begin() + axis, depth ? *depth : Shape::kUnknownDim);
  c.set_output(0, Shape(dims));
}

template <typename T, typename Index>
void WriteOneHot(const LaunchArgs& args, int64_t outer, int64_t depth, int64_t inner) {
  const Index* indices = static_cast<const Index*>(args.in[0]);
  const T on = *static_cast<const T*>(args.in[2]);
  T* out = static_cast<T*>(args.out[0]);
  std::fill_n(out, outer * depth * inner, *static_cast<const T*>(args.in[3]));
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      const int64_t at = indices[o * inner + i];
      if (at >= 0 && at < depth) out[(o * depth + at) * inner + i] = on;
    }
  }
}

std::unique_ptr<Kernel> MakeOneHot(PrepareContext& c) {
  const Shape& indices = c.in_shape(0);
  const int axis = AxisOf(c.attr<int64_t>("axis"), indices.rank());
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < indices.rank(); ++i) (i < axis ? outer : inner) *= indices[i];
  const int64_t depth = c.out_shape(0)[axis];
  return DispatchPlain(c.in_dtype(2), "OneHot", [&](auto t) -> std::unique_ptr<Kernel> {
    using T = decltype(t);
    if (c.in_dtype(0) == DType::kUint8) {
      return MakeKernel([=](const LaunchArgs& args) {
        WriteOneHot<T, uint8_t>(args, outer, depth, inner);
      });
    }
    return DispatchIndex(c.in_dtype(0), "OneHot", [&](auto i) {
      using Index = decltype(i);
      return std::unique_ptr<Kernel>(MakeKernel([=](const LaunchArgs& args) {
        WriteOneHot<T, Index>(args, outer, depth, inner);
      }));
    });
  });
}

}  // namespace

REGISTER_OP("OneHot")
    .Input("indices: TI")
    .Input("depth: int32")
    .Input("on_value: T")
    .Input("off_value: T")
    .Output("output: T")
    .Attr("axis: int = -1")
    .Attr("T: type")
    .Attr("TI: {uint8, int32, int64} = int64")
    .Shape(OneHotShape)
    .NotDifferentiable()
    .Samples([] {
      const Tensor indices = Tensor::FromVector<int64_t>({1, 0, -1, 3}, {2, 2});
      return std::vector<OpSample>{
          {{indices, Tensor(3), Tensor(1.0f), Tensor(0.0f)}},
          {{indices, Tensor(3), Tensor(5.0f), Tensor(-1.0f)}, {{"axis", 0}}},
          {{Tensor(int32_t{1}), Tensor(2), Tensor(true), Tensor(false)}}};
    });
REGISTER_KERNEL("OneHot", DeviceType::kCpu, {}, MakeOneHot);

namespace ops {

Tensor OneHot(const Tensor& indices, int64_t depth, const Tensor& on_value,
              const Tensor& off_value, int64_t axis) {
  return Execute1("OneHot",
                  {indices, Tensor(static_cast<int32_t>(depth)), on_value, off_value},
                  {{"axis", axis}});
}

}  // namespace ops
}  // namespace tributary
