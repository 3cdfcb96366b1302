#pragma once
// Categorical: what layers have in common whose output is ids in [0, num_ids()).

#include <cstdint>

namespace tributary {

class Categorical {
 public:
  virtual ~Categorical() = default;
  // -1 until the layer has learnt it from data.
  virtual int64_t num_ids() const = 0;
};

}  // namespace tributary
