#pragma once
// Session: runs parts of a graph by feeds and fetches (tf.compat.v1.Session).
//
//   Session session(GraphFromDef(bytes));
//   session.InitializeVariables();
//   Tensor y = session.Run({{"x:0", x}}, {"y:0"})[0];
//
// Each combination of feed specs, fetches and targets is planned once. Only what
// the fetches and targets need runs. Variables whose handles have none yet (a
// graph from a file) get one per shared_name, which must be assigned before it is
// read. Safe from one thread at a time.

#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/runtime/plan.h"

namespace tributary {

class Session {
 public:
  // Nodes may be added to the graph between runs.
  explicit Session(std::shared_ptr<Graph> graph, PlanOptions options = {});

  // A tensor of the graph, itself or by name: "node" or "node:output".
  class Ref {
   public:
    Ref(const char* name) : name_(name) {}
    Ref(std::string name) : name_(std::move(name)) {}
    Ref(Tensor tensor) : tensor_(std::move(tensor)) {}
    const std::string& name() const { return name_; }
    const Tensor& tensor() const { return tensor_; }  // undefined: go by the name

   private:
    std::string name_;
    Tensor tensor_;
  };
  // A node, itself or by name.
  class NodeRef {
   public:
    NodeRef(const char* name) : name_(name) {}
    NodeRef(std::string name) : name_(std::move(name)) {}
    NodeRef(Node* node) : node_(node) {}
    const std::string& name() const { return name_; }
    Node* node() const { return node_; }

   private:
    std::string name_;
    Node* node_ = nullptr;
  };
  using Feeds = std::vector<std::pair<Ref, Tensor>>;

  // Values of the fetches as fresh tensors. Throws NotFoundError (a name),
  // InvalidArgumentError (a feed), FailedPreconditionError (a variable that was
  // never assigned) and what kernels throw.
  std::vector<Tensor> Run(const Feeds& feeds, const std::vector<Ref>& fetches,
                          const std::vector<NodeRef>& targets = {});

  // Runs `NAME/Assign` of every variable that this session made and that has no
  // value yet, as tf.global_variables_initializer does. Throws NotFoundError when
  // there is no such node.
  void InitializeVariables();

  Graph& graph() { return *graph_; }
  int plan_count() const { return static_cast<int>(plans_.size()); }

 private:
  struct Prepared {
    std::unique_ptr<Plan> plan;
    std::vector<Variable*> needs, assigns;  // of the variables made here
  };
  void AttachVariables();
  // A run with its names looked up.
  struct Request {
    std::vector<Tensor> feeds, values, fetches;
    std::vector<Node*> targets;
    std::string Key() const;
  };
  Request Resolve(const Feeds& feeds, const std::vector<Ref>& fetches,
                  const std::vector<NodeRef>& targets) const;
  Prepared& Prepare(const Request& request);
  void FindAssignments(const Request& request, Prepared* prepared) const;
  Tensor Find(const Ref& ref) const;
  Node* Find(const NodeRef& ref) const;

  std::shared_ptr<Graph> graph_;
  PlanOptions options_;
  size_t nodes_seen_ = 0;
  std::map<std::string, std::shared_ptr<Variable>> variables_;  // made here, by key
  std::unordered_set<const Variable*> unassigned_;
  std::map<std::string, Prepared> plans_;
};

}  // namespace tributary
