#pragma once
// Optimizers (keras.optimizers) over the flat update ops: one op updates a whole
// bucket.
//
// Hyperparameters that change from step to step (learning rate, powers of the
// betas) are scalar variables that the host writes before a step; the traced step
// reads them. Slots lie in buckets laid out like those of the variables.

#include <memory>
#include <string>
#include <vector>

#include "core/base/option_registry.h"
#include "core/tensor/tensor.h"
#include "ops/sparse_update_ops.h"
#include "trainer/model/module.h"
#include "trainer/optimizers/learning_rate.h"

namespace tributary {

class Optimizer : public Module {
 public:
  explicit Optimizer(Options options);

  const Options& get_config() const { return options_; }

  struct SlotSpec {
    std::string name;  // "momentum", "velocity": Keras's names
    double initial = 0;
    bool saved = true;  // false: its value never matters to a later step
  };
  virtual std::vector<SlotSpec> slots() const = 0;
  // Keras creates the slots variable by variable (true) or slot by slot.
  virtual bool slots_interleaved() const { return false; }

  // Emits the update of one span: handles of the variable's and the slots' parts
  // and the (combined, clipped) gradient of the same shape. Symbolic or eager.
  virtual void Update(const Tensor& variable, const std::vector<Tensor>& slots,
                      const Tensor& gradient) = 0;

  // The same for a gradient of which only some rows are there (an embedding table's):
  // `gradient` is not made dense. Only when CanUpdateRows().
  virtual bool CanUpdateRows() const { return false; }
  virtual void UpdateRows(const Tensor& variable, const std::vector<Tensor>& slots,
                          const ops::RowSlices& gradient);
  // Rows of a table that a batch does not touch stay as they are, slots included
  // (TensorFlow Addons' LazyAdam). Else their moments decay, as Keras has it.
  bool lazy() const { return lazy_; }

  // Writes the scalars of the next update (number iterations()). Called before
  // every step; allocates nothing.
  void BeginUpdate();
  // Counts an update as done.
  void EndUpdate() { ++*iterations_data_; }

  int64_t iterations() const { return *iterations_data_; }
  // So many updates have been made, by others.
  void SetIterations(int64_t iterations) { *iterations_data_ = iterations; }
  double learning_rate() const;
  bool follows_schedule() const { return schedule_ != nullptr; }
  // What the options say of it: a number, or "schedule".
  std::string configured_rate() const;
  // For LearningRateScheduler and such. Throws FailedPreconditionError when the rate
  // follows a schedule.
  void set_learning_rate(double rate);

  // Clipping, as Keras; at most one is set.
  struct Clip {
    double by_value = 0;        // clipvalue
    double by_norm = 0;         // clipnorm, of each variable
    double by_global_norm = 0;  // global_clipnorm
  };
  const Clip& clip() const { return clip_; }

  // Called by the trainer once the buckets exist: the slots of each trainable
  // variable, slot_views[variable][slot]. Makes them own_variables() in Keras's
  // order, for checkpoints. Only once.
  void OwnSlots(const std::vector<std::vector<VariablePtr>>& slot_views);

 protected:
  // A float32 scalar variable, not saved (it follows from iterations()).
  static VariablePtr Scalar(const std::string& name);
  static void Set(const VariablePtr& scalar, double value) {
    *scalar->storage().mutable_data<float>() = static_cast<float>(value);
  }
  // `value` as a constant, or a scalar variable read, in the variable's dtype.
  static Tensor Like(const Tensor& variable, double value);
  static Tensor Like(const Tensor& variable, const VariablePtr& scalar);
  // Sets the scalars other than the learning rate for update `iteration`.
  virtual void SetScalars(int64_t iteration) {}
  Tensor Rate(const Tensor& variable) const { return Like(variable, rate_); }

 private:
  Options options_;
  Clip clip_;
  bool lazy_ = false;
  SchedulePtr schedule_;  // null: fixed
  VariablePtr iterations_, rate_;
  int64_t* iterations_data_ = nullptr;
};
using OptimizerPtr = std::shared_ptr<Optimizer>;

using OptimizerRegistry = OptionRegistry<OptimizerPtr(const Options&)>;
OptimizerRegistry& Optimizers();

// `options` and those that every optimizer has: learning_rate (a number or a
// schedule), lazy, clipnorm, global_clipnorm, clipvalue.
OptionTable OptimizerTable(std::string class_name, std::string doc, double learning_rate,
                           std::vector<OptionSpec> options);

#define REGISTER_OPTIMIZER(...)                                           \
  [[maybe_unused]] static const ::tributary::OptimizerRegistry::Registrar \
      TRB_UNIQUE(trb_optimizer_)(::tributary::Optimizers(), __VA_ARGS__)

}  // namespace tributary
