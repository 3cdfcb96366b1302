// AddN: the sum of tensors of one shape, in the order of the inputs.

#include "core/base/parallel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/math/elementwise.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

struct AddFn {
  template <typename T>
  T operator()(T x, T y) const {
    return Add(x, y);
  }
};

// In blocks that stay in the cache, so that every input is read once and the sum is
// written once.
std::unique_ptr<Kernel> MakeAddN(PrepareContext& c) {
  const int n = c.num_inputs();
  if (n == 1) {
    c.forward(0, 0);
    return nullptr;
  }
  c.allow_in_place(0, 0);
  const int64_t count = c.out_shape(0).NumElements();
  const size_t element = DTypeSize(c.in_dtype(0));
  simd::BinaryFn add = simd::FindBinary("AddV2").vector_vector;
  if (c.in_dtype(0) != DType::kFloat32) {
    add = DispatchNumber(c.in_dtype(0), "AddN", [](auto zero) -> simd::BinaryFn {
      return &BinaryLoop<AddFn, decltype(zero), decltype(zero), 1, 1>;
    });
  }
  return MakeKernel([=](const LaunchArgs& args) {
    ParallelFor(count, 1 << 15, [=](int64_t begin, int64_t end) {
      constexpr int64_t kBlock = 2048;
      for (int64_t i = begin; i < end; i += kBlock) {
        const int64_t size = std::min(kBlock, end - i);
        const auto at = [&](const void* p) { return static_cast<const char*>(p) + i * element; };
        char* sum = static_cast<char*>(args.out[0]) + i * element;
        add(at(args.in[0]), at(args.in[1]), sum, size);
        for (int k = 2; k < n; ++k) add(sum, at(args.in[k]), sum, size);
      }
    });
  });
}

}  // namespace

REGISTER_OP("AddN")
    .Input("inputs: N * T")
    .Output("sum: T")
    .Attr("N: int >= 1")
    .Attr("T: {float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8}")
    .Shape([](InferenceContext& c) {
      Shape shape = c.shape(0);
      for (int i = 1; i < c.num_inputs(); ++i) shape = ops::MergeShapes(c, shape, c.shape(i));
      c.set_output(0, shape);
    })
    .Gradient([](const GradContext& g) -> Grads { return Grads(g.num_inputs(), g.grad()); })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4}, {2, 2});
      const Tensor f = Tensor::FromVector<float>({1, 2, 3});
      return std::vector<OpSample>{{{x}}, {{x, x, x}}, {{f, f}}};
    });
REGISTER_KERNEL("AddN", DeviceType::kCpu, NumberTypes(), MakeAddN);

namespace ops {

Tensor AddN(const std::vector<Tensor>& inputs) {
  return inputs.size() == 1 ? inputs[0] : Execute1("AddN", inputs);
}

}  // namespace ops
}  // namespace tributary
