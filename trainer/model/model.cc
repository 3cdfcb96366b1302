#include "trainer/model/model.h"

namespace tributary {

LayerPtr Model::get_layer(const std::string& name) const {
  std::vector<std::string> names;
  for (const LayerPtr& layer : layers()) {
    if (layer->name() == name) return layer;
    names.push_back(layer->name());
  }
  throw NotFoundError("[Model] '{}' has no layer '{}'{} (layers: {})", this->name(), name,
                      DidYouMean(name, names), Join(names, ", "));
}

std::vector<Module::Child> Model::children() const {
  std::vector<Child> out;
  const std::vector<LayerPtr> all = layers();
  for (size_t i = 0; i < all.size(); ++i) {
    out.push_back({fmt::format("_layers/{}", i), all[i].get()});
  }
  return out;
}

void Model::set_trainable(bool trainable) {
  Layer::set_trainable(trainable);
  for (const LayerPtr& layer : layers()) layer->set_trainable(trainable);
}

}  // namespace tributary
