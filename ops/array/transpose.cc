// Transpose: permutes the dimensions.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/constant_value.h"
#include "ops/array/shape_rules.h"
#include "ops/array/strided_copy.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"

namespace tributary {
namespace {

void CheckPermutation(const std::vector<int64_t>& perm, const std::string& op) {
  std::vector<bool> seen(perm.size());
  for (const int64_t p : perm) {
    if (p < 0 || p >= static_cast<int64_t>(perm.size()) || seen[p]) {
      throw InvalidArgumentError("[{}] [{}] is not a permutation", op, fmt::join(perm, ", "));
    }
    seen[p] = true;
  }
}

// perm with negative numbers, that count from the end, replaced.
std::vector<int64_t> NormalizedPerm(std::vector<int64_t> perm) {
  for (int64_t& p : perm) {
    if (p < 0) p += static_cast<int64_t>(perm.size());
  }
  CheckPermutation(perm, "Transpose");
  return perm;
}

void TransposeShape(InferenceContext& c) {
  const Shape& shape = c.shape(0);
  auto perm = c.constant_ints(1);
  if (!perm) {
    c.set_output(0, shape.unknown_rank()
                        ? shape
                        : Shape(std::vector<int64_t>(shape.rank(), Shape::kUnknownDim)));
    return;
  }
  perm = NormalizedPerm(*perm);
  if (shape.unknown_rank()) {
    return c.set_output(0, Shape(std::vector<int64_t>(perm->size(), Shape::kUnknownDim)));
  }
  if (static_cast<int>(perm->size()) != shape.rank()) {
    throw InvalidArgumentError("[Transpose] perm [{}] does not fit shape {}",
                               fmt::join(*perm, ", "), shape.ToString());
  }
  Shape result;
  for (const int64_t p : *perm) result.AddDim(shape[static_cast<int>(p)]);
  c.set_output(0, result);
}

std::unique_ptr<Kernel> MakeTranspose(PrepareContext& c) {
  const Shape& shape = c.in_shape(0);
  const Shape& result = c.out_shape(0);
  const auto strides = shape.Strides();
  std::vector<int64_t> from;
  for (const int64_t p : NormalizedPerm(c.constant_ints(1))) from.push_back(strides[p]);
  const StridedCopy copy(c.in_dtype(0), result.dims(), from, result.Strides());
  if (copy.IsContiguous()) {
    c.forward(0, 0);
    return nullptr;
  }
  return MakeKernel([copy](const LaunchArgs& args) { copy(args.in[0], args.out[0]); });
}

}  // namespace

REGISTER_OP("Transpose")
    .Input("x: T")
    .Input("perm: Tperm")
    .Output("y: T")
    .Attr("T: type")
    .Attr("Tperm: {int32, int64} = int32")
    .Shape(TransposeShape)
    .Gradient([](const GradContext& g) -> Grads {
      Tensor perm = g.input(1);
      if (const auto numbers = ops::ConstantInts(perm)) {
        perm = ops::IntList(NormalizedPerm(*numbers)).tensor();
      }
      return {ops::Transpose(g.grad(), ops::InvertPermutation(perm)), {}};
    })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {2, 3});
      return std::vector<OpSample>{
          {{x, Tensor::FromVector<int32_t>({1, 0})}},
          {{ops::Reshape(x, {1, 2, 3}), Tensor::FromVector<int32_t>({2, 0, 1})}},
          {{ops::Reshape(x, {1, 2, 3}), Tensor::FromVector<int32_t>({-1, 0, -2})}},
          {{Tensor::Zeros(DType::kFloat32, {0, 3}), Tensor::FromVector<int64_t>({1, 0})}}};
    });
REGISTER_KERNEL("Transpose", DeviceType::kCpu, {}, MakeTranspose);

REGISTER_OP("InvertPermutation")
    .Input("x: T")
    .Output("y: T")
    .Attr("T: {int32, int64} = int32")
    .Shape([](InferenceContext& c) {
      c.RequireRank(0, 1, "x");
      c.set_output(0, c.shape(0));
    })
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{{{Tensor::FromVector<int32_t>({2, 0, 1})}}};
    });
REGISTER_KERNEL("InvertPermutation", DeviceType::kCpu, {},
                [](PrepareContext& c) -> std::unique_ptr<Kernel> {
                  const int64_t n = c.in_shape(0).NumElements();
                  return DispatchIndex(c.in_dtype(0), "InvertPermutation", [n](auto zero) {
                    using T = decltype(zero);
                    return std::unique_ptr<Kernel>(MakeKernel([n](const LaunchArgs& args) {
                      const T* x = static_cast<const T*>(args.in[0]);
                      CheckPermutation({x, x + n}, "InvertPermutation");
                      for (int64_t i = 0; i < n; ++i) {
                        static_cast<T*>(args.out[0])[x[i]] = static_cast<T>(i);
                      }
                    }));
                  });
                });

namespace ops {

Tensor Transpose(const Tensor& x, const IntList& perm) {
  return Execute1("Transpose", {x, perm.tensor()});
}

Tensor InvertPermutation(const Tensor& x) {
  const auto perm = ConstantInts(x);
  if (!perm) return Execute1("InvertPermutation", {x});
  CheckPermutation(*perm, "InvertPermutation");
  std::vector<int64_t> inverse(perm->size());
  for (size_t i = 0; i < perm->size(); ++i) inverse[(*perm)[i]] = static_cast<int64_t>(i);
  return IntList(inverse).tensor();
}

}  // namespace ops
}  // namespace tributary
