// Registers the ops of test_ops.h, and those that the engine itself names.
#include "tests/core/runtime/test_ops.h"

#include <gtest/gtest.h>

#include "core/graph/kernel.h"

namespace tributary {
namespace testing_ops {

std::vector<std::string>& Log() {
  static auto* log = new std::vector<std::string>;
  return *log;
}
int& Launches() {
  static int launches = 0;
  return launches;
}

}  // namespace testing_ops

namespace {

using testing_ops::Launches;
using testing_ops::Log;

void SameShape(InferenceContext& c) { c.set_output(0, c.shape(0)); }

float* Out(const LaunchArgs& args) { return static_cast<float*>(args.out[0]); }
const float* In(const LaunchArgs& args, int i) { return static_cast<const float*>(args.in[i]); }

std::unique_ptr<Kernel> Forward(PrepareContext& c) {
  c.forward(0, 0);
  return nullptr;
}

REGISTER_OP("Const").Output("output: dtype").Attr("value: tensor").Attr("dtype: type")
    .Shape([](InferenceContext& c) { c.set_output(0, c.attr<Tensor>("value").shape()); });
REGISTER_OP("Placeholder")
    .Output("output: dtype")
    .Attr("dtype: type")
    .Attr("shape: shape = unknown")
    .Shape([](InferenceContext& c) { c.set_output(0, c.attr<Shape>("shape")); });
REGISTER_OP("VarHandleOp")
    .Output("resource: resource")
    .Attr("container: string = \"\"")
    .Attr("shared_name: string = \"\"")
    .Attr("dtype: type")
    .Attr("shape: shape")
    .Shape([](InferenceContext& c) {
      c.set_handle(0, c.attr<DType>("dtype"), c.attr<Shape>("shape"));
    })
    .Stateful();
REGISTER_OP("ReadVariableOp")
    .Input("resource: resource")
    .Output("value: dtype")
    .Attr("dtype: type")
    .Shape(SameShape)
    .Stateful();
REGISTER_KERNEL("ReadVariableOp", DeviceType::kCpu, {}, Forward);
REGISTER_OP("NoOp").Stateful();
REGISTER_KERNEL("NoOp", DeviceType::kCpu, {},
                [](PrepareContext&) -> std::unique_ptr<Kernel> { return nullptr; });

template <typename Fn>
KernelFactory Elementwise(int inputs, Fn fn) {
  return [inputs, fn](PrepareContext& c) {
    for (int i = 0; i < inputs; ++i) c.allow_in_place(0, i);
    const int64_t n = c.out_shape(0).NumElements();
    return MakeKernel([n, fn, inputs](const LaunchArgs& args) {
      ++Launches();
      const float* b = In(args, inputs - 1);
      for (int64_t i = 0; i < n; ++i) Out(args)[i] = fn(In(args, 0)[i], b[i]);
    });
  };
}

REGISTER_OP("TestAdd").Input("x: T").Input("y: T").Output("z: T").Attr("T: type")
    .Shape(SameShape).Commutative();
REGISTER_KERNEL("TestAdd", DeviceType::kCpu, {DType::kFloat32},
                Elementwise(2, [](float a, float b) { return a + b; }));
REGISTER_OP("TestMul").Input("x: T").Input("y: T").Output("z: T").Attr("T: type")
    .Shape(SameShape).Commutative();
REGISTER_KERNEL("TestMul", DeviceType::kCpu, {DType::kFloat32},
                Elementwise(2, [](float a, float b) { return a * b; }));
REGISTER_OP("TestNeg").Input("x: T").Output("y: T").Attr("T: type").Shape(SameShape);
REGISTER_KERNEL("TestNeg", DeviceType::kCpu, {DType::kFloat32},
                Elementwise(1, [](float a, float) { return -a; }));
// -(x + y), which a rewrite puts in place of TestNeg of a TestAdd.
REGISTER_OP("TestNegAdd").Input("x: T").Input("y: T").Output("z: T").Attr("T: type")
    .Shape(SameShape);
REGISTER_KERNEL("TestNegAdd", DeviceType::kCpu, {DType::kFloat32},
                Elementwise(2, [](float a, float b) { return -(a + b); }));

REGISTER_OP("TestMatMul").Input("a: T").Input("b: T").Output("c: T").Attr("T: type")
    .Shape([](InferenceContext& c) {
      if (c.shape(0).rank() == 2 && c.shape(1).rank() == 2 && c.shape(0)[1] != c.shape(1)[0] &&
          c.shape(0)[1] >= 0) {
        throw InvalidArgumentError("[TestMatMul] inner sizes differ: {} and {}",
                                   c.shape(0).ToString(), c.shape(1).ToString());
      }
      c.set_output(0, Shape{c.shape(0)[0], c.shape(1)[1]});
    });
REGISTER_KERNEL("TestMatMul", DeviceType::kCpu, {DType::kFloat32}, [](PrepareContext& c) {
  const int64_t m = c.in_shape(0)[0], k = c.in_shape(0)[1], n = c.in_shape(1)[1];
  c.set_scratch_bytes(256);
  return MakeKernel([=](const LaunchArgs& args) {
    ++Launches();
    std::memset(args.scratch, 0xff, 256);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        float sum = 0;
        for (int64_t p = 0; p < k; ++p) sum += In(args, 0)[i * k + p] * In(args, 1)[p * n + j];
        Out(args)[i * n + j] = sum;
      }
    }
  });
});

