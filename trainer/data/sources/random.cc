// random: numbers without meaning, for measuring and trying out.

#include <cmath>
#include <numeric>

#include "core/base/checked.h"
#include "core/base/philox.h"
#include "trainer/data/source.h"

namespace tributary::data {
namespace {

constexpr uint64_t kInputs = 0, kMap = 1;

// Uniform in [-1, 1).
void Fill(uint64_t seed, uint64_t stream, float* out, int64_t count) {
  for (int64_t i = 0; i < count; i += 4) {
    const PhiloxBlock block = PhiloxAt(seed, stream, static_cast<uint64_t>(i) / 4);
    for (int64_t k = i; k < std::min(i + 4, count); ++k) {
      out[k] = 2.0f * UniformFloat(block[k - i]) - 1.0f;
    }
  }
}

// The class is the largest output of a random linear map, so that there is
// something to learn.
int64_t Class(const float* row, const std::vector<float>& map, int64_t inputs) {
  int64_t best = 0;
  float highest = -INFINITY;
  const int64_t classes = static_cast<int64_t>(map.size()) / inputs;
  for (int64_t c = 0; c < classes; ++c) {
    const float sum = std::inner_product(row, row + inputs, map.data() + c * inputs, 0.0f);
    if (sum > highest) {
      highest = sum;
      best = c;
    }
  }
  return best;
}

Dataset MakeRandom(const Options& o) {
  const uint64_t seed = static_cast<uint64_t>(o.Int("seed"));
  const int64_t count = o.Int("count"), classes = o.Int("classes");
  const Shape row(o.Ints("inputs"));
  const int64_t inputs = row.NumElements();
  std::vector<int64_t> dims = row.dims();
  dims.insert(dims.begin(), count);
  const Tensor x = Tensor::Empty(DType::kFloat32, Shape(dims));
  const Tensor y = Tensor::Empty(DType::kInt64, Shape{count});
  float* values = x.mutable_data<float>();
  Fill(seed, kInputs, values, CheckedMul(count, inputs, "random"));
  std::vector<float> map(CheckedMul(classes, inputs, "random"));
  Fill(seed, kMap, map.data(), static_cast<int64_t>(map.size()));
  for (int64_t i = 0; i < count; ++i) {
    y.mutable_data<int64_t>()[i] = Class(values + i * inputs, map, inputs);
  }
  return Dataset::FromTable(TableOf({x, y}),
                            fmt::format("random {} x {} seed {}", count, row.ToString(), seed));
}

const SourceRegistrar kRandom(
    "random", "Uniform numbers, and the class that a random linear map gives them.",
    {Opt("inputs").Int().Min(1).Max(1 << 20).List(1, 8).Required().Doc("shape of an input"),
     Opt("classes").Int().Min(1).Max(1 << 20).Default(10),
     Opt("count").Int().Min(1).Max(1 << 24).Default(1024).Doc("how many there are"),
     Opt("seed").Int().Min(0).Default(0).Doc("of the generator")},
    MakeRandom);

}  // namespace
}  // namespace tributary::data
