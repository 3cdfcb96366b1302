// The steady loop allocates nothing on the heap.

#include "tests/trainer/allocations.h"
#include "tests/trainer/golden.h"
#include "tests/trainer/loop/toy.h"

namespace tributary {
namespace {

using namespace testing;

class Meter final : public Callback {
 public:
  Meter(int64_t from, int64_t to) : from_(from), to_(to) {}
  int64_t FirstStep(Trainer&) override { return from_; }
  int64_t OnStep(Trainer&) override {
    if (before_ == 0) {
      before_ = HeapAllocations();
      return to_ - from_;
    }
    allocations = HeapAllocations() - before_;
    return kNever;
  }
  int64_t allocations = -1;

 private:
  int64_t from_, to_, before_ = 0;
};

int64_t AllocationsIn(TrainerOptions options, data::Dataset data) {
  Trainer trainer(ToyModel(), std::move(options));
  auto meter = std::make_shared<Meter>(20, 120);
  trainer.Fit(data, {.epochs = 1, .steps_per_epoch = 130, .callbacks = {meter}});
  return meter->allocations;
}

data::Dataset Steady() {
  return data::Dataset::FromTensorSlices(Clusters(128)).Shuffle(128, 7).Batch(16).Repeat();
}

TEST(SteadyLoop, AllocatesNothing) { EXPECT_EQ(AllocationsIn(ToyOptions(), Steady()), 0); }

TEST(SteadyLoop, AllocatesNothingWithASchedule) {
  const OptionNode cosine = {
      {"CosineDecay", {{"initial_learning_rate", 0.1}, {"decay_steps", 100}}}};
  EXPECT_EQ(AllocationsIn(ToyOptions({{"learning_rate", cosine}}), Steady()), 0);
}

TEST(SteadyLoop, AllocatesNothingWithClippingAndAccumulation) {
  TrainerOptions options = ToyOptions({{"global_clipnorm", 0.1}});
  options.accumulate_steps = 4;
  EXPECT_EQ(AllocationsIn(std::move(options), Steady()), 0);
}

TEST(SteadyLoop, AllocatesNothingWithAPrefetchThread) {
  EXPECT_EQ(AllocationsIn(ToyOptions(),
                          Steady().Prefetch({data::PrefetchOptions::Mode::kThread, 3})),
            0);
}

}  // namespace
}  // namespace tributary
