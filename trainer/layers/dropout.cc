// Dropout (keras.layers.Dropout). The mask is a function of the job's seed, the
// layer's path, the step, and the row's place in the global batch: the same for
// any number of threads or replicas, and after a resume.

#include "ops/nn_ops.h"
#include "trainer/layers/options.h"
#include "trainer/model/random_seed.h"

namespace tributary {
namespace {

class Dropout final : public Layer {
 public:
  explicit Dropout(const Options& o) : Layer(o), rate_(o.Float("rate")) {}

 protected:
  void Build(const std::vector<Shape>&) override {
    seed_ = get_config().Has("seed") ? get_config().Int("seed")
                                     : static_cast<int64_t>(SeedFor(path() + "/mask") >> 1);
  }

  Tensor Call(const std::vector<Tensor>& inputs, CallContext& context) override {
    const Tensor& x = inputs[0];
    if (!context.training() || rate_ == 0) return x;
    int64_t row = 1;
    for (int axis = 1; axis < x.rank(); ++axis) row *= x.shape()[axis];
    return ops::Dropout(x, context.random_step(), Tensor(context.row_offset() * row),
                        static_cast<float>(rate_), seed_, 1);
  }

 private:
  double rate_;
  int64_t seed_ = 0;
};

REGISTER_LAYER(LayerTable("Dropout", "Zeroes a random part of its input while training.",
                          {Opt("rate").Float().Min(0).Below(1).Required().Doc(
                               "the part that becomes zero"),
                           Opt("seed").Int().Min(0).Doc(
                               "instead of the one derived from the job's")}),
               [](const Options& o) { return std::make_shared<Dropout>(o); });

}  // namespace
}  // namespace tributary
