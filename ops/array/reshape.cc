// Reshape: the same elements in another shape; a view.

#include "core/base/checked.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"

namespace tributary {
namespace {

// Fills the -1 of `shape` from the size of `input`, as far as both are known. As
// Tensor::Reshaped, where `shape` has a 0 the other dimensions decide.
void FillUnknown(const Shape& input, Shape* shape) {
  int unknown = -1;
  bool zero = false;
  int64_t known = 1;  // of the dimensions that are not 0
  for (int i = 0; i < shape->rank(); ++i) {
    if ((*shape)[i] > 0) {
      known = CheckedMul(known, (*shape)[i], "Reshape");
    } else if ((*shape)[i] == 0) {
      zero = true;
    } else if (unknown >= 0) {
      throw InvalidArgumentError("[Reshape] {} has more than one -1", shape->ToString());
    } else {
      unknown = i;
    }
  }
  if (!input.IsFullyDefined()) return;
  const int64_t count = input.NumElements();
  if (unknown >= 0) {
    int64_t shared = 1;
    for (const int64_t d : input.dims()) {
      if (d > 0 || !zero) shared = CheckedMul(shared, d, "Reshape");
    }
    shape->set_dim(unknown, shared / known);
  }
  if (shape->NumElements() != count) {
    throw InvalidArgumentError("[Reshape] {} elements of shape {} do not fit shape {}", count,
                               input.ToString(), shape->ToString());
  }
}

}  // namespace

REGISTER_OP("Reshape")
    .Input("tensor: T")
    .Input("shape: Tshape")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Tshape: {int32, int64} = int32")
    .Shape([](InferenceContext& c) {
      Shape shape = ops::ShapeFromInput(c, 1, /*allow_unknown=*/true);
      if (c.constant(1)) FillUnknown(c.shape(0), &shape);
      c.set_output(0, shape);
    })
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::ReshapeLike(g.grad(), g.input(0)), {}};
    })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {2, 3});
      return std::vector<OpSample>{
          {{x, Tensor::FromVector<int32_t>({3, -1})}},
          {{x, Tensor::FromVector<int64_t>({6})}},
          {{Tensor::Zeros(DType::kFloat32, {0, 2}), Tensor::FromVector<int32_t>({2, -1})}},
          {{Tensor::Zeros(DType::kFloat32, {2, 0, 3}), Tensor::FromVector<int32_t>({0, -1})}}};
    });
REGISTER_KERNEL("Reshape", DeviceType::kCpu, {},
                [](PrepareContext& c) -> std::unique_ptr<Kernel> {
                  c.forward(0, 0);
                  return nullptr;
                });

namespace ops {

Tensor Reshape(const Tensor& tensor, const IntList& shape) {
  return Execute1("Reshape", {tensor, shape.tensor()});
}

Tensor ReshapeLike(const Tensor& x, const Tensor& like) {
  const tributary::Shape& shape = like.shape();
  if (shape.IsFullyDefined()) return x.shape() == shape ? x : Reshape(x, shape);
  return Reshape(x, ShapeOf(like));
}

}  // namespace ops
}  // namespace tributary
