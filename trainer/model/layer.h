#pragma once
// Layer: a module that maps tensors to tensors (keras.layers.Layer).
//
//   LayerPtr dense = MakeLayer("Dense", {{"units", 128}, {"activation", "relu"}});
//   Tensor y = (*dense)(x);                  // builds its weights on first use
//   KerasTensor h = (*dense)(Input({784}));  // functional composition
//
// A new kind of layer is one file: a class with Build and Call, and
// REGISTER_LAYER(LayerTable("Dense", "...", {options}), factory).

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/option_registry.h"
#include "core/tensor/tensor.h"
#include "trainer/model/activation.h"
#include "trainer/model/initializer.h"
#include "trainer/model/module.h"
#include "trainer/model/remote_table.h"
#include "trainer/model/regularizer.h"

namespace tributary {

class Layer;
using LayerPtr = std::shared_ptr<Layer>;

// What one forward pass carries besides tensors.
class CallContext {
 public:
  explicit CallContext(bool training = false) : training_(training) {}

  bool training() const { return training_; }

  // A scalar that is added to the loss (penalties on weights come by themselves).
  void AddLoss(Tensor loss) { losses_.push_back(std::move(loss)); }
  const std::vector<Tensor>& losses() const { return losses_; }

  // Work that changes state (moving averages). A training step does it after the
  // check for non-finite numbers; outside of one it is done by RunUpdates.
  void AddUpdate(std::function<void()> update) { updates_.push_back(std::move(update)); }
  void RunUpdates();
  bool has_updates() const { return !updates_.empty(); }

  // The rows of `ids`: a handle of a table and which rows of it (ResourceGather,
  // EmbeddingBags).
  struct TableRows {
    Tensor table, ids;
  };
  TableRows LookUp(const TableWeight& table, const Tensor& ids);
  // Lookups in tables that live elsewhere, in the order in which they were made.
  struct RemoteLookup {
    RemoteTablePtr table;
    Tensor ids;  // as asked for
    RemoteTable::Rows rows;
  };
  const std::vector<RemoteLookup>& remote_lookups() const { return remote_lookups_; }

  // int64 scalar that differs from step to step: with a layer's seed it fixes the
  // random numbers of this pass. Until set, a counter of the process is used.
  void set_random_step(Tensor step) { random_step_ = std::move(step); }
  Tensor random_step();
  // Which row of the global batch this replica's row 0 is: masks then do not depend
  // on the number of replicas.
  void set_row_offset(int64_t offset) { row_offset_ = offset; }
  int64_t row_offset() const { return row_offset_; }

  // Called with each layer and its output, in the order of execution.
  using Observer = std::function<void(const Layer&, const Tensor& output)>;
  void set_observer(Observer observer) { observer_ = std::move(observer); }
  void Observe(const Layer& layer, const Tensor& output) {
    if (observer_) observer_(layer, output);
  }

 private:
  bool training_;
  Tensor random_step_;
  int64_t row_offset_ = 0;
  std::vector<Tensor> losses_;
  std::vector<std::function<void()>> updates_;
  std::vector<RemoteLookup> remote_lookups_;
  Observer observer_;
};

// A symbolic input or output of a layer while a model is composed. Shapes start
// with the batch, which is unknown (-1).
struct KerasTensor {
  Shape shape;
  DType dtype = DType::kFloat32;

  // The call that made it.
  struct Call {
    LayerPtr layer;
    std::vector<KerasTensor> inputs;
    int id = 0;          // creation order in the process
    int node_index = 0;  // which call of this layer it is
  };
  std::shared_ptr<const Call> call;
};

class Layer : public Module, public std::enable_shared_from_this<Layer> {
 public:
  // `options` of a table made by LayerTable.
  explicit Layer(Options options);

  // Computes (or traces) the layer; builds it first if need be. Throws
  // InvalidArgumentError naming the layer.
  Tensor operator()(const Tensor& input, bool training = false);
  Tensor operator()(const std::vector<Tensor>& inputs, CallContext& context);
  // Records the call; nothing is built yet.
  KerasTensor operator()(const KerasTensor& input);
  KerasTensor operator()(const std::vector<KerasTensor>& inputs);

  // "Dense".
  const std::string& class_name() const { return class_name_; }
  // The validated options: what the layer can be built from again.
  const Options& get_config() const { return options_; }
  bool built() const { return built_; }
  // Creates the weights under `path` ("dense", or "outer/dense" in a nested
  // model). A second call only checks the number of inputs. Throws
  // InvalidArgumentError when the layer can't take these shapes.
  void BuildOnce(const std::vector<Shape>& input_shapes, const std::string& path);

