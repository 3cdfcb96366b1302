// Ranges of a sum of products have the bits of whole products, added up.

#include "ops/linalg/sum_of_products.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/base/parallel.h"
#include "ops/linalg/gemm.h"

namespace tributary {
namespace {

using Floats = std::vector<float>;

Floats Values(int64_t n, int seed) {
  Floats v(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) v[i] = std::sin(static_cast<float>(i * 7 + seed * 1001));
  return v;
}

struct Source {
  Floats a, b;
  int64_t rows;
};

std::vector<Source> Sources(const std::vector<int64_t>& rows, int64_t m, int64_t n) {
  std::vector<Source> sources;
  for (const int64_t r : rows) {
    const int seed = static_cast<int>(2 * sources.size());
    sources.push_back({Values(r * m, seed), Values(r * n, seed + 1), r});
  }
  return sources;
}

Floats Whole(const std::vector<Source>& sources, int64_t m, int64_t n) {
  Floats sum;
  for (const Source& s : sources) {
    Floats c(static_cast<size_t>(m * n));
    MakeTiledGemm({.m = m, .n = n, .k = s.rows, .transpose_a = true})
        ->Run({.a = s.a.data(), .b = s.b.data(), .c = c.data()});
    if (sum.empty()) {
      sum = c;
    } else {
      for (size_t i = 0; i < c.size(); ++i) sum[i] = sum[i] + c[i];
    }
  }
  return sum;
}

TEST(SumOfProducts, EveryRangeHasTheBitsOfTheWhole) {
  const int before = NumThreads();
  for (const auto& rows : std::vector<std::vector<int64_t>>{{16}, {16, 16}, {5, 5, 5, 5}}) {
    for (const auto& [m, n] : {std::pair<int64_t, int64_t>{1, 1}, {3, 70}, {61, 10}, {40, 128}}) {
      const std::vector<Source> sources = Sources(rows, m, n);
      const Floats whole = Whole(sources, m, n);
      std::vector<Factors> factors;
      for (const Source& s : sources) factors.push_back({s.a.data(), s.b.data(), s.rows});
      for (const int64_t begin : {int64_t{0}, int64_t{1}, n / 2, n, n + 1, 2 * n + 16, m * n}) {
        for (const int64_t length : {int64_t{0}, int64_t{1}, n - 1, n, 3 * n + 5, m * n}) {
          const int64_t from = std::min(begin, m * n), to = std::min(from + length, m * n);
          SCOPED_TRACE(testing::Message() << m << "x" << n << " [" << from << ", " << to << ")");
          for (const int threads : {1, 3}) {
            SetNumThreads(threads);
            Floats got(static_cast<size_t>(to - from) + 1, 77.0f);
            SumOfProducts(factors, m, n, from, to, got.data());
            ASSERT_EQ(got.back(), 77.0f) << "wrote beyond its range";
            got.pop_back();
            ASSERT_EQ(got, Floats(whole.begin() + from, whole.begin() + to));
          }
        }
      }
    }
  }
  SetNumThreads(before);
}

}  // namespace
}  // namespace tributary
