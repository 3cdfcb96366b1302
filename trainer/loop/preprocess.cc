#include "trainer/loop/preprocess.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/checked.h"
#include "ops/array_ops.h"
#include "trainer/data/transform.h"
#include "trainer/model/functional.h"

namespace tributary {
namespace {

using CallPtr = Functional::CallPtr;

// The column that an input of the model stands for, as the input wants it.
data::ColumnPtr ColumnFor(const KerasTensor& input, const data::Table& table) {
  const std::string& name = input.call->layer->name();
  data::ColumnPtr column = table.columns[data::ColumnIndex(table, name)];
  const DType have = column->spec().dtype;
  if ((have == DType::kString) != (input.dtype == DType::kString)) {
    throw InvalidArgumentError("[features] input '{}' of the model is {}, the data's column is {}",
                               name, DTypeName(input.dtype), column->spec().ToString());
  }
  if (have != input.dtype) column = data::CastColumn(column, input.dtype);
  Shape row(std::vector<int64_t>(input.shape.dims().begin() + 1, input.shape.dims().end()));
  if (column->spec().shape == row) return column;
  const bool fits = row.IsFullyDefined() &&
                    row.NumElements() == column->spec().shape.NumElements();
  if (!fits) {
    throw InvalidArgumentError("[features] input '{}' of the model takes rows of shape {}, the "
                               "data's have {}",
                               name, row.ToString(), column->spec().shape.ToString());
  }
  return data::ReshapeColumn(column, row);
}

// The values of tensors for all rows of a table.
class Values {
 public:
  explicit Values(const data::Table& table) : table_(table) {}

  const Tensor& Of(const KerasTensor& tensor) {
    const CallPtr call = tensor.call.get();
    if (const auto known = values_.find(call); known != values_.end()) return known->second;
    Tensor value;
    if (call->inputs.empty()) {
      value = data::Materialize(*ColumnFor(tensor, table_), table_.rows);
    } else {
      std::vector<Tensor> inputs;
      for (const KerasTensor& input : call->inputs) inputs.push_back(Of(input));
      CallContext context;
      value = (*call->layer)(inputs, context);
    }
    return values_.emplace(call, std::move(value)).first->second;
  }

 private:
  const data::Table& table_;
  std::map<CallPtr, Tensor> values_;
};

// Calls whose values follow from single rows of the data.
std::set<CallPtr> RowFunctions(const Functional& model) {
  std::set<CallPtr> calls;
  for (const Functional::Node& node : model.nodes()) {
    const auto& inputs = node.call->inputs;
    const bool from_rows = std::ranges::all_of(
        inputs, [&](const KerasTensor& input) { return calls.contains(input.call.get()); });
    if (inputs.empty() || (from_rows && node.call->layer->IsRowFunction())) {
      calls.insert(node.call);
    }
  }
  return calls;
}

void AdaptLayers(const Functional& model, const std::set<CallPtr>& rows,
                 const data::Table& table) {
  Values values(table);
  for (const Functional::Node& node : model.nodes()) {
    Layer& layer = *node.call->layer;
    if (!layer.NeedsAdapt()) continue;
    if (!rows.contains(node.call)) {
      throw FailedPreconditionError("[features] layer '{}' must learn from the data, but reads "
                                    "what training changes",
                                    layer.name());
    }
    std::vector<Tensor> inputs;
    for (const KerasTensor& input : node.call->inputs) inputs.push_back(values.Of(input));
    layer.Adapt(inputs);
  }
}

// The leading layers of a stack learn from column 0.
void AdaptStack(const Model& model, const data::Table& table) {
  Tensor x;
  for (const LayerPtr& layer : model.layers()) {
    if (!layer->IsRowFunction()) break;
    if (!x.defined()) x = data::Materialize(*table.columns[0], table.rows);
    if (layer->NeedsAdapt()) layer->Adapt({x});
    CallContext context;
    x = (*layer)(std::vector<Tensor>{x}, context);
  }
}

size_t RowBytes(const KerasTensor& tensor) {
  size_t bytes = DTypeSize(tensor.dtype);
  for (int i = 1; i < tensor.shape.rank(); ++i) {
    bytes *= static_cast<size_t>(std::max<int64_t>(1, tensor.shape[i]));
  }
  return bytes;
}

}  // namespace

bool NeedsAdapt(const Model& model) {
  return std::ranges::any_of(model.layers(), [](const LayerPtr& layer) {
    const auto* inner = dynamic_cast<const Model*>(layer.get());
    return inner ? NeedsAdapt(*inner) : layer->NeedsAdapt();
  });
}

Preprocessor::Preprocessor(const ModelPtr& model, const data::Dataset& train, size_t max_bytes)
    : owner_(model) {
  if (train.names().empty()) {
    if (NeedsAdapt(*model)) AdaptStack(*model, *train.table());
  } else if (auto* functional = dynamic_cast<Functional*>(model.get())) {
    model_ = functional;
    AdaptLayers(*model_, RowFunctions(*model_), *train.table());
    FindFeeds(train, max_bytes);
  }
  if (NeedsAdapt(*model)) {
    throw FailedPreconditionError("[features] a layer of '{}' must learn from the data, but it "
                                  "is not among the first",
                                  model->name());
  }
}

void Preprocessor::FindFeeds(const data::Dataset& train, size_t max_bytes) {
  const std::set<CallPtr> rows = RowFunctions(*model_);
  std::set<CallPtr> taken;
  size_t row_bytes = 0;
  const auto take = [&](const KerasTensor& tensor) {
    if (!rows.contains(tensor.call.get()) || !taken.insert(tensor.call.get()).second) return;
    feeds_.push_back(tensor);
    row_bytes += RowBytes(tensor);
  };
  for (const Functional::Node& node : model_->nodes()) {
    if (rows.contains(node.call)) continue;
    for (const KerasTensor& input : node.call->inputs) take(input);
  }
  for (const KerasTensor& output : model_->outputs()) take(output);
  if (row_bytes > max_bytes / std::max<size_t>(1, static_cast<size_t>(train.rows()))) {
    feeds_.clear();
    for (const Functional::Node& node : model_->nodes()) {
      if (node.call->inputs.empty()) feeds_.push_back(*node.tensor);
    }
  }
  model_->FeedAt(feeds_);
}

data::Dataset Preprocessor::Apply(const data::Dataset& data) const {
  if (!model_) return data;
  const data::Table& source = *data.table();
  auto table = std::make_shared<data::Table>();
  table->rows = source.rows;
  Values values(source);
  for (const KerasTensor& feed : feeds_) {
    table->columns.push_back(feed.call->inputs.empty() ? ColumnFor(feed, source)
                                                       : data::TensorColumn(values.Of(feed)));
    table->names.push_back(feed.call->layer->name());
  }
  table->columns.push_back(source.columns.back());
  table->names.push_back(source.names.back());
  return data.WithTable(std::move(table));
}

}  // namespace tributary
