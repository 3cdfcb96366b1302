// zipf: clicks without meaning, as recommender data is: numbers, categories whose
// frequencies fall off by a power law, and a target that depends on both.

#include "trainer/data/zipf.h"

#include <cmath>

#include "core/base/checked.h"
#include "core/base/philox.h"
#include "trainer/data/source.h"

namespace tributary::data {
namespace {

constexpr uint64_t kNumbers = 1, kTarget = 2, kEffects = 3, kIds = 16;

// Uniform in [-1, 1).
float Signed(uint64_t seed, uint64_t stream, uint64_t index) {
  return 2.0f * UniformFloat(PhiloxAt(seed, stream, index / 4)[index % 4]) - 1.0f;
}

// Row i is a function of (seed, i): any part of the rows, in any order, on any number of
// processes, is the same data.
class Rows {
 public:
  explicit Rows(const Options& o)
      : seed_(static_cast<uint64_t>(o.Int("seed"))), dense_(o.Int("dense")) {
    const std::vector<int64_t> ids = o.Ints("ids");
    for (const int64_t count : ids) zipf_.emplace_back(count, o.Float("exponent"));
  }

  float Number(int64_t row, int64_t column) const {
    return Signed(seed_, kNumbers, static_cast<uint64_t>(row * dense_ + column));
  }
  int64_t Id(int64_t row, size_t column) const {
    return zipf_[column].At(seed_, kIds + column, static_cast<uint64_t>(row));
  }
  // 1 with the probability that a hidden linear model gives the row.
  float Target(int64_t row) const {
    double logit = -0.5;
    for (int64_t c = 0; c < dense_; ++c) {
      logit += Number(row, c) * Signed(seed_, kEffects, static_cast<uint64_t>(c));
    }
    for (size_t c = 0; c < zipf_.size(); ++c) {
      const uint64_t what = (c + 1) << 40 | static_cast<uint64_t>(Id(row, c));
      logit += 2.0 / std::sqrt(static_cast<double>(zipf_.size())) *
               Signed(seed_, kEffects, what * 4);
    }
    const float u = UniformFloat(PhiloxAt(seed_, kTarget, static_cast<uint64_t>(row))[0]);
    return u < 1 / (1 + std::exp(-logit)) ? 1.0f : 0.0f;
  }
  int64_t dense() const { return dense_; }
  size_t categories() const { return zipf_.size(); }

 private:
  uint64_t seed_;
  int64_t dense_;
  std::vector<Zipf> zipf_;
};

Dataset MakeZipf(const Options& o) {
  auto rows = std::make_shared<const Rows>(o);
  auto table = std::make_shared<Table>();
  table->rows = o.Int("count");
  if (rows->dense() > 0) {
    table->names.push_back("dense");
    table->columns.push_back(FunctionColumn(
        {DType::kFloat32, Shape{rows->dense()}}, [rows](int64_t row, void* out) {
          for (int64_t c = 0; c < rows->dense(); ++c) {
            static_cast<float*>(out)[c] = rows->Number(row, c);
          }
        }));
  }
  for (size_t c = 0; c < rows->categories(); ++c) {
    table->names.push_back(fmt::format("c{}", c));
    table->columns.push_back(
        FunctionColumn({DType::kInt64, Shape{}}, [rows, c](int64_t row, void* out) {
          *static_cast<int64_t*>(out) = rows->Id(row, c);
        }));
  }
  table->names.push_back("target");
  table->columns.push_back(
      FunctionColumn({DType::kFloat32, Shape{}}, [rows](int64_t row, void* out) {
        *static_cast<float*>(out) = rows->Target(row);
      }));
  return Dataset::FromTable(
      SliceBySplit(table, o.String("split")),
      fmt::format("zipf {} seed {} {}", table->rows, o.Int("seed"), o.String("split")));
}

const SourceRegistrar kZipf(
    "zipf",
    "Generated clicks: `dense` numbers, categories c0, c1, ... of a power law, a target.",
    {Opt("ids").Int().Min(1).Max(1ll << 40).List(1, 4096).Required().Doc(
         "how many values each category has"),
     Opt("dense").Int().Min(0).Max(1 << 20).Default(13).Doc("numbers of a row"),
     Opt("exponent").Float().Above(0).Max(10).Default(1.05).Doc("of the power law"),
     Opt("count").Int().Min(1).Max(1ll << 40).Default(65536).Doc("how many rows there are"),
     Opt("seed").Int().Min(0).Default(0).Doc("of the generator"),
     Opt("split").String().Default("[:]").Doc("slice of the rows")},
    MakeZipf);

}  // namespace
}  // namespace tributary::data
