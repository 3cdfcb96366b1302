// GradientTape: records ops and plays them back.
//
// In a trace the tape records nodes, just as it records values outside of one, and plays
// back into the same graph. So watching, stopping and nesting mean the same in both.

#include "core/runtime/tape.h"

#include <deque>

#include "core/graph/node.h"
#include "core/runtime/accumulate.h"
#include "core/runtime/execute.h"
#include "core/runtime/gradients.h"

namespace tributary {
namespace {

// What a tensor is to a tape: the address of a variable or the id of a value with 0, or
// a graph with one of its outputs. A tape may outlive the graph: it asks keys, and looks
// at a node only where a gradient arrives, which is in the graph of the target.
using Key = std::pair<uint64_t, uint64_t>;

std::shared_ptr<Variable> VariableOf(const Tensor& tensor) {
  if (tensor.dtype() != DType::kResource) return nullptr;
  return tensor.IsSymbolic() ? tensor.node()->variable() : tensor.resource();
}

Key KeyOf(const Tensor& tensor) {
  if (const auto variable = VariableOf(tensor)) {
    return {reinterpret_cast<uint64_t>(variable.get()), 0};
  }
  if (!tensor.IsSymbolic()) return {tensor.id(), 0};
  const Node* node = tensor.node();
  // A value that entered the graph is still that value.
  if (const Tensor* value = node->constant()) return {value->id(), 0};
  return {node->graph()->serial(), (uint64_t(node->id()) << 16 | uint64_t(tensor.index())) + 1};
}

std::vector<Key> KeysOf(const std::vector<Tensor>& tensors) {
  std::vector<Key> keys;
  for (const Tensor& tensor : tensors) keys.push_back(KeyOf(tensor));
  return keys;
}

}  // namespace

struct GradientTape::Impl {
  struct Record {
    const OpSchema* schema;
    AttrMap attrs;
    std::vector<Tensor> inputs, outputs;
    std::vector<Key> input_keys, output_keys;
  };
  bool persistent = false;
  bool recording = true;
  bool used = false;
  // A persistent tape grows while it is played back: references must stay.
  std::deque<Record> records;
  std::set<Key> watched;
};

namespace {

thread_local std::vector<GradientTape::Impl*> tapes;

bool IsWatched(GradientTape::Impl& tape, const Tensor& tensor) {
  const auto variable = VariableOf(tensor);
  if (variable && variable->trainable()) tape.watched.insert(KeyOf(tensor));
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

void RecordOnTapes(const OpSchema& schema, const AttrMap& attrs, const std::vector<Tensor>& args,
                   const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs) {
  for (GradientTape::Impl* tape : tapes) {
    if (!tape->recording) continue;
    bool watched = false;
    for (const Tensor& arg : args) watched |= IsWatched(*tape, arg);
    if (!watched) continue;
    const std::vector<Key> output_keys = KeysOf(outputs);
    tape->watched.insert(output_keys.begin(), output_keys.end());
    tape->records.push_back({&schema, attrs, inputs, outputs, KeysOf(args), output_keys});
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
  if (!target.defined()) throw InvalidArgumentError("[GradientTape] the target is undefined");
  std::optional<GraphScope> graph;
  std::optional<NameScope> scope;
  if (target.IsSymbolic()) graph.emplace(target.node()->graph());
  if (CurrentGraph()) scope.emplace("gradient_tape");
  // A persistent tape that still records sees its gradients, and can differentiate them.
  std::optional<Pause> pause;
  if (!impl_->persistent) pause.emplace(&impl_->recording);
  std::map<Key, std::vector<Grad>> grads;
  grads[KeyOf(target)].push_back(
      output_gradient.defined() ? output_gradient : Execute1("OnesLike", {target}));
  for (size_t r = impl_->records.size(); r-- > 0;) {
    const Impl::Record& record = impl_->records[r];
    std::vector<std::vector<Grad>> parts;
    bool reached = false;
    for (const Key& key : record.output_keys) {
      const auto it = grads.find(key);
      parts.push_back(it == grads.end() ? std::vector<Grad>{} : it->second);
      reached |= it != grads.end();
    }
    if (!reached) continue;
    const Grads input_grads = BackpropagateOp(*record.schema, record.attrs, record.inputs,
                                              record.outputs, parts);
    for (size_t i = 0; i < input_grads.size(); ++i) {
      if (input_grads[i].defined()) grads[record.input_keys[i]].push_back(input_grads[i]);
    }
  }
  Grads result;
  for (const Tensor& source : sources) result.push_back(AccumulateGrads(grads[KeyOf(source)]));
  if (!impl_->persistent) impl_->records.clear();
  return result;
}

}  // namespace tributary
