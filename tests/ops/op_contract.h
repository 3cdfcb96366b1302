#pragma once
// What the contract suites over the op registry share.

#include <gtest/gtest.h>

#include "core/graph/kernel.h"
#include "core/graph/op.h"
#include "core/runtime/execute.h"
#include "core/runtime/gradients.h"
#include "core/runtime/variable.h"
#include "ops/ops.h"

namespace tributary {

// Ops that have no value of their own, so no samples.
inline const std::set<std::string>& OpsWithoutSamples() {
  static const std::set<std::string> names = {"Placeholder", "VarHandleOp"};
  return names;
}

// The names of all ops that have samples.
inline std::vector<std::string> SampledOps() {
  std::vector<std::string> names;
  for (const auto& [name, schema] : OpRegistry().entries()) {
    if (schema.samples) names.push_back(name);
  }
  return names;
}

inline std::string OpTestName(const testing::TestParamInfo<std::string>& info) {
  return info.param[0] == '_' ? "Private" + info.param : info.param;
}

inline std::vector<TensorSpec> SpecsOf(const std::vector<Tensor>& tensors) {
  std::vector<TensorSpec> specs;
  for (const Tensor& t : tensors) specs.push_back(t.spec());
  return specs;
}

inline std::vector<const Tensor*> ConstantsOf(const std::vector<Tensor>& tensors) {
  std::vector<const Tensor*> constants;
  for (const Tensor& t : tensors) {
    constants.push_back(t.dtype() == DType::kResource ? nullptr : &t);
  }
  return constants;
}

// The value that a kernel sees: the variable's, for a handle.
inline Tensor StorageOf(const Tensor& t) {
  return t.dtype() == DType::kResource ? t.resource()->storage() : t;
}

inline double NumberAt(const Tensor& t, int64_t i) {
  return DispatchPlain(t.dtype(), "test", [&](auto zero) -> double {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      return static_cast<float>(t.data<T>()[i]);
    } else {
      return static_cast<double>(t.data<T>()[i]);
    }
  });
}

// Equal shapes and dtypes, and values within `tolerance` (relative above 1); NaN equals
// NaN.
inline void ExpectSame(const Tensor& a, const Tensor& b, double tolerance,
                       const std::string& what) {
  ASSERT_EQ(a.spec().ToString(), b.spec().ToString()) << what;
  if (a.dtype() == DType::kString) {
    ASSERT_EQ(a.ToVector<std::string>(), b.ToVector<std::string>()) << what;
    return;
  }
  for (int64_t i = 0; i < a.NumElements(); ++i) {
    const double x = NumberAt(a, i), y = NumberAt(b, i);
    if ((std::isnan(x) && std::isnan(y)) || x == y) continue;
    ASSERT_LE(std::abs(x - y), tolerance * std::max({1.0, std::abs(x), std::abs(y)}))
        << what << " element " << i << ": " << x << " against " << y;
  }
}

inline std::string Describe(const std::string& op, const OpSample& sample, size_t index) {
  std::string text = fmt::format("{} sample {} (", op, index);
  for (const Tensor& t : sample.inputs) text += t.spec().ToString() + " ";
  return text + sample.attrs.ToString() + ")";
}

// The sample in float64, or as it is when the op has no float64 kernel.
inline OpSample InDouble(const OpSchema& schema, const OpSample& sample) {
  OpSample wide = sample;
  for (Tensor& t : wide.inputs) {
    if (t.dtype() == DType::kResource && t.resource()->dtype() == DType::kFloat32) {
      t = Variable::Create("wide", ops::Cast(t.resource()->storage(), DType::kFloat64))->handle();
    } else if (IsFloating(t.dtype())) {
      t = ops::Cast(t, DType::kFloat64);
    }
  }
  for (const auto& [name, value] : sample.attrs) {
    const DType* dtype = value.As<DType>();
    if (dtype && IsFloating(*dtype)) wide.attrs.Set(name, DType::kFloat64);
  }
  try {
    AttrMap attrs = wide.attrs;
    InferOutputs(schema, SpecsOf(wide.inputs), ConstantsOf(wide.inputs), attrs);
    if (HasKernel(schema, attrs, SpecsOf(wide.inputs), DeviceType::kCpu)) return wide;
  } catch (const Error&) {
  }
  return sample;
}

// Gives every input a tensor of its own, so that a tape can tell them apart.
inline OpSample Distinct(OpSample sample) {
  for (Tensor& t : sample.inputs) {
    if (t.dtype() != DType::kResource) t = t.Clone();
  }
  return sample;
}

// Numbers in [-1, 1) that depend on `seed` and the position alone.
inline Tensor Weights(DType dtype, const Shape& shape, int seed) {
  Tensor t = Tensor::Empty(DType::kFloat64, shape);
  for (int64_t i = 0; i < t.NumElements(); ++i) {
    t.mutable_data<double>()[i] = std::sin(1.7 * static_cast<double>(i) + seed + 0.3);
  }
  return ops::Cast(t, dtype);
}

// A scalar made from the floating outputs of the op: what is differentiated. Where
// outputs are of several kinds only the first counts.
inline Tensor WeightedSum(const OpSchema& schema, const std::vector<Tensor>& outputs) {
  const size_t count = schema.outputs.size() > 1 ? 1 : outputs.size();
  std::vector<Tensor> parts;
  for (size_t i = 0; i < count; ++i) {
    if (!IsFloating(outputs[i].dtype())) continue;
    const Tensor weights = Weights(outputs[i].dtype(), outputs[i].shape(), static_cast<int>(i));
    parts.push_back(ops::Sum(ops::Mul(outputs[i], weights)));
  }
  return parts.empty() ? Tensor() : ops::AddN(parts);
}

// Positions of the inputs to differentiate.
inline std::vector<int> FloatingInputs(const OpSample& sample) {
  if (!sample.check_gradient_of.empty()) return sample.check_gradient_of;
  std::vector<int> positions;
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    if (IsFloating(sample.inputs[i].spec().data_dtype())) positions.push_back(static_cast<int>(i));
  }
  return positions;
}

}  // namespace tributary
