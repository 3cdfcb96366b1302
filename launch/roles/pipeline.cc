#include "launch/roles/pipeline.h"

#include "trainer/data/source.h"
#include "trainer/model/random_seed.h"

namespace tributary {

data::Dataset MakeDataset(const Options& block, uint64_t seed) {
  data::Dataset dataset = data::DataSources().Build(block);
  if (block.Int("skip") > 0) dataset = dataset.Skip(block.Int("skip"));
  if (block.Has("take")) dataset = dataset.Take(block.Int("take"));
  if (dataset.cardinality() == 0) {
    throw InvalidArgumentError("[data] {} holds no example; check split, skip and take",
                               dataset.ToString());
  }
  if (block.Int("shuffle") > 0) {
    dataset = dataset.Shuffle(block.Int("shuffle"), SeedFor(seed, "data/shuffle"));
  }
  dataset = dataset.Batch(block.Int("batch"), block.Bool("drop_remainder"));
  using Mode = data::PrefetchOptions::Mode;
  const std::string& prefetch = block.String("prefetch");
  const Mode mode = prefetch == "inline"   ? Mode::kInline
                    : prefetch == "thread" ? Mode::kThread
                                           : Mode::kAuto;
  return dataset.Prefetch({.mode = mode});
}

}  // namespace tributary
