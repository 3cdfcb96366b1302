// CategoryEncoding: ids as vectors (keras.layers.CategoryEncoding; an indicator column).

#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

class CategoryEncoding final : public Layer {
 public:
  explicit CategoryEncoding(const Options& o)
      : Layer(o), tokens_(o.Int("num_tokens")), mode_(o.String("output_mode")) {}

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    const Shape& in = inputs[0];
    if (mode_ == "one_hot" && in.rank() == 2 && in[1] > 1) {
      throw InvalidArgumentError("[CategoryEncoding] layer '{}': one_hot takes one id an example, "
                                 "got {}; take multi_hot or count",
                                 name(), in.ToString());
    }
    if (in.rank() < 1 || in.rank() > 2) layers::RequireRank(*this, in, 2);
    return {in[0], tokens_};
  }
  DType ComputeOutputDType(const std::vector<DType>&) const override { return DType::kFloat32; }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    const Tensor& ids = inputs[0];
    const Tensor hot = ops::OneHot(ids, tokens_, Tensor(1.0f), Tensor(0.0f));
    if (ids.rank() == 1) return hot;
    return mode_ == "count" ? ops::Sum(hot, {1}) : ops::Max(hot, {1});
  }

 private:
  int64_t tokens_;
  std::string mode_;
};

REGISTER_LAYER(LayerTable("CategoryEncoding", "Ids as vectors of zeros and ones, or of counts.",
                          {Opt("num_tokens").Int().Min(1).Max(1 << 20).Required().Doc(
                               "ids are below it; others leave no mark"),
                           Opt("output_mode").OneOf({"one_hot", "multi_hot", "count"})
                               .Default("multi_hot")}),
               [](const Options& o) { return std::make_shared<CategoryEncoding>(o); });

}  // namespace
}  // namespace tributary
