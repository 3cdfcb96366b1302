#include "trainer/strategy/strategy.h"

namespace tributary {

StrategyRegistry& Strategies() {
  static StrategyRegistry registry("strategy");
  return registry;
}

}  // namespace tributary
