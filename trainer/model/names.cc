#include "trainer/model/names.h"

namespace tributary::internal {

void LayerNames::Take(Layer& layer) {
  if (layer.has_explicit_name()) {
    if (!taken_.insert(layer.name()).second) {
      throw InvalidArgumentError(
          "[Model] two layers are named '{}'; give each layer a name of its own",
          layer.name());
    }
    return;
  }
  const std::string base = ToSnakeCase(layer.class_name());
  std::string name;
  do {
    const int number = next_[base]++;
    name = number == 0 ? base : fmt::format("{}_{}", base, number);
  } while (!taken_.insert(name).second);
  layer.AssignName(name);
}

}  // namespace tributary::internal
