#include "core/runtime/execute.h"

#include <mutex>

#include "core/base/denormals.h"
#include "core/graph/kernel.h"
#include "core/runtime/eager_state.h"
#include "core/runtime/tape.h"
#include "core/runtime/variable.h"

namespace tributary {
namespace {

thread_local Graph* current_graph = nullptr;

// A kernel made ready for one combination of op, attributes and shapes.
struct Prepared {
  AttrMap attrs;
  std::vector<TensorSpec> outputs;
  std::unique_ptr<Kernel> kernel;
  std::vector<int> forwarded;  // per output: input that it aliases, or -1
  std::shared_ptr<Buffer> scratch;
};

// Kernels hold state between prepare and launch, so each thread has its own.
constexpr size_t kCacheLimit = 1024;
thread_local std::unordered_map<std::string, std::unique_ptr<Prepared>> cache;

// Op and attributes of the stateful eager call that is being prepared, else null.
thread_local const std::string* preparing = nullptr;

class PreparingStateful {
 public:
  PreparingStateful(const OpSchema& schema, const AttrMap& attrs)
      : key_(schema.name + "|" + attrs.ToString()),
        before_(std::exchange(preparing, schema.stateful ? &key_ : nullptr)) {}
  ~PreparingStateful() { preparing = before_; }
  PreparingStateful(const PreparingStateful&) = delete;

 private:
  std::string key_;
  const std::string* before_;
};

std::string CacheKey(const std::string& op, const std::vector<TensorSpec>& specs,
                     const AttrMap& attrs) {
  std::string key = op + "|" + attrs.ToString();
  for (const TensorSpec& spec : specs) key += "|" + spec.ToString();
  return key;
}

std::unique_ptr<Prepared> Prepare(const OpSchema& schema, const std::vector<Tensor>& inputs,
                                  const std::vector<TensorSpec>& specs, const AttrMap& attrs,
                                  bool* reusable) {
  auto prepared = std::make_unique<Prepared>();
  prepared->attrs = attrs;
  std::vector<const Tensor*> constants;
  for (const Tensor& input : inputs) {
    constants.push_back(input.dtype() == DType::kResource ? nullptr : &input);
  }
  prepared->outputs = InferOutputs(schema, specs, constants, prepared->attrs);
  Device* device = CpuDevice();
  PrepareContext context(schema.name, prepared->attrs, specs, prepared->outputs, constants,
                         device);
  const PreparingStateful stateful(schema, prepared->attrs);
  prepared->kernel = FindKernel(schema, prepared->attrs, specs, device->type())(context);
  prepared->forwarded.assign(prepared->outputs.size(), -1);
  for (const auto& pair : context.forwards()) prepared->forwarded[pair.output] = pair.input;
  if (context.scratch_bytes()) prepared->scratch = Buffer::Allocate(context.scratch_bytes());
  // A shape rule may read values too; only ops of plain inputs alone are reused.
  bool values_matter = context.used_constants();
  for (const TensorSpec& output : prepared->outputs) {
    if (!output.shape.IsFullyDefined()) {
      throw UnimplementedError("[{}] the shape of an output is not known before it runs: {}",
                               schema.name, output.ToString());
    }
  }
  for (const TensorSpec& spec : specs) {
    values_matter |= spec.dtype == DType::kInt32 || spec.dtype == DType::kInt64;
  }
  *reusable = !values_matter && !schema.stateful;
  return prepared;
}

std::vector<Tensor> Run(const Prepared& prepared, const std::vector<Tensor>& inputs) {
  std::vector<void*> in, out;
  for (const Tensor& input : inputs) {
    in.push_back(input.dtype() == DType::kResource ? input.resource()->storage().raw_data()
                                                   : input.raw_data());
  }
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < prepared.outputs.size(); ++i) {
    const TensorSpec& spec = prepared.outputs[i];
    const int source = prepared.forwarded[i];
    if (spec.dtype == DType::kResource) {
      throw UnimplementedError("[eager] handles of variables come from Variable::handle()");
    }
    if (source < 0) {
      outputs.push_back(Tensor::Empty(spec.dtype, spec.shape));
    } else if (inputs[source].dtype() == DType::kResource) {
      outputs.push_back(inputs[source].resource()->storage().Clone());  // a value, not a view
    } else {
      const Tensor& t = inputs[source];
      outputs.push_back(Tensor(spec.dtype, spec.shape, t.buffer(), t.byte_offset()));
    }
    out.push_back(outputs.back().raw_data());
  }
  if (prepared.kernel) {
    const ScopedFlushDenormals flush;  // as plans do
    LaunchArgs args{in.data(), out.data(),
                    prepared.scratch ? prepared.scratch->data() : nullptr, CpuDevice()->stream()};
    prepared.kernel->Launch(args);
    if (auto* async = dynamic_cast<AsyncKernel*>(prepared.kernel.get())) async->Finish();
  }
  return outputs;
}

std::vector<Tensor> ExecuteEagerly(const OpSchema& schema, const std::vector<Tensor>& inputs,
                                   const AttrMap& attrs) {
  std::vector<TensorSpec> specs;
  for (const Tensor& input : inputs) {
    if (!input.defined()) throw InvalidArgumentError("[{}] an input is undefined", schema.name);
    specs.push_back(input.spec());
  }
  const std::string key = CacheKey(schema.name, specs, attrs);
  std::unique_ptr<Prepared> own;
  const Prepared* prepared = nullptr;
  if (const auto it = cache.find(key); it != cache.end()) {
    prepared = it->second.get();
  } else {
    bool reusable = false;
    own = Prepare(schema, inputs, specs, attrs, &reusable);
    prepared = own.get();
    if (reusable) {
      if (cache.size() >= kCacheLimit) cache.clear();
      cache[key] = std::move(own);
    }
  }
  std::vector<Tensor> outputs = Run(*prepared, inputs);
  if (schema.differentiable) RecordOnTapes(schema, prepared->attrs, inputs, inputs, outputs);
  return outputs;
}

std::vector<Tensor> AddToGraph(Graph* graph, const std::string& op,
                               const std::vector<Tensor>& inputs, const AttrMap& attrs,
                               const std::string& name) {
  std::vector<Tensor> symbolic;
  for (const Tensor& input : inputs) symbolic.push_back(graph->AsSymbolic(input));
  Node* node = graph->AddNode(op, symbolic, attrs, name);
  std::vector<Tensor> outputs;
  for (int i = 0; i < node->num_outputs(); ++i) outputs.push_back(node->out(i));
  if (node->schema().differentiable) {
    RecordOnTapes(node->schema(), node->attrs(), inputs, symbolic, outputs);
  }
  return outputs;
}

}  // namespace

