#include "core/update/update_rule.h"

namespace tributary {

UpdateRuleRegistry& UpdateRules() {
  static UpdateRuleRegistry registry("update_rule");
  return registry;
}

}  // namespace tributary
