// Merges elementwise float32 ops that feed nothing but each other into one
// _FusedElementwise.

#include "core/passes/rewrite.h"
#include "ops/fusion/elementwise_program.h"

namespace tributary {
namespace {

// An op whose result has the shape of the chain and whose operands it can read.
bool Fits(const Node& node, const Shape& shape) {
  if (node.num_outputs() != 1 || node.num_inputs() < 1 || node.num_inputs() > 2) return false;
  const TensorSpec& out = node.output(0);
  if (out.dtype != DType::kFloat32 || out.shape != shape) return false;
  const ElementwiseLoops loops = FindElementwise(node.op());
  if (node.num_inputs() == 1 ? !loops.unary : !loops.binary.vector_vector) return false;
  bool full = false;
  for (int i = 0; i < node.num_inputs(); ++i) {
    const Tensor& input = node.input(i);
    const Shape& own = input.node()->output(input.index()).shape;
    if (!own.IsFullyDefined() || input.dtype() != DType::kFloat32) return false;
    const OperandKind kind = KindOf(own, shape);
    if (kind == OperandKind::kOther) return false;
    if (kind == OperandKind::kScalar && !loops.binary.vector_scalar) return false;
    full |= kind == OperandKind::kFull;
  }
  return full;
}

class Chain {
 public:
  Chain(Node* end, const GraphUses& uses, int max_steps)
      : end_(end), uses_(uses), max_steps_(max_steps) {}

  // False when there is nothing to gain, or too much is alive at once.
  bool Build() {
    Visit(end_);
    if (members_.size() < 2) return false;
    const int n = static_cast<int>(inputs_.size());
    for (const Node* node : members_) {
      ops_.push_back(node->op());
      for (int i = 0; i < 2; ++i) {
        args_.push_back(i < node->num_inputs() ? ValueOf(node->input(i), n) : -1);
      }
    }
    std::vector<Shape> shapes;
    for (const Tensor& input : inputs_) shapes.push_back(ShapeOf(input));
    return ElementwiseProgram::Fits(ops_, args_, shapes, end_->output(0).shape);
  }

  Node* AddTo(Graph& graph) const {
    return graph.AddNode("_FusedElementwise", inputs_, {{"ops", ops_}, {"args", args_}},
                         end_->name() + "/fused");
  }

 private:
  // Operands first, so that members_ is in order of execution.
  void Visit(Node* node) {
    ++planned_;
    for (const Tensor& input : node->inputs()) AddRow(input);
    for (int i = 0; i < node->num_inputs(); ++i) {
      const Tensor& input = node->input(i);
      if (Known(input)) continue;
      if (Joins(input.node())) {
        Visit(input.node());
      } else {
        inputs_.push_back(input);
      }
    }
    members_.push_back(node);
  }

  bool Joins(Node* node) const {
    // Every step on the way may still add an input of its own.
    if (planned_ >= max_steps_ ||
        static_cast<int>(inputs_.size()) + planned_ >= ElementwiseProgram::kMaxInputs) {
      return false;
    }
    // Everybody who reads it must be in the chain: one reader, once or twice.
    const auto& users = uses_.users(node);
    if (uses_.pinned(node) || users.size() != 1 || !Fits(*node, end_->output(0).shape)) {
      return false;
    }
    for (int i = 0; i < node->num_inputs(); ++i) {
      if (!RowFits(node->input(i))) return false;
    }
    return true;
  }

  const Shape& ShapeOf(const Tensor& t) const { return t.node()->output(t.index()).shape; }
  // All rows of a chain have one length.
  bool RowFits(const Tensor& t) const {
    return KindOf(ShapeOf(t), end_->output(0).shape) != OperandKind::kRow || row_ == 0 ||
           row_ == ShapeOf(t).NumElements();
  }
  void AddRow(const Tensor& t) {
    if (KindOf(ShapeOf(t), end_->output(0).shape) == OperandKind::kRow) {
      row_ = ShapeOf(t).NumElements();
    }
  }

  static bool Same(const Tensor& a, const Tensor& b) {
    return a.node() == b.node() && a.index() == b.index();
  }
  bool Known(const Tensor& t) const {
    return std::any_of(inputs_.begin(), inputs_.end(),
                       [&](const Tensor& i) { return Same(i, t); }) ||
           std::find(members_.begin(), members_.end(), t.node()) != members_.end();
  }
  int64_t ValueOf(const Tensor& t, int n) const {
    for (int i = 0; i < n; ++i) {
      if (Same(inputs_[i], t)) return i;
    }
    return n + (std::find(members_.begin(), members_.end(), t.node()) - members_.begin());
  }

  Node* end_;
  const GraphUses& uses_;
  int max_steps_;
  std::vector<Node*> members_;
  std::vector<Tensor> inputs_;
  std::vector<std::string> ops_;
  std::vector<int64_t> args_;
  int planned_ = 0;
  int64_t row_ = 0;
};

std::vector<Tensor> FuseChain(Graph& graph, Node* node, const GraphUses& uses) {
  if (node->num_outputs() != 1 || !node->output(0).shape.IsFullyDefined()) return {};
  const Shape& shape = node->output(0).shape;
  if (!Fits(*node, shape)) return {};
  // Not the end: the reader will take it in.
  const auto& users = uses.users(node);
  if (!uses.pinned(node) && users.size() == 1 && Fits(*users[0], shape)) return {};
  for (const int max_steps : {ElementwiseProgram::kMaxSteps, 6}) {
    Chain chain(node, uses, max_steps);
    if (chain.Build()) return {chain.AddTo(graph)->out()};
  }
  return {};
}

REGISTER_REWRITE("fuse_elementwise_chain", 80, FuseChain);

}  // namespace
}  // namespace tributary
