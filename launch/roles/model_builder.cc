#include "launch/roles/model_builder.h"

#include <set>

#include "trainer/model/input_layer.h"

namespace tributary {
namespace {

// The layer's own options, called `name` unless it has a name.
Options LayerOptions(const Options& element, const std::string& name) {
  auto data = std::make_shared<Options::Data>(element.data());
  std::erase_if(data->entries, [](const auto& entry) { return entry.extra; });
  for (Options::Data::Entry& entry : data->entries) {
    if (entry.name == "name" && std::holds_alternative<std::monostate>(entry.value.v)) {
      entry.value.v = name;
    }
  }
  return Options(std::move(data));
}

class GraphBuilder {
 public:
  GraphBuilder(std::vector<std::string> keys, std::vector<Options> layers)
      : keys_(std::move(keys)), layers_(std::move(layers)) {
    for (size_t i = 0; i < keys_.size(); ++i) index_[keys_[i]] = i;
  }

  ModelPtr Build(const std::string& name) {
    std::set<std::string> read;
    std::vector<KerasTensor> inputs, outputs;
    for (size_t i = 0; i < keys_.size(); ++i) {
      const KerasTensor made = Make(i);
      if (!layers_[i].Has("inputs")) inputs.push_back(made);
      for (const std::string& input : Inputs(i)) read.insert(input);
    }
    std::vector<std::string> unread;
    for (size_t i = 0; i < keys_.size(); ++i) {
      if (read.contains(keys_[i])) continue;
      unread.push_back("'" + keys_[i] + "'");
      outputs.push_back(made_.at(i));
    }
    // The loss is of one.
    if (unread.size() > 1) {
      throw UnimplementedError(
          "[model] {} are read by no layer; expected one such, the output that the loss is of; "
          "name them in the `inputs` of a layer, or take them out", Join(unread, " and "));
    }
    return Model::Make(inputs, outputs, name);
  }

 private:
  std::vector<std::string> Inputs(size_t i) const {
    return layers_[i].Has("inputs") ? layers_[i].Strings("inputs") : std::vector<std::string>();
  }

  // Depth first; the validator has excluded cycles.
  KerasTensor Make(size_t i) {
    if (const auto it = made_.find(i); it != made_.end()) return it->second;
    std::vector<KerasTensor> inputs;
    for (const std::string& input : Inputs(i)) inputs.push_back(Make(index_.at(input)));
    const LayerPtr layer = Layers().Build(LayerOptions(layers_[i], keys_[i]));
    KerasTensor tensor;
    if (const auto input = std::dynamic_pointer_cast<InputLayer>(layer)) {
      tensor = input->Symbolic();
    } else {
      tensor = (*layer)(inputs);
    }
    made_.emplace(i, tensor);
    return tensor;
  }

  std::vector<std::string> keys_;
  std::vector<Options> layers_;
  std::map<std::string, size_t> index_;
  std::map<size_t, KerasTensor> made_;
};

}  // namespace

ModelPtr MakeModel(const Options& job) {
  const std::vector<std::string> keys = job.Keys("model");
  if (!keys.empty()) return GraphBuilder(keys, job.Children("model")).Build("model");
  std::vector<LayerPtr> layers;
  for (const Options& layer : job.Children("model")) layers.push_back(Layers().Build(layer));
  if (layers.size() == 1) {
    // A layer that is a whole model, such as WideDeep.
    if (auto model = std::dynamic_pointer_cast<Model>(layers[0])) return model;
  }
  return Sequential::Make(layers, "sequential");
}

}  // namespace tributary
