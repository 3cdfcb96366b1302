#include "trainer/model/layer.h"

#include <atomic>

#include "core/runtime/execute.h"
#include "trainer/model/random_seed.h"

namespace tributary {

// --- CallContext --------------------------------------------------------------

void CallContext::RunUpdates() {
  for (const auto& update : updates_) update();
  updates_.clear();
}

CallContext::TableRows CallContext::LookUp(const TableWeight& table, const Tensor& ids) {
  if (!table.remote) return {table.variable->handle(), ids};
  remote_lookups_.push_back({table.remote, ids, table.remote->LookUp(ids, training_)});
  const RemoteTable::Rows& rows = remote_lookups_.back().rows;
  return {rows.table->handle(), rows.ids};
}

Tensor CallContext::random_step() {
  if (!random_step_.defined()) {
    static std::atomic<int64_t> calls{0};
    random_step_ = Tensor(calls++);
  }
  return random_step_;
}

// --- Layer ----------------------------------------------------------------------

Layer::Layer(Options options) : options_(std::move(options)), class_name_(options_.name()) {
  explicit_name_ = options_.Has("name");
  set_name(explicit_name_ ? options_.String("name") : ToSnakeCase(class_name_));
  trainable_ = options_.Bool("trainable");
}

void Layer::CheckInputCount(size_t count) const {
  if (count != 1) {
    throw InvalidArgumentError("[{}] layer '{}' takes one input, got {}", class_name_, name(),
                               count);
  }
}

void Layer::BuildOnce(const std::vector<Shape>& input_shapes, const std::string& path) {
  CheckInputCount(input_shapes.size());
  if (built_) return;
  InitScope eager;
  path_ = path;
  input_shapes_ = input_shapes;
  Build(input_shapes);
  built_ = true;
}

Tensor Layer::operator()(const Tensor& input, bool training) {
  CallContext context(training);
  Tensor output = (*this)(std::vector<Tensor>{input}, context);
  context.RunUpdates();
  return output;
}

Tensor Layer::operator()(const std::vector<Tensor>& inputs, CallContext& context) {
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.shape());
  BuildOnce(shapes, path_.empty() ? DefaultPath() : path_);
  NameScope scope(name());
  Tensor output = Call(inputs, context);
  context.Observe(*this, output);
  return output;
}

std::vector<Tensor> Layer::RegularizationLosses() const {
  std::vector<Tensor> losses;
  for (const auto& [weight, regularizer] : regularized_) {
    losses.push_back((*regularizer)(weight->value()));
  }
  return losses;
}

KerasTensor Layer::operator()(const KerasTensor& input) {
  return (*this)(std::vector<KerasTensor>{input});
}

KerasTensor Layer::operator()(const std::vector<KerasTensor>& inputs) {
  static std::atomic<int> next_id{0};
  CheckInputCount(inputs.size());
  std::vector<Shape> shapes;
  std::vector<DType> dtypes;
  for (const KerasTensor& input : inputs) {
    shapes.push_back(input.shape);
    dtypes.push_back(input.dtype);
  }
  KerasTensor output{ComputeOutputShape(shapes), ComputeOutputDType(dtypes), nullptr};
  output.call = std::make_shared<KerasTensor::Call>(
      KerasTensor::Call{shared_from_this(), inputs, next_id++, calls_++});
  return output;
}

Shape Layer::ComputeOutputShape(const std::vector<Shape>& inputs) const { return inputs[0]; }
DType Layer::ComputeOutputDType(const std::vector<DType>& inputs) const { return inputs[0]; }

void Layer::set_trainable(bool trainable) {
  trainable_ = trainable;
  for (const VariablePtr& weight : trainable_weights_) weight->set_trainable(trainable);
}

int64_t Layer::CountParams() const {
  int64_t count = 0;
  for (const VariablePtr& variable : variables()) count += variable->shape().NumElements();
  const auto add = [&](const Layer& layer) {
    for (const RemoteTablePtr& t : layer.remote_tables_) count += t->spec().rows * t->spec().width;
  };
  add(*this);
  for (const Module* module : submodules()) {
    if (const auto* layer = dynamic_cast<const Layer*>(module)) add(*layer);
  }
  return count;
}

VariablePtr Layer::AddWeight(const std::string& name, const Shape& shape,
                             const Initializer& initializer, const WeightOptions& options) {
  const std::string path = path_ + "/" + name;
  VariablePtr weight =
      Variable::Create(path, initializer.Make(shape, options.dtype, SeedFor(path)),
                       options.trainable && trainable_);
  if (options.trainable) trainable_weights_.push_back(weight);
  if (options.regularizer) regularized_.emplace_back(weight, options.regularizer);
  Own(options.attribute.empty() ? name : options.attribute, weight);
  return weight;
}

TableWeight Layer::AddTable(const std::string& name, const Shape& shape,
                            const Initializer& initializer, const WeightOptions& options) {
  RemoteTables* tables = RemoteTables::Current();
  if (!tables || !options.trainable || !trainable_) {
    const VariablePtr weight = AddWeight(name, shape, initializer, options);
    sparse_weights_.push_back(weight);
    return {weight, nullptr};
  }
  const std::string path = path_ + "/" + name;
  if (options.regularizer) {
    throw UnimplementedError("[{}] '{}' has a regularizer, but its rows live on parameter servers; "
                             "leave it out, or use an optimizer with decoupled weight decay (AdamW)",
                             class_name_, path);
  }
  remote_tables_.push_back(tables->Create({.name = path, .rows = shape[0], .width = shape[1],
                                           .initializer = initializer.get_config(),
                                           .seed = SeedFor(path)}));
  return {nullptr, remote_tables_.back()};
}

// --- Registry -------------------------------------------------------------------

LayerRegistry& Layers() {
  static LayerRegistry registry("layer");
  return registry;
}

LayerPtr MakeLayer(const std::string& class_name, const OptionNode& options) {
  return Layers().Make(class_name, options);
}

OptionTable LayerTable(std::string class_name, std::string doc,
                       std::vector<OptionSpec> options) {
  options.push_back(Opt("name").String().Check([](const OptionNode& value) {
    const std::string* text = value.AsString();
    const bool bad = text && (text->empty() || text->find('/') != std::string::npos);
    return std::string(bad ? "must not be empty or contain '/'" : "");
  }).Doc("unique in the model; the class name in snake case unless set"));
  options.push_back(Opt("trainable").Bool().Default(true).Doc(
      "whether the optimizer updates the weights"));
  return {std::move(class_name), std::move(doc), std::move(options)};
}

}  // namespace tributary
