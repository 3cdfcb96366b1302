#include "trainer/model/module.h"

#include <set>

namespace tributary {
namespace {

void Collect(const Module& module, std::set<const Module*>& seen, std::vector<Module*>& out) {
  for (const Module::Child& child : module.children()) {
    if (!seen.insert(child.module).second) continue;
    out.push_back(child.module);
    Collect(*child.module, seen, out);
  }
}

}  // namespace

std::vector<Module*> Module::submodules() const {
  std::set<const Module*> seen{this};
  std::vector<Module*> out;
  Collect(*this, seen, out);
  return out;
}

std::vector<VariablePtr> Module::variables() const {
  std::set<const Variable*> seen;
  std::vector<VariablePtr> out;
  const auto add = [&](const Module& module) {
    for (const OwnVariable& own : module.own_variables()) {
      if (seen.insert(own.variable.get()).second) out.push_back(own.variable);
    }
  };
  add(*this);
  for (const Module* module : submodules()) add(*module);
  return out;
}

std::vector<VariablePtr> Module::trainable_variables() const {
  std::vector<VariablePtr> out = variables();
  std::erase_if(out, [](const VariablePtr& v) { return !v->trainable(); });
  return out;
}

std::vector<VariablePtr> Module::non_trainable_variables() const {
  std::vector<VariablePtr> out = variables();
  std::erase_if(out, [](const VariablePtr& v) { return v->trainable(); });
  return out;
}

}  // namespace tributary
