#pragma once
// Unique names within a model, as Keras gives them: "dense", "dense_1".

#include <map>
#include <set>

#include "trainer/model/layer.h"

namespace tributary::internal {

class LayerNames {
 public:
  // Names `layer` unless its user did. Throws InvalidArgumentError when a name
  // that was chosen by the user is taken.
  void Take(Layer& layer);

 private:
  std::set<std::string> taken_;
  std::map<std::string, int> next_;
};

}  // namespace tributary::internal
