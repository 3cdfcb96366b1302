#include "trainer/optimizers/optimizer.h"

#include "core/graph/node.h"
#include "ops/array_ops.h"

namespace tributary {

Optimizer::Optimizer(Options options) : options_(std::move(options)) {
  set_name(ToSnakeCase(options_.name()));
  const auto clip = [&](const char* option) {
    return options_.Has(option) ? options_.Float(option) : 0;
  };
  clip_ = {clip("clipvalue"), clip("clipnorm"), clip("global_clipnorm")};
  if ((clip_.by_value > 0) + (clip_.by_norm > 0) + (clip_.by_global_norm > 0) > 1) {
    throw InvalidArgumentError(
        "[{}] set one of clipvalue, clipnorm and global_clipnorm, not several",
        options_.name());
  }
  lazy_ = options_.Bool("lazy");
  if (options_.IsObject("learning_rate")) {
    schedule_ = LearningRateSchedules().Build(options_.Child("learning_rate"));
  }
  iterations_ = Variable::Create("iterations", Tensor(int64_t{0}), false);
  iterations_data_ = iterations_->storage().mutable_data<int64_t>();
  rate_ = Scalar("learning_rate");
  Set(rate_, schedule_ ? schedule_->At(0) : options_.Float("learning_rate"));
  Own("_iterations", iterations_);
  Own("_learning_rate", rate_);
}

VariablePtr Optimizer::Scalar(const std::string& name) {
  return Variable::Create(name, Tensor(0.0f), false);
}

Tensor Optimizer::Like(const Tensor& variable, double value) {
  return variable.spec().handle_dtype == DType::kFloat64 ? Tensor(value)
                                                         : Tensor(static_cast<float>(value));
}

Tensor Optimizer::Like(const Tensor& variable, const VariablePtr& scalar) {
  return ops::Cast(scalar->value(), variable.spec().handle_dtype);
}

void Optimizer::UpdateRows(const Tensor&, const std::vector<Tensor>&, const ops::RowSlices&) {
  throw UnimplementedError("[{}] updates no single rows", options_.name());
}

void Optimizer::BeginUpdate() {
  if (schedule_) Set(rate_, schedule_->At(iterations()));
  SetScalars(iterations());
}

double Optimizer::learning_rate() const { return *rate_->storage().data<float>(); }

std::string Optimizer::configured_rate() const {
  return schedule_ ? "schedule" : fmt::format("{}", options_.Float("learning_rate"));
}

void Optimizer::set_learning_rate(double rate) {
  if (schedule_) {
    throw FailedPreconditionError(
        "[{}] the learning rate follows the schedule {}; it can't be set as well",
        options_.name(), options_.Child("learning_rate").name());
  }
  Set(rate_, rate);
}

void Optimizer::OwnSlots(const std::vector<std::vector<VariablePtr>>& slot_views) {
  const std::vector<SlotSpec> specs = slots();
  int number = 2;  // after iterations and learning rate
  const auto own = [&](const std::vector<VariablePtr>& of_variable, size_t slot) {
    if (specs[slot].saved) Own(fmt::format("_variables/{}", number++), of_variable[slot]);
  };
  if (slots_interleaved()) {
    for (const auto& of_variable : slot_views) {
      for (size_t slot = 0; slot < specs.size(); ++slot) own(of_variable, slot);
    }
  } else {
    for (size_t slot = 0; slot < specs.size(); ++slot) {
      for (const auto& of_variable : slot_views) own(of_variable, slot);
    }
  }
}

OptimizerRegistry& Optimizers() {
  static OptimizerRegistry registry("optimizer");
  return registry;
}

OptionTable OptimizerTable(std::string class_name, std::string doc, double learning_rate,
                           std::vector<OptionSpec> options) {
  options.insert(options.begin(),
                 Opt("learning_rate").Float().Min(0).OrOf("learning_rate_schedule")
                     .Default(learning_rate).Doc("a number or a schedule"));
  options.push_back(Opt("lazy").Bool().Default(false).Doc(
      "rows of an embedding table that a batch does not touch keep their moments"));
  options.push_back(Opt("clipnorm").Float().Above(0).Doc(
      "scales the gradient of each variable down to this norm"));
  options.push_back(Opt("global_clipnorm").Float().Above(0).Doc(
      "scales all gradients together down to this norm"));
  options.push_back(Opt("clipvalue").Float().Above(0).Doc(
      "clips every gradient to [-clipvalue, clipvalue]"));
  return {std::move(class_name), std::move(doc), std::move(options)};
}

}  // namespace tributary
