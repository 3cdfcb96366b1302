// A parameter server's store by itself, one thread: lookups and pushes of batches of
// Zipf ids on a table of two million rows. Items are keys (a lookup or a push of one).

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "core/base/denormals.h"
#include "distribute/ps/embedding_table.h"

namespace tributary::ps {
namespace {

constexpr uint64_t kRows = 2'000'000;
constexpr int kIds = 4096 * 26;

// Ids 0 .. kRows-1 with probability 1 / (id + 1)^1.05, by inversion of the sum.
const std::vector<double>& ZipfSums() {
  static const std::vector<double> sums = [] {
    std::vector<double> s(kRows);
    double total = 0;
    for (uint64_t i = 0; i < kRows; ++i) s[i] = total += std::pow(i + 1.0, -1.05);
    for (double& x : s) x /= total;
    return s;
  }();
  return sums;
}

// Batches of ids; unique: each once, in the order of first use, as workers send them.
std::vector<std::vector<uint64_t>> Batches(bool unique) {
  std::mt19937_64 random(1);
  std::vector<std::vector<uint64_t>> batches(8);
  for (auto& batch : batches) {
    std::vector<bool> seen(kRows);
    for (int i = 0; i < kIds; ++i) {
      const double u = (random() >> 11) * 0x1p-53;
      const auto it = std::lower_bound(ZipfSums().begin(), ZipfSums().end(), u);
      const auto id = static_cast<uint64_t>(it - ZipfSums().begin());
      if (unique && seen[id]) continue;
      seen[id] = true;
      batch.push_back(id);
    }
  }
  return batches;
}

EmbeddingTable& Table(int64_t width, const std::string& optimizer) {
  static std::map<std::pair<int64_t, std::string>, std::unique_ptr<EmbeddingTable>> tables;
  auto& table = tables[{width, optimizer}];
  if (table) return *table;
  tables.clear();
  TableSpec spec;
  spec.name = "bench";
  spec.width = width;
  spec.optimizer = {optimizer, {{"learning_rate", "0.01"}}};
  auto made = std::make_unique<EmbeddingTable>(spec);
  std::vector<float> grads(1000 * width, 0.01f);
  for (uint64_t id = 0; id < kRows; id += 1000) {
    std::vector<uint64_t> ids(1000);
    for (int i = 0; i < 1000; ++i) ids[i] = id + i;
    made->Push(ids, grads.data(), 0.01);
  }
  return *(tables[{width, optimizer}] = std::move(made));
}

enum What { kLookup, kPush, kBoth };

void Store(benchmark::State& state, What what, const char* optimizer, bool unique) {
  FlushDenormals();
  const int64_t width = state.range(0);
  EmbeddingTable& table = Table(width, optimizer);
  const auto batches = Batches(unique);
  std::vector<float> values(kIds * width), grads(kIds * width, 0.01f);
  int64_t keys = 0;
  size_t at = 0;
  for (auto _ : state) {
    const auto& ids = batches[at++ % batches.size()];
    if (what != kPush) table.Lookup(ids, values.data());
    if (what != kLookup) table.Push(ids, grads.data(), 0.01);
    benchmark::DoNotOptimize(values.data());
    keys += static_cast<int64_t>(ids.size()) * (what == kBoth ? 2 : 1);
  }
  state.SetItemsProcessed(keys);
}

#define STORE(what, optimizer, unique)                                                     \
  BENCHMARK_CAPTURE(Store, what##_##optimizer##_##unique, what, #optimizer, unique)        \
      ->Arg(16)                                                                            \
      ->Arg(64)
constexpr bool raw = false, deduplicated = true;
STORE(kLookup, SGD, raw);
STORE(kPush, SGD, raw);
STORE(kLookup, SGD, deduplicated);
STORE(kPush, SGD, deduplicated);
STORE(kBoth, SGD, deduplicated);
STORE(kBoth, Adagrad, deduplicated);
STORE(kBoth, LazyAdam, deduplicated);
STORE(kBoth, Adam, deduplicated);

}  // namespace
}  // namespace tributary::ps

BENCHMARK_MAIN();
