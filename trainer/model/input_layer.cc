// The start of a model (keras.layers.InputLayer).

#include "trainer/model/input_layer.h"

namespace tributary {

InputLayer::InputLayer(const Options& options)
    : Layer(options), dtype_(ParseDType(options.String("dtype"))) {
  shape_.AddDim(Shape::kUnknownDim);
  for (const int64_t dim : options.Ints("shape")) shape_.AddDim(dim);
}

KerasTensor InputLayer::Symbolic() { return (*this)(std::vector<KerasTensor>{}); }

void InputLayer::CheckInputCount(size_t count) const {
  if (count > 1) {
    throw InvalidArgumentError("[InputLayer] '{}' starts a model and takes no input", name());
  }
}

Tensor InputLayer::Call(const std::vector<Tensor>& inputs, CallContext&) { return inputs[0]; }

KerasTensor Input(const Shape& shape, DType dtype, const std::string& name) {
  OptionNode::Map options = {{"shape", OptionNode(shape.dims())}, {"dtype", DTypeName(dtype)}};
  if (!name.empty()) options.push_back({"name", name});
  return std::static_pointer_cast<InputLayer>(MakeLayer("InputLayer", options))->Symbolic();
}

namespace {

OptionTable Table() {
  OptionTable table = LayerTable(
      "InputLayer", "Says what a model is fed.",
      {Opt("shape").Int().Min(-1).List().Required().Doc("of one element, without the batch"),
       Opt("dtype").OneOf({"float32", "float64", "int32", "int64", "uint8", "bool", "string"})
           .Default("float32")});
  table.aliases = {"Input"};
  return table;
}

REGISTER_LAYER(Table(), [](const Options& o) { return std::make_shared<InputLayer>(o); });

}  // namespace
}  // namespace tributary
