// No argument from outside makes an op crash: it computes, or it throws a typed error
// that names it. Run under AddressSanitizer to be worth anything.

#include "tests/ops/op_contract.h"

namespace tributary {
namespace {

class Hostile : public testing::TestWithParam<std::string> {
 protected:
  const OpSchema& schema() const { return OpRegistry().Get(GetParam()); }

  // Runs; a typed error is an answer, anything else is not.
  void Try(const std::vector<Tensor>& inputs, const AttrMap& attrs, const std::string& what) {
    SCOPED_TRACE(what);
    try {
      Execute(GetParam(), inputs, attrs);
    } catch (const Error& e) {
      EXPECT_NE(e.code(), Code::kInternal) << e.what();
      EXPECT_FALSE(std::string(e.what()).empty());
    } catch (const std::exception& e) {
      ADD_FAILURE() << "an untyped exception: " << e.what();
    }
  }

  // Calls fn(inputs, position) with fresh samples for every input of every sample.
  template <typename Fn>
  void ForEachInput(const Fn& fn) {
    const size_t count = schema().samples().size();
    for (size_t s = 0; s < count; ++s) {
      const size_t inputs = schema().samples()[s].inputs.size();
      for (size_t k = 0; k < inputs; ++k) {
        const OpSample sample = schema().samples()[s];
        if (sample.inputs[k].dtype() != DType::kResource) fn(sample, k);
      }
    }
  }
};

// The elements of t, over and over, in another shape.
Tensor InShape(const Tensor& t, const Shape& shape) {
  Tensor result = Tensor::Zeros(t.dtype(), shape);
  if (!IsPlain(t.dtype())) return result;
  const size_t size = DTypeSize(t.dtype());
  for (int64_t i = 0; i < result.NumElements() && t.NumElements(); ++i) {
    std::memcpy(static_cast<char*>(result.raw_data()) + i * size,
                static_cast<const char*>(t.raw_data()) + i % t.NumElements() * size, size);
  }
  return result;
}

TEST_P(Hostile, WrongShapes) {
  ForEachInput([&](const OpSample& sample, size_t k) {
    const Shape shape = sample.inputs[k].shape();
    std::vector<Shape> wrong = {Shape{}, Shape{1}, Shape{0}, Shape{3, 0, 2}, Shape{2, 1, 1, 1, 1, 2}};
    Shape more = shape;
    more.AddDim(2);
    wrong.push_back(more);
    for (int i = 0; i < shape.rank(); ++i) {
      for (const int64_t size : {int64_t{0}, shape[i] + 1, int64_t{1}}) {
        Shape changed = shape;
        changed.set_dim(i, size);
        wrong.push_back(changed);
      }
    }
    for (const Shape& w : wrong) {
      auto inputs = sample.inputs;
      inputs[k] = InShape(inputs[k], w);
      Try(inputs, sample.attrs, fmt::format("input {} of shape {}", k, w.ToString()));
    }
  });
}

TEST_P(Hostile, WrongDTypes) {
  ForEachInput([&](const OpSample& sample, size_t k) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kHalf, DType::kInt8,
                              DType::kInt64, DType::kBool, DType::kString}) {
      if (dtype == sample.inputs[k].dtype()) continue;
      auto inputs = sample.inputs;
      inputs[k] = Tensor::Zeros(dtype, inputs[k].shape());
      Try(inputs, sample.attrs, fmt::format("input {} as {}", k, DTypeName(dtype)));
    }
  });
}

TEST_P(Hostile, NumbersOutOfRange) {
  ForEachInput([&](const OpSample& sample, size_t k) {
    const Tensor& t = sample.inputs[k];
    if (!IsInteger(t.dtype()) && !IsFloating(t.dtype())) return;
    for (const double value : {-1.0, -7.0, 0.0, 100.0}) {
      auto inputs = sample.inputs;
      inputs[k] = ops::Fill(t.shape(), ops::ScalarLike(t, value));
      Try(inputs, sample.attrs, fmt::format("input {} full of {}", k, value));
    }
  });
}

TEST_P(Hostile, WrongCountOfInputs) {
  const OpSample sample = schema().samples()[0];
  auto inputs = sample.inputs;
  inputs.push_back(Tensor(1.0f));
  Try(inputs, sample.attrs, "one too many");
  Try({}, sample.attrs, "none");
  if (!sample.inputs.empty()) {
    inputs = sample.inputs;
    inputs.pop_back();
    Try(inputs, sample.attrs, "one too few");
    inputs.push_back(Tensor());
    Try(inputs, sample.attrs, "an undefined one");
  }
}

TEST_P(Hostile, WrongAttributes) {
  const size_t count = schema().samples().size();
  for (size_t s = 0; s < count; ++s) {
    for (const AttrDef& attr : schema().attrs) {
      std::vector<AttrValue> wrong = {AttrValue("nonsense"), AttrValue(-3), AttrValue(0),
                                      AttrValue(-1.0f), AttrValue(1000),
                                      AttrValue(std::vector<int64_t>{}),
                                      AttrValue(std::vector<int64_t>{0, -1}),
                                      AttrValue(std::vector<int64_t>{1, 0, 3, 1, 9}),
                                      AttrValue(std::vector<std::string>{"Nothing"}),
                                      AttrValue(Shape{-1, 3}), AttrValue(DType::kString)};
      for (const AttrValue& value : wrong) {
        OpSample sample = schema().samples()[s];
        sample.attrs.Set(attr.name, value);
        Try(sample.inputs, sample.attrs,
            fmt::format("{} = {}", attr.name, value.ToString()));
      }
    }
  }
  OpSample sample = schema().samples()[0];
  sample.attrs.Set("no_such_attribute", 1);
  EXPECT_THROW(Execute(GetParam(), sample.inputs, sample.attrs), InvalidArgumentError);
}

INSTANTIATE_TEST_SUITE_P(Ops, Hostile, testing::ValuesIn(SampledOps()), OpTestName);

}  // namespace
}  // namespace tributary