REGISTER_OP("TestReshape").Input("x: T").Output("y: T").Attr("T: type").Attr("shape: shape")
    .Shape([](InferenceContext& c) { c.set_output(0, c.attr<Shape>("shape")); });
REGISTER_KERNEL("TestReshape", DeviceType::kCpu, {}, Forward);

REGISTER_OP("TestShape").Input("x: T").Output("y: int32").Attr("T: type").ShapeOnly()
    .Shape([](InferenceContext& c) { c.set_output(0, Shape{c.shape(0).rank()}); });
REGISTER_KERNEL("TestShape", DeviceType::kCpu, {}, [](PrepareContext& c) {
  const std::vector<int64_t> dims = c.in_shape(0).dims();
  return MakeKernel([dims](const LaunchArgs& args) {
    ++Launches();
    std::copy(dims.begin(), dims.end(), static_cast<int32_t*>(args.out[0]));
  });
});
REGISTER_OP("TestOnes").Input("dims: int32").Output("y: float32")
    .Shape([](InferenceContext& c) {
      const auto dims = c.constant_ints(0);
      c.set_output(0, dims ? Shape(*dims) : Shape::UnknownRank());
    });
REGISTER_KERNEL("TestOnes", DeviceType::kCpu, {}, [](PrepareContext& c) {
  const int64_t n = c.out_shape(0).NumElements();
  return MakeKernel([n](const LaunchArgs& args) {
    ++Launches();
    std::fill_n(Out(args), n, 1.0f);
  });
});

template <typename Context>
int64_t TotalElements(const Context& c, const std::function<Shape(int)>& shape) {
  int64_t total = 0;
  for (int i = 0; i < c.num_inputs(); ++i) total += shape(i).NumElements();
  return total;
}

std::unique_ptr<Kernel> MakeConcat(PrepareContext& c) {
  std::vector<size_t> bytes;
  size_t offset = 0;
  for (int i = 0; i < c.num_inputs(); ++i) {
    bytes.push_back(c.in_shape(i).NumElements() * sizeof(float));
    c.place_input(i, offset);
    offset += bytes.back();
  }
  return MakeKernel([bytes](const LaunchArgs& args) {
    ++Launches();
    char* out = static_cast<char*>(args.out[0]);
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (args.in[i] != out) std::memmove(out, args.in[i], bytes[i]);
      out += bytes[i];
    }
  });
}
void FlatShape(InferenceContext& c) {
  c.set_output(0, Shape{TotalElements(c, [&](int i) { return c.shape(i); })});
}
REGISTER_OP("TestConcat").Input("parts: N * T").Output("y: T").Attr("T: type")
    .Attr("N: int >= 1").Shape(FlatShape);
