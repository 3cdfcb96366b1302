#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/linalg/gemm.h"
#include "ops/linalg/reference_gemm.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

Tensor BatchMatMul(const Tensor& x, const Tensor& y, bool adj_x, bool adj_y) {
  return Execute1("BatchMatMulV2", {x, y}, {{"adj_x", adj_x}, {"adj_y", adj_y}});
}

}  // namespace ops

namespace {

Shape BatchOf(const Shape& shape) {
  return Shape(std::vector<int64_t>(shape.dims().begin(), shape.dims().end() - 2));
}

void BatchMatMulShape(InferenceContext& c) {
  for (int i = 0; i < 2; ++i) {
    if (!c.shape(i).unknown_rank() && c.shape(i).rank() < 2) {
      throw InvalidArgumentError("[BatchMatMulV2] input {} must have rank 2 or more, got {}",
                                 i ? "y" : "x", c.shape(i).ToString());
    }
  }
  if (c.shape(0).unknown_rank() || c.shape(1).unknown_rank()) {
    c.set_output(0, Shape::UnknownRank());
    return;
  }
  const bool ax = c.attr<bool>("adj_x"), ay = c.attr<bool>("adj_y");
  ops::MergeDims(c, c.shape(0).dim(ax ? -2 : -1), c.shape(1).dim(ay ? -1 : -2),
                 "inner dimension");
  Shape out = BroadcastShapes(BatchOf(c.shape(0)), BatchOf(c.shape(1)), "BatchMatMulV2");
  out.AddDim(c.shape(0).dim(ax ? -1 : -2));
  out.AddDim(c.shape(1).dim(ay ? -2 : -1));
  c.set_output(0, out);
}

// Sums what broadcasting of the leading dimensions had spread.
Tensor UnbroadcastBatch(const Tensor& grad, const Tensor& x, const Tensor& other) {
  const Shape &sx = x.shape(), &so = other.shape();
  if (!sx.unknown_rank() && !so.unknown_rank() && BatchOf(sx) == BatchOf(so) &&
      BatchOf(sx).IsFullyDefined()) {
    return grad;
  }
  // The last two dimensions of `grad` are x's own, so they never need a sum.
  return ops::UnbroadcastLike(grad, x, grad);
}

Grads BatchMatMulGradient(const GradContext& g) {
  const Tensor &x = g.input(0), &y = g.input(1), &dz = g.grad();
  const bool ax = g.attr<bool>("adj_x"), ay = g.attr<bool>("adj_y");
  using ops::BatchMatMul;
  const Tensor dx = ax ? BatchMatMul(y, dz, ay, true) : BatchMatMul(dz, y, false, !ay);
  const Tensor dy = ay ? BatchMatMul(dz, x, true, ax) : BatchMatMul(x, dz, !ax, false);
  return {UnbroadcastBatch(dx, x, y), UnbroadcastBatch(dy, y, x)};
}

// Offsets (in matrices) of x and y for each matrix of the result.
std::vector<std::pair<int64_t, int64_t>> Offsets(const Shape& x, const Shape& y,
                                                 const Shape& out) {
  const Shape bx = BatchOf(x), by = BatchOf(y), bo = BatchOf(out);
  std::vector<std::pair<int64_t, int64_t>> offsets(bo.NumElements());
  const auto offset = [&](const Shape& batch, int64_t index) {
    int64_t result = 0, stride = 1;
    for (int d = bo.rank() - 1; d >= 0; --d) {
      const int own = d - (bo.rank() - batch.rank());
      if (own >= 0) {
        if (batch[own] != 1) result += index % bo[d] * stride;
        stride *= batch[own];
      }
      index /= bo[d];
    }
    return result;
  };
  for (size_t i = 0; i < offsets.size(); ++i) offsets[i] = {offset(bx, i), offset(by, i)};
  return offsets;
}

GemmSpec SpecOf(const PrepareContext& c) {
  GemmSpec spec;
  spec.transpose_a = c.attr<bool>("adj_x");
  spec.transpose_b = c.attr<bool>("adj_y");
  spec.m = c.out_shape(0).dim(-2);
  spec.n = c.out_shape(0).dim(-1);
  spec.k = c.in_shape(0).dim(spec.transpose_a ? -2 : -1);
  return spec;
}

std::unique_ptr<Kernel> MakeBatchMatMul(PrepareContext& c) {
  const GemmSpec s = SpecOf(c);
  // Threads share the matrices out; a matrix each, tiles only.
  std::shared_ptr<Gemm> gemm = MakeTiledGemm(s);
  auto offsets = Offsets(c.in_shape(0), c.in_shape(1), c.out_shape(0));
  const size_t scratch = gemm->scratch_bytes();
  c.set_scratch_bytes(scratch * offsets.size());
  const int64_t flops = std::max<int64_t>(1, 2 * s.m * s.n * s.k);
  const int64_t grain = std::max<int64_t>(1, 400'000 / flops);
  return MakeKernel([s, gemm, offsets, scratch, grain](const LaunchArgs& args) {
    const auto one = [&](int64_t i) {
      gemm->Run({.a = static_cast<const float*>(args.in[0]) + offsets[i].first * s.m * s.k,
                 .b = static_cast<const float*>(args.in[1]) + offsets[i].second * s.k * s.n,
                 .c = static_cast<float*>(args.out[0]) + i * s.m * s.n,
                 .scratch = static_cast<char*>(args.scratch) + i * scratch});
    };
    const int64_t count = static_cast<int64_t>(offsets.size());
    if (count < NumThreads()) {
      for (int64_t i = 0; i < count; ++i) one(i);
      return;
    }
    ParallelFor(count, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) one(i);
    });
  });
}

std::unique_ptr<Kernel> MakeBatchMatMulDouble(PrepareContext& c) {
  auto offsets = Offsets(c.in_shape(0), c.in_shape(1), c.out_shape(0));
  return MakeKernel([s = SpecOf(c), offsets](const LaunchArgs& args) {
    for (size_t i = 0; i < offsets.size(); ++i) {
      ReferenceGemm(s.m, s.n, s.k,
                    static_cast<const double*>(args.in[0]) + offsets[i].first * s.m * s.k,
                    s.transpose_a,
                    static_cast<const double*>(args.in[1]) + offsets[i].second * s.k * s.n,
                    s.transpose_b, static_cast<double*>(args.out[0]) + i * s.m * s.n);
    }
  });
}

REGISTER_OP("BatchMatMulV2")
    .Input("x: T").Input("y: T").Output("output: T")
    .Attr("T: {float32, float64}").Attr("adj_x: bool = false").Attr("adj_y: bool = false")
    .Shape(BatchMatMulShape)
    .Gradient(BatchMatMulGradient)
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({2, 3, 4}, 0.7f), Wave({2, 4, 5}, 0.3f)}, {}},
          {{Wave({2, 4, 3}, 0.7f), Wave({2, 5, 4}, 0.3f)}, {{"adj_x", true}, {"adj_y", true}}},
          {{Wave({2, 1, 3, 4}, 0.7f), Wave({3, 4, 2}, 0.3f)}, {}},
          {{Wave({3, 4}, 0.7f), Wave({2, 2, 4}, 0.3f)}, {{"adj_y", true}}}};
    });
REGISTER_KERNEL("BatchMatMulV2", DeviceType::kCpu, {DType::kFloat32}, MakeBatchMatMul);
REGISTER_KERNEL("BatchMatMulV2", DeviceType::kCpu, {DType::kFloat64}, MakeBatchMatMulDouble);

}  // namespace
}  // namespace tributary