  // The static shape for inputs whose batch (or more) may be unknown. The default:
  // that of input 0.
  virtual Shape ComputeOutputShape(const std::vector<Shape>& inputs) const;
  virtual DType ComputeOutputDType(const std::vector<DType>& inputs) const;

  // --- Preprocessing -------------------------------------------------------------
  // Row i of the output is a function of row i of the inputs and of nothing that training
  // changes: it may be computed once for each row, before the steps.
  virtual bool IsRowFunction() const { return false; }
  // It has still to learn something (a vocabulary, a mean) from data.
  virtual bool NeedsAdapt() const { return false; }
  // Learns it from all rows of its inputs (concrete tensors).
  virtual void Adapt(const std::vector<Tensor>& inputs) {}

  bool trainable() const { return trainable_; }
  // Penalties on this layer's own weights, one scalar each.
  std::vector<Tensor> RegularizationLosses() const;
  // Of own and all inner weights.
  virtual void set_trainable(bool trainable);
  int64_t CountParams() const;
  // Set by the user, so a model may not choose it.
  bool has_explicit_name() const { return explicit_name_; }
  // For models that name their layers.
  void AssignName(std::string name) { set_name(std::move(name)); }
  // Where the weights are: "sequential/dense" without the model's own name.
  const std::string& path() const { return path_; }
  // Own weights that are read row by row: their gradients are sparse.
  const std::vector<VariablePtr>& sparse_weights() const { return sparse_weights_; }
  // Own tables that live elsewhere.
  const std::vector<RemoteTablePtr>& remote_tables() const { return remote_tables_; }
  // Shape of the last built input, for summary(); rank unknown before.
  const std::vector<Shape>& input_shapes() const { return input_shapes_; }

 protected:
  // Create weights here with AddWeight. input_shapes[i][0] may be -1.
  virtual void Build(const std::vector<Shape>& input_shapes) {}
  virtual Tensor Call(const std::vector<Tensor>& inputs, CallContext& context) = 0;
  // Where the weights go when nobody said. Models: "".
  virtual std::string DefaultPath() const { return name(); }
  // For layers that take several tensors. The default: exactly one.
  virtual void CheckInputCount(size_t count) const;

  struct WeightOptions {
    DType dtype = DType::kFloat32;
    bool trainable = true;
    std::shared_ptr<Regularizer> regularizer;
    // Edge in a checkpoint; "" means the weight's name.
    std::string attribute;
  };
  // Variable "<path>/<name>" seeded by that path.
  VariablePtr AddWeight(const std::string& name, const Shape& shape,
                        const Initializer& initializer, const WeightOptions& options);
  // The same for a table of which a step reads some rows, by CallContext::LookUp. Throws
  // UnimplementedError for a regularizer on a table that lives elsewhere.
  TableWeight AddTable(const std::string& name, const Shape& shape,
                       const Initializer& initializer, const WeightOptions& options);

 private:
  Options options_;
  std::string class_name_;
  std::string path_;
  bool explicit_name_ = false;
  bool built_ = false;
  bool trainable_ = true;
  int calls_ = 0;
  std::vector<Shape> input_shapes_;
  std::vector<VariablePtr> trainable_weights_;  // whether or not frozen
  std::vector<VariablePtr> sparse_weights_;
  std::vector<RemoteTablePtr> remote_tables_;
  std::vector<std::pair<VariablePtr, std::shared_ptr<Regularizer>>> regularized_;
};

using LayerRegistry = OptionRegistry<LayerPtr(const Options&)>;
LayerRegistry& Layers();

// From code: MakeLayer("Dense", {{"units", 10}, {"name", "logits"}}). Throws
// NotFoundError, or InvalidArgumentError listing every bad option.
LayerPtr MakeLayer(const std::string& class_name, const OptionNode& options = {});

// `options` and those that every layer has: name, trainable.
OptionTable LayerTable(std::string class_name, std::string doc,
                       std::vector<OptionSpec> options);

#define REGISTER_LAYER(...)                                           \
  [[maybe_unused]] static const ::tributary::LayerRegistry::Registrar \
      TRB_UNIQUE(trb_layer_)(::tributary::Layers(), __VA_ARGS__)

}  // namespace tributary