std::shared_ptr<void> SharedEagerState(const std::function<std::shared_ptr<void>()>& make) {
  if (!preparing) return nullptr;
  static std::mutex mutex;
  static auto* states = new std::unordered_map<std::string, std::shared_ptr<void>>;
  const std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<void>& state = (*states)[*preparing];
  if (!state) state = make();
  return state;
}

std::vector<Tensor> Execute(const std::string& op, const std::vector<Tensor>& inputs,
                            const AttrMap& attrs, const std::string& name) {
  Graph* graph = current_graph;
  for (const Tensor& input : inputs) {
    if (!graph && input.IsSymbolic()) graph = input.node()->graph();
  }
  if (graph) return AddToGraph(graph, op, inputs, attrs, name);
  return ExecuteEagerly(OpRegistry().Get(op), inputs, attrs);
}

Tensor Execute1(const std::string& op, const std::vector<Tensor>& inputs, const AttrMap& attrs,
                const std::string& name) {
  return Execute(op, inputs, attrs, name).at(0);
}

GraphScope::GraphScope(Graph* graph) : previous_(std::exchange(current_graph, graph)) {}
GraphScope::~GraphScope() { current_graph = previous_; }

InitScope::InitScope() : previous_(std::exchange(current_graph, nullptr)) {}
InitScope::~InitScope() { current_graph = previous_; }

Graph* CurrentGraph() { return current_graph; }

NameScope::NameScope(const std::string& name) : graph_(current_graph) {
  if (graph_) graph_->PushScope(name);
}
NameScope::~NameScope() {
  if (graph_) graph_->PopScope();
}

}  // namespace tributary
