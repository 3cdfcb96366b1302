#pragma once
// Operations: schema, shape rule, gradient and samples, in one registry.
//
// An op is registered once, in its own file under ops/:
//
//   REGISTER_OP("MatMul")
//       .Input("a: T").Input("b: T").Output("product: T")
//       .Attr("transpose_a: bool = false").Attr("transpose_b: bool = false")
//       .Attr("T: {float32, float64}")
//       .Shape([](InferenceContext& c) { ... c.set_output(0, shape); })
//       .Gradient([](const GradContext& g) -> Grads { ... return {ga, gb}; })
//       .Samples([] { return std::vector<OpSample>{...}; });
//
// Everything else (execution, GraphDef, documentation, contract tests) walks
// the registry. Source: tensorflow/core/framework/op_def.proto and op.h.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/registry.h"
#include "core/graph/attr.h"
#include "core/tensor/tensor.h"

namespace tributary {

// OpDef.ArgDef. Spec grammar: "name: T", "name: float32", "name: resource",
// "name: N * T" (a list of N tensors of one type), "name: Tlist" (a list whose
// types are the list(type) attribute Tlist).
struct ArgDef {
  std::string name;
  DType type = DType::kInvalid;  // fixed type, or kInvalid
  std::string type_attr;         // "T"
  std::string number_attr;       // "N"
  std::string type_list_attr;    // "Tlist"
};

// OpDef.AttrDef. Spec grammar: "name: type = default", where type is int,
// float, bool, string, type, shape, tensor, list(int), list(float),
// list(string), list(type), list(shape), a set of dtypes `{float32, int32}`
// or of strings `{'SAME', 'VALID'}`, and `int >= 1` gives a minimum.
struct AttrDef {
  std::string name;
  std::string type;
  std::optional<AttrValue> default_value;
  std::vector<DType> allowed_types;
  std::vector<std::string> allowed_strings;
  std::optional<int64_t> minimum;
};

// What a shape rule sees. Shapes may be partially known (-1, unknown rank).
class InferenceContext {
 public:
  InferenceContext(const std::string& op, const AttrMap& attrs,
                   std::vector<TensorSpec> inputs, std::vector<const Tensor*> constants,
                   std::vector<DType> output_dtypes);

  const std::string& op() const { return op_; }
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  const TensorSpec& input(int i) const { return inputs_[i]; }
  // Shape of input i (of the variable, for a resource).
  const Shape& shape(int i) const { return inputs_[i].shape; }
  // dtype of the data of input i (of the variable, for a resource).
  DType dtype(int i) const { return inputs_[i].data_dtype(); }
  // The value of input i if it is known now, else null.
  const Tensor* constant(int i) const { return constants_[i]; }
  // constant(i) as int64 numbers (int32 or int64 tensor), else nullopt.
  std::optional<std::vector<int64_t>> constant_ints(int i) const;
  const AttrMap& attrs() const { return attrs_; }
  template <typename T>
  const T& attr(const std::string& name) const {
    return attrs_.Get<T>(name);
  }

  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  // The dtype is what the schema says.
  void set_output(int i, Shape shape) { outputs_[i].shape = std::move(shape); }
  // For a resource output: the variable behind it.
  void set_handle(int i, DType dtype, Shape shape);
  const std::vector<TensorSpec>& outputs() const { return outputs_; }

  // Throws InvalidArgumentError unless input i has this rank (or an unknown
  // one); `what` names the input.
  void RequireRank(int i, int rank, const char* what) const;

 private:
  std::string op_;
  const AttrMap& attrs_;
  std::vector<TensorSpec> inputs_;
  std::vector<const Tensor*> constants_;
  std::vector<TensorSpec> outputs_;
};
using ShapeFn = std::function<void(InferenceContext&)>;

// A sparse gradient: rows `values[i]` to be added at row `indices[i]` of a
// tensor of shape dense_shape. Indices may repeat. (tf.IndexedSlices)
struct IndexedSlices {
  Tensor values;       // [n, ...]
  Tensor indices;      // [n], int32 or int64
  Tensor dense_shape;  // [rank], int64 or int32
};

// One gradient: none, a tensor, or slices.
class Grad {
 public:
  Grad() = default;
  Grad(Tensor dense) : dense_(std::move(dense)) {}
  Grad(IndexedSlices slices) : slices_(std::make_shared<IndexedSlices>(std::move(slices))) {}
  bool defined() const { return dense_.defined() || slices_; }
  bool sparse() const { return slices_ != nullptr; }
  const Tensor& dense() const { return dense_; }
  const IndexedSlices& slices() const { return *slices_; }

