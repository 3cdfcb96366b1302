// GradientTape: records eager ops and plays them back.

#include "core/runtime/tape.h"

#include "core/runtime/accumulate.h"
#include "core/runtime/execute.h"
#include "core/runtime/gradients.h"

namespace tributary {

struct GradientTape::Impl {
  struct Record {
    const OpSchema* schema;
    AttrMap attrs;
    std::vector<Tensor> inputs, outputs;
  };
  bool persistent = false;
  bool recording = true;
  bool used = false;
  std::vector<Record> records;
  std::set<uint64_t> watched;
};

namespace {

thread_local std::vector<GradientTape::Impl*> tapes;

uint64_t KeyOf(const Tensor& tensor) {
  return tensor.dtype() == DType::kResource
             ? reinterpret_cast<uint64_t>(tensor.resource().get())
             : tensor.id();
}

bool IsWatched(GradientTape::Impl& tape, const Tensor& tensor) {
  if (tensor.dtype() == DType::kResource && tensor.resource()->trainable()) {
    tape.watched.insert(KeyOf(tensor));
    return true;
  }
  return tape.watched.count(KeyOf(tensor)) > 0;
}

// While alive, the tape does not see the ops of its own playback.
class Pause {
 public:
  explicit Pause(bool* flag) : flag_(flag), before_(std::exchange(*flag, false)) {}
  ~Pause() { *flag_ = before_; }

 private:
  bool* flag_;
  bool before_;
};

}  // namespace

void RecordOnTapes(const OpSchema& schema, const AttrMap& attrs,
                   const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs) {
  for (GradientTape::Impl* tape : tapes) {
    if (!tape->recording) continue;
    bool watched = false;
    for (const Tensor& input : inputs) watched |= IsWatched(*tape, input);
    if (!watched) continue;
    for (const Tensor& output : outputs) tape->watched.insert(KeyOf(output));
    tape->records.push_back({&schema, attrs, inputs, outputs});
  }
}

bool TapesActive() {
  return std::any_of(tapes.begin(), tapes.end(),
                     [](const GradientTape::Impl* tape) { return tape->recording; });
}

GradientTape::GradientTape(bool persistent) : impl_(std::make_unique<Impl>()) {
  impl_->persistent = persistent;
  tapes.push_back(impl_.get());
}

GradientTape::~GradientTape() { std::erase(tapes, impl_.get()); }

void GradientTape::Watch(const Tensor& tensor) { impl_->watched.insert(KeyOf(tensor)); }

void GradientTape::Stop() { impl_->recording = false; }

Grads GradientTape::Gradient(const Tensor& target,
                             const std::vector<std::shared_ptr<Variable>>& sources,
                             const Tensor& output_gradient) {
  std::vector<Tensor> handles;
  for (const auto& variable : sources) handles.push_back(variable->handle());
  return Gradient(target, handles, output_gradient);
}

Grads GradientTape::Gradient(const Tensor& target, const std::vector<Tensor>& sources,
                             const Tensor& output_gradient) {
  if (impl_->used && !impl_->persistent) {
    throw FailedPreconditionError("[GradientTape] Gradient was called twice; make the tape "
                                  "persistent");
  }
  impl_->used = true;
  Pause pause(&impl_->recording);
  std::unordered_map<uint64_t, std::vector<Grad>> grads;
  grads[KeyOf(target)].push_back(
      output_gradient.defined() ? output_gradient : Execute1("OnesLike", {target}));
  // By index: a persistent outer tape may grow while its ops run.
  for (size_t r = impl_->records.size(); r-- > 0;) {
    const Impl::Record& record = impl_->records[r];
    std::vector<std::vector<Grad>> parts;
    for (const Tensor& output : record.outputs) parts.push_back(grads[KeyOf(output)]);
    const Grads input_grads = BackpropagateOp(*record.schema, record.attrs, record.inputs,
                                              record.outputs, parts);
    for (size_t i = 0; i < input_grads.size(); ++i) {
      if (input_grads[i].defined()) grads[KeyOf(record.inputs[i])].push_back(input_grads[i]);
    }
  }
  Grads result;
  for (const Tensor& source : sources) result.push_back(AccumulateGrads(grads[KeyOf(source)]));
  if (!impl_->persistent) impl_->records.clear();
  return result;
}

}  // namespace tributary
