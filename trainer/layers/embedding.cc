// Embedding: integers to rows of a table (keras.layers.Embedding).

#include "ops/array_ops.h"
#include "ops/feature_ops.h"
#include "ops/state_ops.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

using namespace layers;

class Embedding final : public Layer {
 public:
  explicit Embedding(const Options& o)
      : Layer(o), rows_(o.Int("input_dim")), width_(o.Int("output_dim")),
        combiner_(o.Has("combiner") ? o.String("combiner") : "") {}

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    Shape shape = inputs[0];
    if (!combiner_.empty()) {
      RequireRank(*this, shape, 2);
      return {shape.unknown_rank() ? Shape::kUnknownDim : shape[0], width_};
    }
    shape.AddDim(width_);
    return shape;
  }
  DType ComputeOutputDType(const std::vector<DType>&) const override {
    return DType::kFloat32;
  }

 protected:
  void Build(const std::vector<Shape>&) override {
    const Options& o = get_config();
    table_ = AddTable("embeddings", {rows_, width_},
                      *InitializerFrom(o, "embeddings_initializer"),
                      {.regularizer = RegularizerFrom(o, "embeddings_regularizer"),
                       .attribute = "_embeddings"});
  }

  Tensor Call(const std::vector<Tensor>& inputs, CallContext& context) override {
    if (!IsInteger(inputs[0].dtype())) {
      throw InvalidArgumentError(
          "[Embedding] layer '{}' takes int32 or int64, got {}; cast the column first", name(),
          DTypeName(inputs[0].dtype()));
    }
    const auto [table, ids] = context.LookUp(table_, inputs[0]);
    if (combiner_.empty()) return ops::ResourceGather(table, ids);
    const Tensor bags =
        ops::EmbeddingBags(table, ids, {LastDim(*this, inputs[0].shape())}, combiner_);
    return ops::Reshape(bags, {inputs[0].dim(0), width_});
  }

 private:
  int64_t rows_, width_;
  std::string combiner_;  // "": every id keeps its row
  TableWeight table_;
};

REGISTER_LAYER(LayerTable("Embedding", "Turns integers into rows of a table of weights.",
                          {Opt("input_dim").Int().Min(1).Required().Doc("rows of the table"),
                           Opt("output_dim").Int().Min(1).Required().Doc("width of a row"),
                           Opt("combiner").OneOf({"sum", "mean", "sqrtn"}).Doc(
                               "joins the rows of an example's ids (negative ones are left "
                               "out); unless set each id keeps its row"),
                           InitializerOption("embeddings_initializer", "RandomUniform"),
                           RegularizerOption("embeddings_regularizer")}),
               [](const Options& o) { return std::make_shared<Embedding>(o); });

}  // namespace
}  // namespace tributary