REGISTER_KERNEL("TestConcat", DeviceType::kCpu, {DType::kFloat32}, MakeConcat);
REGISTER_OP("TestPack").Input("parts: N * T").Output("y: T").Attr("T: type")
    .Attr("N: int >= 1").Attr("bucket: string").Shape(FlatShape);
REGISTER_KERNEL("TestPack", DeviceType::kCpu, {DType::kFloat32}, MakeConcat);

class Slow final : public AsyncKernel {
 public:
  Slow(std::string tag, size_t bytes) : tag_(std::move(tag)), bytes_(bytes) {}
  void Launch(const LaunchArgs& args) override {
    Log().push_back("start " + tag_);
    in_ = args.in[0];
    out_ = args.out[0];
    std::memset(out_, 0xff, bytes_);
  }
  void Finish() override {
    Log().push_back("finish " + tag_);
    std::memcpy(out_, in_, bytes_);
  }

 private:
  std::string tag_;
  size_t bytes_;
  void *in_ = nullptr, *out_ = nullptr;
};
REGISTER_OP("TestAsync").Input("x: T").Output("y: T").Attr("T: type").Attr("tag: string")
    .Shape(SameShape).Stateful();
REGISTER_KERNEL("TestAsync", DeviceType::kCpu, {DType::kFloat32}, [](PrepareContext& c) {
  return std::make_unique<Slow>(c.attr<std::string>("tag"),
                                c.in_shape(0).NumElements() * sizeof(float));
});

std::unique_ptr<Kernel> MakeAssign(PrepareContext& c) {
  const size_t bytes = c.in_shape(1).NumElements() * DTypeSize(c.in_dtype(1));
  return MakeKernel([bytes](const LaunchArgs& args) {
    ++Launches();
    std::memmove(args.in[0], args.in[1], bytes);
  });
}
REGISTER_OP("TestAssign").Input("resource: resource").Input("value: dtype")
    .Attr("dtype: type").Stateful();
REGISTER_KERNEL("TestAssign", DeviceType::kCpu, {}, MakeAssign);
REGISTER_OP("AssignVariableOp").Input("resource: resource").Input("value: dtype")
    .Attr("dtype: type").Attr("validate_shape: bool = false").Stateful();
REGISTER_KERNEL("AssignVariableOp", DeviceType::kCpu, {}, MakeAssign);
// Attributes of every kind.
REGISTER_OP("TestAttrs").Input("x: T").Output("y: T").Attr("T: type").Attr("i: int >= 0")
    .Attr("f: float").Attr("b: bool").Attr("s: string").Attr("shape: shape")
    .Attr("ints: list(int) = []").Attr("floats: list(float) = []")
    .Attr("strings: list(string) = []").Attr("types: list(type) = []")
    .Attr("shapes: list(shape)").Shape(SameShape);
REGISTER_KERNEL("TestAttrs", DeviceType::kCpu, {}, Forward);
REGISTER_OP("TestEffect").Input("x: T").Output("y: T").Attr("T: type").Attr("tag: string")
    .Shape(SameShape).Stateful();
REGISTER_KERNEL("TestEffect", DeviceType::kCpu, {DType::kFloat32}, [](PrepareContext& c) {
  const std::string tag = c.attr<std::string>("tag");
  const size_t bytes = c.in_shape(0).NumElements() * sizeof(float);
  return MakeKernel([=](const LaunchArgs& args) {
    Log().push_back("effect " + tag);
    std::memcpy(args.out[0], args.in[0], bytes);
  });
});
REGISTER_OP("TestFail").Input("x: T").Output("y: T").Attr("T: type").Shape(SameShape);
REGISTER_KERNEL("TestFail", DeviceType::kCpu, {DType::kFloat32}, [](PrepareContext& c) {
  return MakeKernel([](const LaunchArgs& args) {
    if (In(args, 0)[0] < 0) throw OutOfRangeError("[TestFail] x is negative");
    Out(args)[0] = In(args, 0)[0];
  });
});

}  // namespace
}  // namespace tributary