 private:
  Tensor dense_;
  std::shared_ptr<IndexedSlices> slices_;
};
using Grads = std::vector<Grad>;

// What a gradient function sees: the forward op's inputs, outputs, attributes
// and the gradients of its outputs (zeros are filled in where an output has
// none but another has). All tensors are symbolic when a graph is being
// extended and concrete when a tape is played back: gradients are written with
// the same op builders as everything else, and so can be differentiated again.
class GradContext {
 public:
  GradContext(std::string op, const AttrMap& attrs, std::vector<Tensor> inputs,
              std::vector<Tensor> outputs, std::vector<Tensor> grads)
      : op_(std::move(op)), attrs_(attrs), inputs_(std::move(inputs)),
        outputs_(std::move(outputs)), grads_(std::move(grads)) {}

  const std::string& op() const { return op_; }
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  const Tensor& input(int i) const { return inputs_[i]; }
  const Tensor& output(int i = 0) const { return outputs_[i]; }
  // Gradient of output i; undefined when nothing depends on it and it is not
  // floating.
  const Tensor& grad(int i = 0) const { return grads_[i]; }
  const AttrMap& attrs() const { return attrs_; }
  template <typename T>
  const T& attr(const std::string& name) const {
    return attrs_.Get<T>(name);
  }

 private:
  std::string op_;
  AttrMap attrs_;
  std::vector<Tensor> inputs_, outputs_, grads_;
};
// Returns one Grad per input (undefined: no gradient flows).
using GradientFn = std::function<Grads(const GradContext&)>;

// Inputs on which the contract suite runs the op: shape rule against kernel,
// numeric gradient, GraphDef round trip, fused against plain.
struct OpSample {
  std::vector<Tensor> inputs;
  AttrMap attrs;
  // Inputs to check numerically; empty: every floating input.
  std::vector<int> check_gradient_of;
  double tolerance = 1e-3;
};

struct OpSchema {
  std::string name;
  std::vector<ArgDef> inputs, outputs;
  std::vector<AttrDef> attrs;
  bool stateful = false;       // not folded, not merged, keeps its order
  bool commutative = false;    // operands may be swapped (CSE)
  bool differentiable = true;  // false: no gradient by definition
  bool shape_only = false;     // values depend on the inputs' shapes only, and the kernel
                               // reads no input (Shape, Size, ZerosLike): folded in plans
  ShapeFn shape;
  GradientFn gradient;  // null and differentiable: an error names the op
  std::function<std::vector<OpSample>()> samples;

  const AttrDef* FindAttr(const std::string& name) const;
};

class OpBuilder {
 public:
  explicit OpBuilder(std::string name);
  // Each throws InternalError on a malformed spec.
  OpBuilder& Input(const std::string& spec);
  OpBuilder& Output(const std::string& spec);
  OpBuilder& Attr(const std::string& spec);
  OpBuilder& Shape(ShapeFn fn);
  OpBuilder& Gradient(GradientFn fn);
  OpBuilder& Samples(std::function<std::vector<OpSample>()> fn);
  OpBuilder& Stateful();
  OpBuilder& Commutative();
  OpBuilder& NotDifferentiable();
  OpBuilder& ShapeOnly() {
    schema_.shape_only = true;
    return *this;
  }
  OpSchema& schema() { return schema_; }

 private:
  OpSchema schema_;
};

Registry<OpSchema>& OpRegistry();

struct OpRegistrar {
  OpRegistrar(OpBuilder& builder);
};
#define REGISTER_OP(name)                                       \
  [[maybe_unused]] static const ::tributary::OpRegistrar TRB_UNIQUE(trb_op_) = \
      ::tributary::OpBuilder(name)

// Completes `attrs` with inferred type and number attributes and defaults, and
// checks everything against the schema: input count, dtypes, attribute names,
// types, ranges. Returns the specs of the outputs from the shape rule.
// `constants` has one entry an input, null where unknown. Throws
// InvalidArgumentError naming the op and, for dtypes, both of them.
std::vector<TensorSpec> InferOutputs(const OpSchema& schema,
                                     const std::vector<TensorSpec>& inputs,
                                     const std::vector<const Tensor*>& constants,
                                     AttrMap& attrs);

}  // namespace tributary
