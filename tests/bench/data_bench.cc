// What a batch costs: microseconds from one Next to the other, at best, at the
// tenth percentile and in the median.
//
//   data_bench [PASSES]

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "trainer/data/source.h"

namespace tributary::data {
namespace {

using Clock = std::chrono::steady_clock;

void Measure(const char* name, const Dataset& dataset, int passes) {
  Iterator it = dataset.MakeIterator();
  std::vector<double> times;
  for (int pass = 0; pass <= passes; ++pass, it.Rewind()) {
    for (;;) {
      const auto start = Clock::now();
      if (!it.Next()) break;
      const std::chrono::duration<double, std::micro> took = Clock::now() - start;
      if (pass > 0) times.push_back(took.count());
    }
  }
  std::sort(times.begin(), times.end());
  fmt::print("{:<44}{:>8.2f}{:>8.2f}{:>8.2f} us\n", name, times.front(), times[times.size() / 10],
             times[times.size() / 2]);
}

void Run(int passes) {
  using Mode = PrefetchOptions::Mode;
  const Dataset images = DataSources().Make("digits", {{"count", 9000}}).Shuffle(9000, 1);
  const Dataset small = DataSources()
                            .Make("random", {{"inputs", OptionNode::List{16}},
                                             {"classes", 4}, {"count", 4096}})
                            .Shuffle(4096, 1);
  for (const auto& [mode, where] : {std::pair{Mode::kInline, "inline"}, {Mode::kThread, "thread"}}) {
    const PrefetchOptions options{mode, 4};
    Measure(fmt::format("28 x 28 bytes to floats, batch 32, {}", where).c_str(),
            images.Batch(32).Prefetch(options), passes);
    Measure(fmt::format("28 x 28 floats, batch 32, {}", where).c_str(),
            images.Cache().Batch(32).Prefetch(options), passes);
    Measure(fmt::format("28 x 28 bytes to floats, batch 128, {}", where).c_str(),
            images.Batch(128).Prefetch(options), passes);
    Measure(fmt::format("16 floats, batch 8, {}", where).c_str(),
            small.Batch(8).Prefetch(options), passes);
  }
}

}  // namespace
}  // namespace tributary::data

int main(int argc, char** argv) {
  tributary::data::Run(argc > 1 ? std::atoi(argv[1]) : 20);
}
