// Every gradient against finite differences, on a tape and in a plan, and the
// gradient of the gradient.

#include "core/runtime/function.h"
#include "tests/ops/op_contract.h"

namespace tributary {
namespace {

class Gradient : public testing::TestWithParam<std::string> {
 protected:
  const OpSchema& schema() const { return OpRegistry().Get(GetParam()); }
};

bool CanCheck(const OpSchema& schema, const OpSample& sample) {
  if (!schema.differentiable || !schema.gradient) return false;
  // An enormous tolerance says that the sample has no gradient worth checking.
  return sample.tolerance < 1e6 && !FloatingInputs(sample).empty();
}

Tensor Loss(const OpSchema& schema, const std::vector<Tensor>& inputs, const AttrMap& attrs) {
  return WeightedSum(schema, Execute(schema.name, inputs, attrs));
}

// The input with element `i` moved by `delta`; a handle gets a variable of its own.
Tensor Nudged(const Tensor& input, int64_t i, double delta) {
  const Tensor value = StorageOf(input).Clone();
  if (value.dtype() == DType::kFloat64) {
    value.mutable_data<double>()[i] += delta;
  } else {
    value.mutable_data<float>()[i] += static_cast<float>(delta);
  }
  if (input.dtype() != DType::kResource) return value;
  return Variable::Create("nudged", value)->handle();
}

// d f / d input[k][i] by central differences.
double Numeric(const std::function<double(const std::vector<Tensor>&)>& f,
               const std::vector<Tensor>& inputs, int k, int64_t i, double step) {
  std::vector<Tensor> moved = inputs;
  moved[k] = Nudged(inputs[k], i, step);
  const double above = f(moved);
  moved[k] = Nudged(inputs[k], i, -step);
  return (above - f(moved)) / (2 * step);
}

// At most this many elements of an input, spread over it.
std::vector<int64_t> Probes(int64_t count) {
  std::vector<int64_t> probes;
  const int64_t stride = std::max<int64_t>(1, count / 12);
  for (int64_t i = 0; i < count; i += stride) probes.push_back(i);
  return probes;
}

struct Accuracy {
  double step, tolerance;
};
Accuracy AccuracyFor(const OpSample& sample) {
  for (const Tensor& t : sample.inputs) {
    if (t.spec().data_dtype() == DType::kFloat32) return {1e-2, std::max(1e-2, sample.tolerance)};
  }
  return {1e-5, 1e-6};
}

bool HasSmallFloats(const OpSample& sample) {
  return std::any_of(sample.inputs.begin(), sample.inputs.end(), [](const Tensor& t) {
    return t.dtype() == DType::kHalf || t.dtype() == DType::kBFloat16;
  });
}

std::vector<Tensor> Chosen(const std::vector<Tensor>& inputs, const std::vector<int>& which) {
  std::vector<Tensor> chosen;
  for (const int k : which) chosen.push_back(inputs[k]);
  return chosen;
}

Grads OnTape(const OpSchema& schema, const OpSample& sample, const std::vector<int>& which) {
  GradientTape tape;
  for (const int k : which) {
    if (sample.inputs[k].dtype() != DType::kResource) tape.Watch(sample.inputs[k]);
  }
  const Tensor loss = Loss(schema, sample.inputs, sample.attrs);
  if (!loss.defined()) return {};
  return tape.Gradient(loss, Chosen(sample.inputs, which));
}

TEST_P(Gradient, AgreesWithFiniteDifferences) {
  const auto samples = schema().samples();
  for (size_t s = 0; s < samples.size(); ++s) {
    if (!CanCheck(schema(), samples[s])) continue;
    const OpSample sample = Distinct(InDouble(schema(), samples[s]));
    if (HasSmallFloats(sample)) continue;
    SCOPED_TRACE(Describe(GetParam(), sample, s));
    const auto which = FloatingInputs(sample);
    const Grads grads = OnTape(schema(), sample, which);
    const Accuracy accuracy = AccuracyFor(sample);
    const auto f = [&](const std::vector<Tensor>& in) {
      return NumberAt(Loss(schema(), in, sample.attrs), 0);
    };
    for (size_t g = 0; g < grads.size(); ++g) {
      const int k = which[g];
      const Tensor grad = Densify(grads[g]);
      const Tensor value = StorageOf(sample.inputs[k]);
      if (grad.defined()) {
        ASSERT_EQ(grad.shape(), value.shape()) << "of input " << k;
      }
      for (const int64_t i : Probes(value.NumElements())) {
        const double numeric = Numeric(f, sample.inputs, k, i, accuracy.step);
        const double analytic = grad.defined() ? NumberAt(grad, i) : 0;
        EXPECT_NEAR(analytic, numeric, accuracy.tolerance * std::max(1.0, std::abs(numeric)))
            << "input " << k << " element " << i;
      }
    }
  }
}

// The same gradient from Gradients() in a traced function, run as a plan, with shapes
// known when it is traced and not.
TEST_P(Gradient, InAPlanIsTheSameAsOnATape) {
  const auto samples = schema().samples();
  for (size_t s = 0; s < samples.size(); ++s) {
    const OpSample sample = Distinct(samples[s]);
    if (!CanCheck(schema(), sample)) continue;
    SCOPED_TRACE(Describe(GetParam(), sample, s));
    std::vector<int> which;
    for (const int k : FloatingInputs(sample)) {
      if (sample.inputs[k].dtype() != DType::kResource) which.push_back(k);
    }
    if (which.empty()) continue;
    const Grads expected = OnTape(schema(), sample, which);
    if (expected.empty()) continue;
    for (const bool open_dims : {false, true}) {
      std::vector<TensorSpec> signature;
      for (const int k : which) {
        signature.push_back(sample.inputs[k].spec());
        if (!open_dims) continue;
        signature.back().shape =
            Shape(std::vector<int64_t>(sample.inputs[k].rank(), Shape::kUnknownDim));
      }
      std::vector<size_t> defined;
      Function f("f", [&](const std::vector<Tensor>& in) {
        std::vector<Tensor> inputs = sample.inputs;
        for (size_t i = 0; i < which.size(); ++i) inputs[which[i]] = in[i];
        const auto outputs = Execute(GetParam(), inputs, sample.attrs);
        const size_t count = schema().outputs.size() > 1 ? 1 : outputs.size();
        std::vector<Tensor> ys, weights;
        // The weights depend on shapes that are not known yet: take the eager ones.
        for (size_t i = 0; i < count; ++i) {
          if (!IsFloating(outputs[i].dtype())) continue;
          ys.push_back(outputs[i]);
          InitScope scope;
          const Shape shape = Execute(GetParam(), sample.inputs, sample.attrs)[i].shape();
          weights.push_back(Weights(outputs[i].dtype(), shape, static_cast<int>(i)));
        }
        std::vector<Tensor> results;
        const Grads grads = Gradients(ys, in, weights);
        for (size_t i = 0; i < grads.size(); ++i) {
          if (!grads[i].defined()) continue;
          defined.push_back(i);
          results.push_back(Densify(grads[i]));
        }
        return results;
      }, signature);
      std::vector<Tensor> got;
      try {
        got = f(Chosen(sample.inputs, which));
      } catch (const UnimplementedError& e) {
        // Some gradients ask for known shapes, and say so.
        EXPECT_TRUE(open_dims) << e.what();
        continue;
      }
      for (size_t i = 0; i < got.size(); ++i) {
        const bool small = HasSmallFloats(sample);
        ExpectSame(Densify(expected[defined[i]]), got[i], small ? 2e-2 : 1e-5,
                   open_dims ? "open dimensions" : "known shapes");
      }
    }
  }
}

// Second derivatives by differences of float32 gradients are good for this much.
Accuracy AccuracyOfSecond(const std::vector<int>& which, const OpSample& sample) {
  for (const int k : which) {
    if (sample.inputs[k].spec().data_dtype() != DType::kFloat64) return {1e-2, 2e-2};
  }
  return {1e-5, 1e-5};
}

// A scalar from the gradients of these inputs. (While a function is traced the shape of
// a gradient that was sparse may be open, the input's is not.)
Tensor Slope(const Grads& grads, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> parts;
  for (size_t i = 0; i < grads.size(); ++i) {
    if (!grads[i].defined()) continue;
    const Tensor dense = Densify(grads[i]);
    parts.push_back(ops::Sum(ops::Mul(dense, Weights(dense.dtype(), inputs[i].shape(), 5))));
  }
  return parts.empty() ? Tensor() : ops::AddN(parts);
}

// The second gradients from Gradients() of Gradients() in a traced function.
void ExpectSameInAPlan(const OpSchema& schema, const OpSample& sample,
                       const std::vector<int>& which, const Grads& expected) {
  std::vector<TensorSpec> signature;
  for (const int k : which) signature.push_back(sample.inputs[k].spec());
  std::vector<size_t> defined;
  Function f("f", [&](const std::vector<Tensor>& in) {
    std::vector<Tensor> inputs = sample.inputs;
    for (size_t i = 0; i < which.size(); ++i) inputs[which[i]] = in[i];
    const Tensor slope = Slope(Gradients({Loss(schema, inputs, sample.attrs)}, in), in);
    const Grads second = Gradients({slope}, in);
    std::vector<Tensor> results;
    for (size_t i = 0; i < second.size(); ++i) {
      if (!second[i].defined()) continue;
      defined.push_back(i);
      results.push_back(Densify(second[i]));
    }
    if (results.empty()) results.push_back(slope);
    return results;
  }, signature);
  const std::vector<Tensor> got = f(Chosen(sample.inputs, which));
  for (size_t i = 0; i < defined.size(); ++i) {
    const Tensor eager = Densify(expected[defined[i]]);
    if (eager.defined()) ExpectSame(eager, got[i], 1e-4, "in a plan");
  }
  for (size_t g = 0; g < expected.size(); ++g) {
    const bool missing = std::find(defined.begin(), defined.end(), g) == defined.end();
    EXPECT_FALSE(missing && expected[g].defined()) << "in a plan input " << g << " has none";
  }
}

TEST_P(Gradient, OfTheGradientAgreesWithFiniteDifferences) {
  const auto samples = schema().samples();
  for (size_t s = 0; s < samples.size(); ++s) {
    if (!CanCheck(schema(), samples[s])) continue;
    const OpSample sample = Distinct(InDouble(schema(), samples[s]));
    if (HasSmallFloats(sample)) continue;
    std::vector<int> which;
    for (const int k : FloatingInputs(sample)) {
      const Tensor& input = sample.inputs[k];
      if (input.dtype() != DType::kResource && input.NumElements() > 0) which.push_back(k);
    }
    if (which.empty()) continue;
    SCOPED_TRACE(Describe(GetParam(), sample, s));
    const auto first = [&](const std::vector<Tensor>& in) {
      OpSample moved = sample;
      moved.inputs = in;
      return Slope(OnTape(schema(), moved, which), Chosen(in, which));
    };
    Grads second;
    {
      GradientTape outer;
      for (const int k : which) outer.Watch(sample.inputs[k]);
      const Tensor slope = first(sample.inputs);
      if (!slope.defined()) continue;
      second = outer.Gradient(slope, Chosen(sample.inputs, which));
    }
    ExpectSameInAPlan(schema(), sample, which, second);
    const Accuracy accuracy = AccuracyOfSecond(which, sample);
    const auto f = [&](const std::vector<Tensor>& in) { return NumberAt(first(in), 0); };
    for (size_t g = 0; g < second.size(); ++g) {
      const Tensor grad = Densify(second[g]);
      for (const int64_t i : Probes(sample.inputs[which[g]].NumElements())) {
        const double numeric = Numeric(f, sample.inputs, which[g], i, accuracy.step);
        const double analytic = grad.defined() ? NumberAt(grad, i) : 0;
        EXPECT_NEAR(analytic, numeric, accuracy.tolerance * std::max(1.0, std::abs(numeric)))
            << "input " << which[g] << " element " << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Gradient, testing::ValuesIn(SampledOps()), OpTestName);

}  // namespace
}  // namespace tributary
