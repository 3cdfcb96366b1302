#include "core/runtime/executor.h"

#include "core/base/denormals.h"
#include "core/base/strings.h"

namespace tributary {
namespace {

class CopyKernel final : public Kernel {
 public:
  CopyKernel(size_t bytes, bool strings) : bytes_(bytes), strings_(strings) {}
  void Launch(const LaunchArgs& args) override {
    if (strings_) {
      const auto* from = static_cast<const std::string*>(args.in[0]);
      std::copy_n(from, bytes_ / sizeof(std::string), static_cast<std::string*>(args.out[0]));
    } else if (bytes_) {
      std::memcpy(args.out[0], args.in[0], bytes_);
    }
  }

 private:
  size_t bytes_;
  bool strings_;
};

class FinishKernel final : public Kernel {
 public:
  explicit FinishKernel(AsyncKernel* kernel) : kernel_(kernel) {}
  void Launch(const LaunchArgs&) override { kernel_->Finish(); }

 private:
  AsyncKernel* kernel_;
};

}  // namespace

CompiledPlan::CompiledPlan(PreparedGraph prepared, Layout layout,
                           std::vector<std::string> feed_names,
                           std::vector<TensorSpec> feed_specs, Stream* stream,
                           PlanReport report)
    : prepared_(std::move(prepared)), steps_(std::move(layout.steps)),
      fetches_(std::move(layout.fetches)), keep_alive_(std::move(layout.keep_alive)),
      report_(std::move(report)) {
  for (size_t i = 0; i < feed_names.size(); ++i) {
    feeds_.push_back({std::move(feed_names[i]), std::move(feed_specs[i]), {}, nullptr, false});
  }
  size_t count = 0;
  for (const LayoutStep& step : steps_) count += step.in.size() + step.out.size();
  pointers_.resize(count);
  launches_.reserve(steps_.size());
  void** next = pointers_.data();
  for (const LayoutStep& step : steps_) {
    AddLaunch(step, next, stream);
    next += step.in.size() + step.out.size();
  }
  for (const Feed& feed : feeds_) unbound_ += !feed.slots.empty();
}

CompiledPlan::~CompiledPlan() = default;

void CompiledPlan::AddLaunch(const LayoutStep& step, void** pointers, Stream* stream) {
  void** next = pointers;
  auto store = [&](const Address& address) {
    if (address.feed >= 0) feeds_[address.feed].slots.push_back(next);
    *next++ = address.data;
  };
  for (const Address& address : step.in) store(address);
  for (const Address& address : step.out) store(address);
  Kernel* kernel = nullptr;
  switch (step.kind) {
    case LayoutStep::Kind::kLaunch:
      kernel = step.prepared->kernel.get();
      break;
    case LayoutStep::Kind::kFinish:
      helpers_.push_back(std::make_unique<FinishKernel>(step.prepared->async));
      kernel = helpers_.back().get();
      break;
    case LayoutStep::Kind::kCopy:
      helpers_.push_back(std::make_unique<CopyKernel>(step.bytes, step.strings));
      kernel = helpers_.back().get();
      break;
  }
  launches_.push_back({kernel, {pointers, pointers + step.in.size(), step.scratch, stream}});
}

void CompiledPlan::BindInput(int i, const void* data) {
  Feed& feed = feeds_[i];
  for (void** slot : feed.slots) *slot = const_cast<void*>(data);
  if (!feed.bound) {
    feed.bound = true;
    unbound_ -= !feed.slots.empty();
  }
}

void CompiledPlan::BindInput(int i, const Tensor& tensor) {
  if (i < 0 || i >= static_cast<int>(feeds_.size())) {
    throw InvalidArgumentError("[plan] there is no feed {}; the plan has {}", i, feeds_.size());
  }
  const Feed& feed = feeds_[i];
  // Piecewise: spec() would copy the shape.
  const bool fits = tensor.defined() && !tensor.IsSymbolic() &&
                    tensor.dtype() == feed.spec.dtype && tensor.shape() == feed.spec.shape;
  if (!fits && tensor.dtype() != DType::kResource) {
    throw InvalidArgumentError("[plan] feed '{}' expects {}, got {}", feed.name,
                               feed.spec.ToString(),
                               tensor.defined() ? tensor.spec().ToString() : "nothing");
  }
  if (tensor.dtype() == DType::kResource) {
    throw UnimplementedError("[plan] feed '{}': capture a variable instead of feeding its handle",
                             feed.name);
  }
  BindInput(i, tensor.raw_data());
  feeds_[i].held = tensor.buffer();
}

void CompiledPlan::Run() {
  if (unbound_) ThrowUnbound();
  const ScopedFlushDenormals flush;
  const Launch* const begin = launches_.data();
  const Launch* const end = begin + launches_.size();
  const Launch* launch = begin;
  try {
    for (; launch != end; ++launch) launch->kernel->Launch(launch->args);
  } catch (const std::exception& error) {
    Fail(launch - begin, error);
  }
}

void CompiledPlan::Fail(size_t failed, const std::exception& error) {
  const LayoutStep& step = steps_[failed];
  const std::string op = step.prepared ? step.prepared->node->op() : "copy";
  std::string what = error.what();
  const std::string tag = "[" + op + "] ";
  if (StartsWith(what, tag)) what = what.substr(tag.size());
  const auto* typed = dynamic_cast<const Error*>(&error);
  const Code code = typed ? typed->code() : Code::kInternal;
  Drain(failed);
  ThrowError(code, fmt::format("{}node {}: {}", tag, step.name, what));
}

void CompiledPlan::Drain(size_t failed) noexcept {
  std::vector<AsyncKernel*> running;
  for (size_t i = 0; i <= failed; ++i) {
    const LayoutStep& step = steps_[i];
    if (!step.prepared || !step.prepared->async) continue;
    if (step.kind == LayoutStep::Kind::kFinish) std::erase(running, step.prepared->async);
    if (step.kind == LayoutStep::Kind::kLaunch && i < failed) {
      running.push_back(step.prepared->async);
    }
  }
  for (AsyncKernel* kernel : running) {
    try {
      kernel->Finish();
    } catch (const std::exception&) {
      // The first error is the one to report.
    }
  }
}

void CompiledPlan::ThrowUnbound() const {
  std::vector<std::string> names;
  for (const Feed& feed : feeds_) {
    if (!feed.bound && !feed.slots.empty()) names.push_back(feed.name);
  }
  throw FailedPreconditionError("[plan] Run before BindInput; still missing: {}",
                                Join(names, ", "));
}

namespace {

using Forwards = std::map<std::pair<const Node*, int>, Tensor>;

// What a tensor is a view of.
Tensor SourceOf(Tensor tensor, const Forwards& forwards) {
  for (auto it = forwards.find({tensor.node(), tensor.index()}); it != forwards.end();
       it = forwards.find({tensor.node(), tensor.index()})) {
    tensor = it->second;
  }
  return tensor;
}

PlanReport FinishReport(PlanReport report, const PreparedGraph& prepared, const Layout& layout) {
  report.arena_bytes = layout.arena_bytes;
  report.naive_bytes = layout.naive_bytes;
  report.scratch_bytes = layout.scratch_bytes;
  report.constant_bytes = layout.constant_bytes;
  report.variable_bytes = layout.variable_bytes;
  report.bucket_bytes = layout.bucket_bytes;
  Forwards forwards;
  for (const PreparedNode& p : prepared.nodes) {
    for (const auto& f : p.forwards) forwards[{p.node, f.output}] = p.node->input(f.input);
  }
  for (const LayoutStep& step : layout.steps) {
    PlanReport::Step out;
    out.name = step.name;
    out.output = step.output;
    out.bytes = step.bytes;
    out.in_arena = step.arena_offset.has_value();
    out.arena_offset = step.arena_offset.value_or(0);
    out.in_place = step.in_place;
    out.op = step.kind == LayoutStep::Kind::kCopy     ? "copy"
             : step.kind == LayoutStep::Kind::kFinish ? "wait"
                                                      : step.prepared->node->op();
    if (step.prepared && step.kind == LayoutStep::Kind::kLaunch) {
      const Node* node = step.prepared->node;
      out.asynchronous = step.prepared->async != nullptr;
      if (const auto it = prepared.fused.find(node); it != prepared.fused.end()) {
        out.fused = it->second;
      }
      for (const Tensor& input : node->inputs()) {
        const Tensor source = SourceOf(input, forwards);
        out.inputs.push_back(source.index() == 0
                                 ? source.node()->name()
                                 : fmt::format("{}:{}", source.node()->name(), source.index()));
      }
    }
    report.steps.push_back(std::move(out));
  }
  return report;
}

}  // namespace

std::unique_ptr<Plan> Plan::Build(const Graph& graph, const std::vector<Tensor>& feeds,
                                  const std::vector<TensorSpec>& feed_specs,
                                  const std::vector<Tensor>& fetches,
                                  const std::vector<Node*>& targets,
                                  const PlanOptions& options) {
  PlanReport report;
  PreparedGraph prepared =
      PrepareGraph(graph, feeds, feed_specs, fetches, targets, options, &report);
  Layout layout = MakeLayout(prepared, options);
  report = FinishReport(std::move(report), prepared, layout);
  std::vector<std::string> names;
  for (const Tensor& feed : feeds) names.push_back(feed.node()->name());
  return std::make_unique<CompiledPlan>(std::move(prepared), std::move(layout), std::move(names),
                                        feed_specs, options.device->stream(), std::move(report));
}

}  // namespace tributary
