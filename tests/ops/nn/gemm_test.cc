// Our tiles and oneDNN against the plain loop.

#include "ops/linalg/gemm.h"

#include "core/base/parallel.h"
#include "core/tensor/tensor.h"
#include "ops/linalg/reference_gemm.h"

namespace tributary {
namespace {

std::vector<float> Small(int64_t n, int seed) {
  std::vector<float> v(n);
  // Small integers: every order of summation is exact.
  for (int64_t i = 0; i < n; ++i) v[i] = static_cast<float>((i * 7 + seed) % 11 - 5);
  return v;
}

std::vector<float> Product(const GemmSpec& s, GemmBackend backend) {
  const auto a = Small(s.m * s.k, 1), b = Small(s.k * s.n, 2), bias = Small(s.n, 3);
  const auto mask = Small(s.m * s.n, 4);
  std::vector<float> c(s.m * s.n, -1e9f);
  const auto gemm = Gemm::Make(s, backend);
  const auto scratch = Buffer::Allocate(gemm->scratch_bytes());
  gemm->Run({a.data(), b.data(), bias.data(), mask.data(), c.data(), scratch->data()});
  return c;
}

std::vector<float> Expected(const GemmSpec& s) {
  const auto a = Small(s.m * s.k, 1), b = Small(s.k * s.n, 2), bias = Small(s.n, 3);
  const auto mask = Small(s.m * s.n, 4);
  std::vector<float> c(s.m * s.n);
  ReferenceGemm(s.m, s.n, s.k, a.data(), s.transpose_a, b.data(), s.transpose_b, c.data());
  for (int64_t i = 0; i < s.m * s.n; ++i) {
    if (s.bias) c[i] += bias[i % s.n];
    if (s.relu) c[i] = std::max(c[i], 0.0f);
    if (s.relu_mask && mask[i] <= 0) c[i] = 0;
  }
  return c;
}

TEST(Gemm, MatchesTheReferenceOnAllEdges) {
  for (const GemmBackend backend : {GemmBackend::kTiles, GemmBackend::kOneDnn}) {
    for (const int64_t m : {1, 7, 14, 29, 64}) {
      for (const int64_t n : {1, 10, 16, 31, 32, 47, 70}) {
        for (const int64_t k : {1, 5, 33}) {
          for (const int flags : {0, 1, 2, 3}) {
            GemmSpec s{m, n, k, (flags & 1) != 0, (flags & 2) != 0};
            s.bias = s.relu = (m + n) % 2;
            s.relu_mask = !s.bias;
            ASSERT_EQ(Product(s, backend), Expected(s))
                << m << "x" << n << "x" << k << " flags " << flags << " backend "
                << static_cast<int>(backend);
          }
        }
      }
    }
  }
}

TEST(Gemm, SumsTheHalvesOfALongProductBeforeTheEpilogue) {
  for (const int64_t m : {1, 15, 40}) {
    for (const int64_t n : {70, 256}) {
      GemmSpec s{m, n, 501};
      for (const bool relu : {true, false}) {
        s.bias = s.relu = relu;
        s.relu_mask = !relu;
        ASSERT_EQ(Product(s, GemmBackend::kTiles), Expected(s)) << m << "x" << n;
      }
    }
  }
}

TEST(Gemm, OfNothingIsTheEpilogue) {
  GemmSpec s{3, 5, 0};
  s.bias = true;
  EXPECT_EQ(Product(s, GemmBackend::kAuto), Expected(s));
  EXPECT_TRUE(Product(GemmSpec{0, 5, 4}, GemmBackend::kAuto).empty());
  EXPECT_TRUE(Product(GemmSpec{5, 0, 4}, GemmBackend::kAuto).empty());
}

TEST(Gemm, GivesTheSameBitsForAnyNumberOfThreads) {
  for (const GemmSpec& s : {GemmSpec{150, 200, 300}, GemmSpec{150, 200, 300, false, true},
                            GemmSpec{32, 128, 784}}) {
    std::vector<float> a(s.m * s.k), b(s.k * s.n), c1(s.m * s.n), c2(s.m * s.n);
    for (size_t i = 0; i < a.size(); ++i) a[i] = std::sin(0.1f * i);
    for (size_t i = 0; i < b.size(); ++i) b[i] = std::cos(0.3f * i);
    const auto gemm = MakeTiledGemm(s);
    const auto scratch = Buffer::Allocate(gemm->scratch_bytes());
    SetNumThreads(1);
    gemm->Run({.a = a.data(), .b = b.data(), .c = c1.data(), .scratch = scratch->data()});
    SetNumThreads(2);
    gemm->Run({.a = a.data(), .b = b.data(), .c = c2.data(), .scratch = scratch->data()});
    EXPECT_EQ(c1, c2);
  }
}

// oneDNN chooses its kernel by the size of what it is given, so the parts may not depend on
// the threads.
TEST(Gemm, OfOneDnnHasTheSameBitsForAnyNumberOfThreads) {
  const int before = NumThreads();
  for (const GemmSpec& s : {GemmSpec{384, 384, 1000, false, true},
                            GemmSpec{256, 512, 784, false, true}, GemmSpec{784, 512, 256, true},
                            GemmSpec{64, 1024, 1024, false, true}}) {
    std::vector<float> a(s.m * s.k), b(s.k * s.n), one(s.m * s.n), many(s.m * s.n);
    for (size_t i = 0; i < a.size(); ++i) a[i] = std::sin(0.1f * i);
    for (size_t i = 0; i < b.size(); ++i) b[i] = std::cos(0.3f * i);
    const auto gemm = MakeOneDnnGemm(s);
    SetNumThreads(1);
    gemm->Run({.a = a.data(), .b = b.data(), .c = one.data()});
    for (const int threads : {2, 3, 4, 7, 16}) {
      SetNumThreads(threads);
      gemm->Run({.a = a.data(), .b = b.data(), .c = many.data()});
      EXPECT_EQ(one, many) << s.m << "x" << s.n << "x" << s.k << ", " << threads;
    }
  }
  SetNumThreads(before);
}

}  // namespace
}  // namespace tributary
