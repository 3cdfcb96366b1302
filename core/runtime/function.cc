#include "core/runtime/function.h"

#include <mutex>

#include "core/runtime/execute.h"
#include "core/runtime/tape.h"
#include "core/runtime/variable.h"

namespace tributary {
namespace {

std::string ListText(const std::vector<TensorSpec>& specs) {
  std::vector<std::string> parts;
  for (const TensorSpec& spec : specs) parts.push_back(spec.ToString());
  return Join(parts, ", ");
}

}  // namespace

struct Function::Impl {
  struct Prepared {
    std::vector<TensorSpec> specs;
    std::unique_ptr<Plan> plan;
  };
  // One trace, and a plan for each concrete set of shapes that it serves.
  struct Traced {
    std::vector<TensorSpec> specs;
    std::vector<std::shared_ptr<Variable>> handles;  // per argument, else null
    Trace trace;
    std::vector<Tensor> feeds;  // inputs that are no handles
    std::vector<std::unique_ptr<Prepared>> plans;
  };

  std::string name;
  Body body;
  std::optional<std::vector<TensorSpec>> signature;
  PlanOptions options;
  std::vector<std::unique_ptr<Traced>> traces;
  std::mutex mutex;

  void CheckSignature(const std::vector<TensorSpec>& specs) const {
    if (!signature) return;
    bool fits = specs.size() == signature->size();
    for (size_t i = 0; fits && i < specs.size(); ++i) {
      fits = specs[i].dtype == (*signature)[i].dtype &&
             (*signature)[i].shape.IsCompatibleWith(specs[i].shape);
    }
    if (fits) return;
    throw InvalidArgumentError("[function] {} is declared for ({}), called with ({})", name,
                               ListText(*signature), ListText(specs));
  }

  // What a call with these arguments is traced for.
  std::vector<TensorSpec> TraceSpecs(const std::vector<TensorSpec>& specs) const {
    CheckSignature(specs);
    if (!signature) return specs;
    std::vector<TensorSpec> open = *signature;
    for (size_t i = 0; i < open.size(); ++i) {
      if (open[i].dtype == DType::kResource) open[i] = specs[i];
    }
    return open;
  }

  Traced& Get(const std::vector<TensorSpec>& specs,
              const std::vector<std::shared_ptr<Variable>>& handles) {
    const std::vector<TensorSpec> wanted = TraceSpecs(specs);
    for (const auto& traced : traces) {
      if (traced->specs == wanted && traced->handles == handles) return *traced;
    }
    auto traced = std::make_unique<Traced>();
    traced->specs = wanted;
    traced->handles = handles;
    RunTrace(traced.get());
    traces.push_back(std::move(traced));
    return *traces.back();
  }

  void RunTrace(Traced* traced) const {
    Trace& trace = traced->trace;
    trace.graph = std::make_unique<Graph>();
    GraphScope scope(trace.graph.get());
    for (size_t i = 0; i < traced->specs.size(); ++i) {
      const TensorSpec& spec = traced->specs[i];
      if (traced->handles[i]) {
        trace.inputs.push_back(trace.graph->Capture(traced->handles[i]));
        continue;
      }
      if (spec.dtype == DType::kResource) {
        throw InvalidArgumentError("[function] {}: argument {} is a handle; call the function "
                                   "with it instead of asking for a plan by specs",
                                   name, i);
      }
      trace.inputs.push_back(
          trace.graph->Placeholder(spec.dtype, spec.shape, fmt::format("args_{}", i)));
      traced->feeds.push_back(trace.inputs.back());
    }
    for (const Tensor& output : body(trace.inputs)) {
      trace.outputs.push_back(trace.graph->AsSymbolic(output));
    }
    for (const auto& node : trace.graph->nodes()) {
      if (node->schema().stateful && !node->variable()) trace.targets.push_back(node.get());
    }
  }

  Plan* PlanFor(Traced& traced, const std::vector<TensorSpec>& specs) {
    for (const auto& prepared : traced.plans) {
      if (prepared->specs == specs) return prepared->plan.get();
    }
    std::vector<TensorSpec> fed;
    for (size_t i = 0; i < specs.size(); ++i) {
      if (!traced.handles[i]) fed.push_back(specs[i]);
    }
    auto prepared = std::make_unique<Prepared>();
    prepared->specs = specs;
    prepared->plan = Plan::Build(*traced.trace.graph, traced.feeds, fed, traced.trace.outputs,
                                 traced.trace.targets, options);
    traced.plans.push_back(std::move(prepared));
    return traced.plans.back()->plan.get();
  }

  std::vector<Tensor> Call(const std::vector<Tensor>& args) {
    std::vector<TensorSpec> specs;
    std::vector<std::shared_ptr<Variable>> handles;
    for (const Tensor& arg : args) {
      if (!arg.defined()) {
        throw InvalidArgumentError("[function] {}: argument {} is undefined", name, specs.size());
      }
      specs.push_back(arg.spec());
      handles.push_back(arg.dtype() == DType::kResource ? arg.resource() : nullptr);
    }
    const std::lock_guard<std::mutex> lock(mutex);
    Plan* plan = PlanFor(Get(specs, handles), specs);
    int feed = 0;
    for (size_t i = 0; i < args.size(); ++i) {
      if (!handles[i]) plan->BindInput(feed++, args[i]);
    }
    plan->Run();
    options.device->stream()->Synchronize();
    std::vector<Tensor> results;
    for (int i = 0; i < plan->num_outputs(); ++i) {
      const Tensor& output = plan->output(i);
      results.push_back(output.dtype() == DType::kResource ? output : output.Clone());
    }
    return results;
  }
};

Function::Function(std::string name, Body body, std::optional<std::vector<TensorSpec>> signature,
                   PlanOptions options)
    : impl_(std::make_unique<Impl>()) {
  impl_->name = std::move(name);
  impl_->body = std::move(body);
  impl_->signature = std::move(signature);
  impl_->options = std::move(options);
}

Function::~Function() = default;

std::vector<Tensor> Function::operator()(const std::vector<Tensor>& args) {
  Graph* graph = CurrentGraph();
  for (const Tensor& arg : args) {
    if (!graph && arg.IsSymbolic()) graph = arg.node()->graph();
  }
  if (graph) {
    std::vector<TensorSpec> specs;
    for (const Tensor& arg : args) specs.push_back(arg.spec());
    impl_->CheckSignature(specs);
    GraphScope scope(graph);
    NameScope name(impl_->name);
    return impl_->body(args);
  }
  // A tape sees through a function only if its ops run one by one.
  if (TapesActive()) return impl_->body(args);
  return impl_->Call(args);
}

Plan* Function::plan(const std::vector<TensorSpec>& args) {
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  Impl::Traced& traced = impl_->Get(args, std::vector<std::shared_ptr<Variable>>(args.size()));
  return impl_->PlanFor(traced, args);
}

const Function::Trace& Function::trace(const std::vector<TensorSpec>& args) {
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  return impl_->Get(args, std::vector<std::shared_ptr<Variable>>(args.size())).trace;
}

int Function::trace_count() const { return static_cast<int>(impl_->traces.size()); }

}  // namespace tributary
