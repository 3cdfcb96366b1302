#pragma once
// Module: a named owner of variables and of other modules (tf.Module). Layers,
// models, optimizers and metrics are modules; checkpoints, summaries and the
// strategy walk the tree that they form.

#include <memory>
#include <string>
#include <vector>

#include "core/runtime/variable.h"

namespace tributary {

using VariablePtr = std::shared_ptr<Variable>;

class Module {
 public:
  // A variable and the name of the edge to it in the object graph of a checkpoint,
  // which is the attribute's name in Keras: "_kernel", "bias", "moving_mean".
  struct OwnVariable {
    std::string attribute;
    VariablePtr variable;
  };
  // Likewise for modules: "_layers/0".
  struct Child {
    std::string attribute;
    Module* module = nullptr;
  };

  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  const std::string& name() const { return name_; }

  const std::vector<OwnVariable>& own_variables() const { return own_variables_; }
  // In a fixed order; a module shared by two parents appears under both.
  virtual std::vector<Child> children() const { return {}; }

  // Every module below (not this one), depth first, each once.
  std::vector<Module*> submodules() const;
  // Of this module and everything below, each once: own ones first, in the order
  // of their creation, then those of the children (Keras's order).
  std::vector<VariablePtr> variables() const;
  std::vector<VariablePtr> trainable_variables() const;
  std::vector<VariablePtr> non_trainable_variables() const;

 protected:
  void set_name(std::string name) { name_ = std::move(name); }
  void Own(std::string attribute, VariablePtr variable) {
    own_variables_.push_back({std::move(attribute), std::move(variable)});
  }

 private:
  std::string name_;
  std::vector<OwnVariable> own_variables_;
};

}  // namespace tributary
