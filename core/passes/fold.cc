// Constant folding and the shape inference that feeds on it.
#include "core/graph/kernel.h"
#include "core/passes/pass.h"

namespace tributary {
namespace {

class Folder {
 public:
  explicit Folder(PassContext& context) : context_(context) {}

  // Nodes come in topological order, so one walk sees every consequence.
  int Run(bool replace) {
    std::vector<Node*> order;
    for (const auto& node : context_.graph->nodes()) order.push_back(node.get());
    for (Node* node : order) {
      Infer(node);
      if (!MayFold(*node)) continue;
      std::vector<Tensor> values = Evaluate(*node);
      if (!values.empty()) context_.known[node] = std::move(values);
    }
    const int folded = static_cast<int>(context_.known.size());
    if (replace) Replace(order);
    return folded;
  }

 private:
  void Infer(Node* node) {
    if (node->num_inputs() == 0) return;
    std::vector<TensorSpec> specs;
    std::vector<const Tensor*> constants;
    for (int i = 0; i < node->num_inputs(); ++i) {
      const Tensor& input = node->input(i);
      // The handle remembers the shape it was made with.
      node->set_input(i, input.node()->out(input.index()));
      specs.push_back(input.spec());
      constants.push_back(context_.constant(input));
    }
    std::vector<TensorSpec> outputs;
    try {
      outputs = InferOutputs(node->schema(), specs, constants, node->mutable_attrs());
    } catch (const Error& e) {
      ThrowError(e.code(), fmt::format("{} (node '{}')", e.what(), node->name()));
    }
    for (int i = 0; i < node->num_outputs(); ++i) node->set_output(i, outputs[i]);
  }

  bool MayFold(const Node& node) const {
    const OpSchema& schema = node.schema();
    if (schema.stateful || node.num_inputs() == 0 || node.num_outputs() == 0 ||
        !node.control_inputs().empty()) {
      return false;
    }
    for (const TensorSpec& out : node.outputs()) {
      if (out.dtype == DType::kResource || !out.shape.IsFullyDefined() ||
          out.shape.NumElements() * DTypeSize(out.dtype) > context_.fold_limit) {
        return false;
      }
    }
    for (const Tensor& input : node.inputs()) {
      if (schema.shape_only ? !input.spec().shape.IsFullyDefined()
                            : !context_.constant(input)) {
        return false;
      }
    }
    return HasKernel(schema, node.attrs(), Specs(node), DeviceType::kCpu);
  }

  static std::vector<TensorSpec> Specs(const Node& node) {
    std::vector<TensorSpec> specs;
    for (const Tensor& input : node.inputs()) specs.push_back(input.spec());
    return specs;
  }

  // Runs the kernel on the host; nothing if it can't be run. An error in the data
  // is left to the step that will meet it.
  std::vector<Tensor> Evaluate(const Node& node) const {
    const std::vector<TensorSpec> specs = Specs(node);
    std::vector<const Tensor*> constants;
    for (const Tensor& input : node.inputs()) constants.push_back(context_.constant(input));
    PrepareContext prepare(node.op(), node.attrs(), specs, node.outputs(), constants,
                           CpuDevice());
    try {
      const auto kernel =
          FindKernel(node.schema(), node.attrs(), specs, DeviceType::kCpu)(prepare);
      if (dynamic_cast<AsyncKernel*>(kernel.get())) return {};
      std::vector<Tensor> results(node.num_outputs());
      for (const auto& forward : prepare.forwards()) {
        const Tensor* source = constants[forward.input];
        if (!source) return {};
        const TensorSpec& out = node.output(forward.output);
        results[forward.output] =
            Tensor(out.dtype, out.shape, source->buffer(), source->byte_offset());
      }
      std::vector<void*> in, out;
      for (const Tensor* value : constants) in.push_back(value ? value->raw_data() : nullptr);
      for (int i = 0; i < node.num_outputs(); ++i) {
        const TensorSpec& spec = node.output(i);
        if (!results[i].defined()) results[i] = Tensor::Empty(spec.dtype, spec.shape);
        out.push_back(results[i].raw_data());
      }
      const auto scratch = Buffer::Allocate(prepare.scratch_bytes());
      if (kernel) kernel->Launch({in.data(), out.data(), scratch->data(), CpuDevice()->stream()});
      return results;
    } catch (const Error&) {
      return {};
    }
  }

  void Replace(const std::vector<Node*>& order) {
    Redirections redirections;
    for (Node* node : order) {
      const auto it = context_.known.find(node);
      if (it == context_.known.end()) continue;
      for (const Tensor& value : it->second) {
        const Tensor constant = context_.graph->Constant(value, node->name() + "/folded");
        context_.graph->PlaceBefore(constant.node(), node);
        redirections[node].push_back(constant);
      }
    }
    Redirect(context_, redirections);
    context_.graph->Retain([&](const Node& node) { return !redirections.count(&node); });
    context_.known.clear();
  }

  PassContext& context_;
};

}  // namespace

int FoldConstants(PassContext& context, bool replace) { return Folder(context).Run(replace); }

}  // namespace tributary
