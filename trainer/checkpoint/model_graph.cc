#include "trainer/checkpoint/model_graph.h"

#include "trainer/model/model.h"
#include "trainer/optimizers/optimizer.h"

namespace tributary {
namespace {

class GraphBuilder {
 public:
  TrackablePtr Node(const Module& module) {
    TrackablePtr& known = modules_[&module];
    if (known) return known;
    known = Trackable::Container();
    const TrackablePtr node = known;  // the map may move
    if (const auto* optimizer = dynamic_cast<const Optimizer*>(&module)) {
      AddOptimizer(*optimizer, node);
      return node;
    }
    const bool is_layer = dynamic_cast<const Layer*>(&module) != nullptr;
    for (const Module::OwnVariable& own : module.own_variables()) {
      const TrackablePtr variable = Node(own.variable);
      if (is_layer && own.attribute[0] == '_') AddNew(node, own.attribute.substr(1), variable);
      AddNew(node, own.attribute, variable);
    }
    if (const auto* model = dynamic_cast<const Model*>(&module)) {
      AddLayers(*model, node);
    } else {
      for (const Module::Child& child : module.children()) {
        AddNew(node, child.attribute, Node(*child.module));
      }
    }
    return node;
  }

 private:
  TrackablePtr Node(const VariablePtr& variable) {
    TrackablePtr& node = variables_[variable.get()];
    if (!node) node = Trackable::Variable(variable->name(), variable->storage());
    return node;
  }

  // An alias gives way to what already has its name.
  static void AddNew(const TrackablePtr& node, const std::string& path, TrackablePtr child) {
    if (!node->Find(path)) node->Add(path, std::move(child));
  }

  void AddLayers(const Model& model, const TrackablePtr& node) {
    const std::vector<LayerPtr> layers = model.layers();
    const bool sequential = dynamic_cast<const Sequential*>(&model) != nullptr;
    const bool has_input = !layers.empty() && layers[0]->class_name() == "InputLayer";
    const std::string operations = sequential ? "_functional/_operations/" : "_operations/";
    // Keras counts a Sequential's input among the operations, not among the layers.
    const int first_operation = sequential && !has_input ? 1 : 0;
    const int first_layer = sequential && has_input ? -1 : 0;
    int with_weights = 0;
    for (int i = 0; i < static_cast<int>(layers.size()); ++i) {
      const TrackablePtr layer = Node(*layers[i]);
      if (layers[i]->name().find('/') == std::string::npos) AddNew(node, layers[i]->name(), layer);
      if (!layers[i]->variables().empty()) {
        AddNew(node, fmt::format("layer_with_weights-{}", with_weights++), layer);
      }
      if (i + first_layer >= 0) AddNew(node, fmt::format("layer-{}", i + first_layer), layer);
      AddNew(node, fmt::format("{}{}", operations, i + first_operation), layer);
    }
  }

  // Slots by their lists ("_momentums/0"), which Keras 2.11 and all later ones share;
  // the numbers behind "_variables" differ between them.
  void AddOptimizer(const Optimizer& optimizer, const TrackablePtr& node) {
    std::vector<std::string> lists;
    for (const Optimizer::SlotSpec& slot : optimizer.slots()) {
      if (slot.saved) lists.push_back(ListOf(optimizer, slot.name));
    }
    std::vector<VariablePtr> slots;
    for (const Module::OwnVariable& own : optimizer.own_variables()) {
      if (own.attribute.starts_with("_variables/")) {
        slots.push_back(own.variable);
      } else {
        AddNew(node, own.attribute, Node(own.variable));
        // In Keras a schedule takes the variable's place.
        node->edges.back().hidden = optimizer.follows_schedule() &&
                                    own.attribute == "_learning_rate";
      }
    }
    const size_t variables = lists.empty() ? 0 : slots.size() / lists.size();
    for (size_t n = 0; n < variables * lists.size(); ++n) {
      const bool interleaved = optimizer.slots_interleaved();
      const size_t list = interleaved ? n % lists.size() : n / variables;
      const size_t index = interleaved ? n / lists.size() : n % variables;
      node->Add(fmt::format("{}/{}", lists[list], index), Node(slots[n]));
    }
  }

  // Keras's attribute: "velocity" is in "_velocities"; SGD's only has no underscore.
  static std::string ListOf(const Optimizer& optimizer, const std::string& slot) {
    const std::string plural =
        slot.back() == 'y' ? slot.substr(0, slot.size() - 1) + "ies" : slot + "s";
    return (optimizer.get_config().name() == "SGD" ? "" : "_") + plural;
  }

  std::map<const Module*, TrackablePtr> modules_;
  std::map<const Variable*, TrackablePtr> variables_;
};

}  // namespace

TrackablePtr TrackModules(const std::vector<Module::Child>& modules) {
  GraphBuilder builder;
  const TrackablePtr root = Trackable::Container();
  for (const Module::Child& child : modules) {
    root->Add(child.attribute, builder.Node(*child.module));
    root->edges.back().hidden = child.attribute != "model" && child.attribute != "optimizer";
  }
  // A compiled Keras model holds its optimizer.
  const TrackablePtr model = root->Find("model");
  const TrackablePtr optimizer = root->Find("optimizer");
  if (model && optimizer && !model->Find("optimizer")) model->Add("optimizer", optimizer);
  return root;
}

}  // namespace tributary
