// Values of the neural-network ops against plain loops, and their refusals.

#include "ops/nn_ops.h"

#include "core/base/parallel.h"
#include "core/runtime/execute.h"
#include "core/runtime/gradients.h"
#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn/activation_loops.h"
#include "ops/nn/sample_tensors.h"

namespace tributary {
namespace {

using ops::Window;

void ExpectNear(const Tensor& got, const std::vector<double>& expected, double tolerance) {
  const auto values = got.values<float>();
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(values[i], expected[i], tolerance * (1 + std::abs(expected[i]))) << "at " << i;
  }
}

std::vector<double> Doubles(const Tensor& t) {
  const auto v = t.values<float>();
  return {v.begin(), v.end()};
}

TEST(Activations, MatchTheirFormulaInDouble) {
  using L = ActivationLoop;
  const int n = 4001;
  std::vector<float> a(n), b(n), out(n);
  std::vector<double> da(n), db(n), expected(n);
  for (int i = 0; i < n; ++i) {
    a[i] = 20.0f * (i + 0.5f) / n - 10.0f;
    b[i] = 8.0f * ((i * 17 % n) + 0.5f) / n - 4.0f;
    da[i] = a[i];
    db[i] = b[i];
  }
  for (int loop = 0; loop <= static_cast<int>(L::kGeluTanhGrad); ++loop) {
    const L which = static_cast<L>(loop);
    const bool two = which >= L::kReluGrad;
    RunActivation(which, a.data(), two ? b.data() : nullptr, out.data(), n, 0.2f);
    RunActivation(which, da.data(), two ? db.data() : nullptr, expected.data(), n, 0.2f);
    for (int i = 0; i < n; ++i) {
      ASSERT_NEAR(out[i], expected[i], 2e-6 * (1 + std::abs(a[i])))
          << "loop " << loop << " a " << a[i] << " b " << b[i];
    }
  }
}

TEST(Activations, LetNanThrough) {
  const Tensor x = Tensor::Full<float>({3}, std::nanf(""));
  for (const Tensor& y : {ops::Relu(x), ops::Softplus(x), ops::Elu(x), ops::Gelu(x),
                          ops::Softmax(x), ops::Relu6(x)}) {
    EXPECT_TRUE(std::isnan(y.data<float>()[0]));
  }
}

TEST(Softmax, SumsToOneAndSurvivesLargeLogits) {
  for (const int64_t columns : {1, 4, 10, 16, 33}) {
    const Tensor x = Wave({5, columns}, 0.7f, 500.0f);
    const Tensor p = ops::Softmax(x), lp = ops::LogSoftmax(x);
    for (int64_t i = 0; i < 5; ++i) {
      double sum = 0, max = -1e9, total = 0;
      for (int64_t j = 0; j < columns; ++j) {
        sum += p.data<float>()[i * columns + j];
        max = std::max<double>(max, x.data<float>()[i * columns + j]);
      }
      EXPECT_NEAR(sum, 1, 1e-5);
      for (int64_t j = 0; j < columns; ++j) {
        total += std::exp(x.data<float>()[i * columns + j] - max);
      }
      for (int64_t j = 0; j < columns; ++j) {
        const double expected = x.data<float>()[i * columns + j] - max - std::log(total);
        EXPECT_NEAR(lp.data<float>()[i * columns + j], expected, 1e-4 * (1 - expected));
      }
    }
  }
}

TEST(Softmax, InDoubleIsExactToItsLastDigits) {
  const Tensor x = Tensor::FromVector<double>({0, 1, 2, 1000, 1000, 1000}, {2, 3});
  const double total = 1 + std::exp(1.0) + std::exp(2.0);
  const auto p = ops::Softmax(x).ToVector<double>(), lp = ops::LogSoftmax(x).ToVector<double>();
  for (int j = 0; j < 3; ++j) {
    EXPECT_NEAR(p[j], std::exp(static_cast<double>(j)) / total, 1e-15);
    EXPECT_NEAR(lp[j], j - std::log(total), 1e-15);
    EXPECT_NEAR(p[3 + j], 1.0 / 3, 1e-15);
    EXPECT_NEAR(lp[3 + j], -std::log(3.0), 1e-15);
  }
  EXPECT_EQ(ops::Softmax(Tensor::Zeros(DType::kFloat64, {2, 0})).shape(), (Shape{2, 0}));
}

TEST(CrossEntropy, SparseEqualsDenseOnOneHotLabels) {
  const Tensor x = Wave({6, 10}, 0.7f, 3.0f);
  const Tensor labels = Tensor::FromVector<int32_t>({0, 9, 3, 3, 5, 1});
  const auto sparse = ops::SparseSoftmaxCrossEntropyWithLogits(x, labels);
  const auto dense =
      ops::SoftmaxCrossEntropyWithLogits(x, ops::OneHot(labels, 10, 1.0f, 0.0f));
  ExpectNear(sparse[0], Doubles(dense[0]), 1e-5);
  ExpectNear(sparse[1], Doubles(dense[1]), 1e-5);
  const Tensor expected = ops::LogSoftmax(x);
  EXPECT_NEAR(sparse[0].data<float>()[1], -expected.data<float>()[10 + 9], 1e-5);
}

TEST(CrossEntropy, RefusesALabelOutOfRange) {
  const Tensor x = Wave({2, 10}, 0.7f);
  for (const int64_t bad : {-1, 10}) {
    EXPECT_THROW(ops::SparseSoftmaxCrossEntropyWithLogits(
                     x, Tensor::FromVector<int64_t>({0, bad})),
                 InvalidArgumentError);
  }
}

TEST(CrossEntropy, OfSigmoidMatchesItsFormula) {
  const Tensor x = Wave({7}, 0.9f, 20.0f);
  const Tensor z = Tensor::FromVector<float>({0, 1, 0.5f, 1, 0, 0, 1});
  std::vector<double> expected(7);
  for (int i = 0; i < 7; ++i) {
    const double v = x.data<float>()[i], t = z.data<float>()[i];
    expected[i] = std::max(v, 0.0) - v * t + std::log1p(std::exp(-std::abs(v)));
  }
  ExpectNear(ops::SigmoidCrossEntropyWithLogits(z, x), expected, 1e-5);
}

TEST(Conv2D, EveryGradientMatchesDoubleLoops) {
  struct Case {
    int64_t n, h, w, c, k, stride, dilation, filters;
    const char* padding;
  };
  for (const Case& t : std::vector<Case>{{2, 9, 8, 3, 3, 1, 1, 5, "VALID"},
                                         {2, 9, 8, 3, 3, 1, 1, 37, "SAME"},
                                         {1, 7, 9, 18, 2, 2, 1, 16, "VALID"},
                                         {2, 9, 9, 2, 3, 2, 1, 33, "SAME"},
                                         {1, 9, 9, 4, 3, 1, 2, 6, "SAME"},
                                         {3, 5, 5, 8, 1, 1, 1, 20, "VALID"},
                                         {1, 20, 20, 1, 5, 1, 1, 32, "VALID"},
                                         {2, 6, 6, 40, 3, 1, 1, 8, "SAME"}}) {
    const Tensor x = Wave({t.n, t.h, t.w, t.c}, 0.7f);
    const Tensor w = Wave({t.k, t.k, t.c, t.filters}, 0.3f);
    const Window window{{t.stride, t.stride}, t.padding, {t.dilation, t.dilation}};
    const auto d = [](const Tensor& v) { return ops::Cast(v, DType::kFloat64); };
    const Tensor y = ops::Conv2D(x, w, window);
    ExpectNear(y, ops::Conv2D(d(x), d(w), window).ToVector<double>(), 1e-5);
    const Tensor dy = Wave(y.shape(), 0.23f);
    ExpectNear(ops::Conv2DBackpropInput(x.shape(), w, dy, window),
               ops::Conv2DBackpropInput(x.shape(), d(w), d(dy), window).ToVector<double>(),
               1e-5);
    ExpectNear(ops::Conv2DBackpropFilter(x, w.shape(), dy, window),
               ops::Conv2DBackpropFilter(d(x), w.shape(), d(dy), window).ToVector<double>(),
               1e-5);
  }
}

TEST(Conv2D, GivesTheSameBitsForAnyNumberOfThreads) {
  const Tensor x = Wave({16, 20, 20, 8}, 0.7f), w = Wave({3, 3, 8, 24}, 0.3f);
  const Tensor dy = Wave({16, 18, 18, 24}, 0.23f);
  std::vector<std::vector<float>> results[3];
  for (const int threads : {1, 2}) {
    SetNumThreads(threads);
    results[0].push_back(ops::Conv2D(x, w).ToVector<float>());
    results[1].push_back(ops::Conv2DBackpropInput(x.shape(), w, dy).ToVector<float>());
    results[2].push_back(ops::Conv2DBackpropFilter(x, w.shape(), dy).ToVector<float>());
  }
  for (const auto& r : results) EXPECT_EQ(r[0], r[1]);
}

TEST(Conv2D, TakesAnEmptyBatch) {
  const Tensor x = Wave({0, 5, 5, 2}, 0.7f), w = Wave({3, 3, 2, 4}, 0.3f);
  EXPECT_EQ(ops::Conv2D(x, w).shape(), (Shape{0, 3, 3, 4}));
  const Tensor dw = ops::Conv2DBackpropFilter(x, w.shape(), Wave({0, 3, 3, 4}, 1.0f));
  EXPECT_EQ(dw.ToVector<float>(), std::vector<float>(72, 0.0f));
}

TEST(Conv2D, RefusesWhatDoesNotFit) {
  const Tensor x = Wave({1, 4, 4, 2}, 0.7f);
  EXPECT_THROW(ops::Conv2D(x, Wave({5, 5, 2, 3}, 0.3f)), InvalidArgumentError);
  EXPECT_THROW(ops::Conv2D(x, Wave({3, 3, 3, 3}, 0.3f)), InvalidArgumentError);
  EXPECT_THROW(ops::Conv2D(x, Wave({3, 3, 2, 3}, 0.3f), {{0, 1}}), InvalidArgumentError);
  EXPECT_THROW(ops::Conv2D(x, Wave({3, 3, 2, 3}, 0.3f), {{1, 1}, "FULL"}),
               InvalidArgumentError);
  EXPECT_THROW(ops::Conv2D(Wave({4, 4, 2}, 1.0f), Wave({3, 3, 2, 3}, 0.3f)),
               InvalidArgumentError);
  EXPECT_THROW(ops::MaxPool(x, {5, 5}, {1, 1}), InvalidArgumentError);
  EXPECT_THROW(ops::MaxPool(x, {2, 2}, {0, 2}), InvalidArgumentError);
}

TEST(MaxPool, KnowsValueAndPlaceOfTheMaximum) {
  const Tensor x = Tensor::FromVector<float>({1, 5, 2, 0,  //
                                              4, 3, 2, 2,  //
                                              7, 7, 1, 9},
                                             {1, 3, 4, 1});
  const Tensor y = ops::MaxPool(x, {2, 2}, {2, 2});
  EXPECT_EQ(y.ToVector<float>(), (std::vector<float>{5, 2}));
  const Tensor dy = Tensor::FromVector<float>({10, 20}, {1, 1, 2, 1});
  // Of equal maxima the first; the last row belongs to no window.
  EXPECT_EQ(ops::MaxPoolGrad(x, y, dy, {2, 2}, {2, 2}).ToVector<float>(),
            (std::vector<float>{0, 10, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(MaxPool, OverlappingWindowsAddTheirGradients) {
  const Tensor x = Tensor::FromVector<float>({1, 9, 2}, {1, 1, 3, 1});
  const Tensor y = ops::MaxPool(x, {1, 2}, {1, 1});
  const Tensor dy = Tensor::FromVector<float>({3, 4}, {1, 1, 2, 1});
  EXPECT_EQ(ops::MaxPoolGrad(x, y, dy, {1, 2}, {1, 1}).ToVector<float>(),
            (std::vector<float>{0, 7, 0}));
}

TEST(AvgPool, DoesNotCountThePadding) {
  const Tensor x = Tensor::FromVector<float>({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3, 1});
  EXPECT_EQ(ops::AvgPool(x, {2, 2}, {2, 2}, "SAME").ToVector<float>(),
            (std::vector<float>{3, 4.5f, 7.5f, 9}));
}

TEST(BatchNorm, NormalisesOverAllButTheLastAxis) {
  const Tensor x = Wave({7, 5, 3}, 0.7f, 4.0f, 2.0f);
  const Tensor scale = Tensor::FromVector<float>({1, 2, 3}), zero = Tensor::Full<float>({3}, 0);
  const auto out = ops::FusedBatchNorm(x, scale, zero, zero, zero, 1e-3f);
  const Tensor mean = ops::Mean(x, {0, 1});
  const Tensor variance = ops::Mean(ops::SquaredDifference(x, mean), {0, 1});
  ExpectNear(out[1], Doubles(mean), 1e-5);
  ExpectNear(out[2], Doubles(ops::Mul(variance, 35.0f / 34.0f)), 1e-5);
  const Tensor expected =
      ops::Mul(ops::Mul(ops::Sub(x, mean), ops::Rsqrt(ops::Add(variance, 1e-3f))), scale);
  ExpectNear(out[0], Doubles(expected), 1e-4);
  const auto frozen = ops::FusedBatchNorm(x, scale, zero, mean, variance, 1e-3f, false);
  ExpectNear(frozen[0], Doubles(expected), 1e-4);
}

// The gradient of sum(y * direction) by x, from the parts and from the fused op.
TEST(BatchNorm, GradientMatchesTheComposedOne) {
  const Tensor x = Wave({9, 40}, 0.7f, 2.0f), direction = Wave({9, 40}, 0.31f);
  const Tensor gamma = Wave({40}, 0.4f, 1.0f, 1.5f), beta = Wave({40}, 0.9f);
  const Tensor zero = Tensor::Full<float>({40}, 0);
  const auto gradients = [&](auto forward) {
    GradientTape tape;
    for (const Tensor& t : {x, gamma, beta}) tape.Watch(t);
    return tape.Gradient(ops::Sum(ops::Mul(forward(), direction)),
                         std::vector<Tensor>{x, gamma, beta});
  };
  const Grads fused =
      gradients([&] { return ops::FusedBatchNorm(x, gamma, beta, zero, zero)[0]; });
  const Grads composed = gradients([&] {
    const Tensor centered = ops::Sub(x, ops::Mean(x, {0}, true));
    const Tensor variance = ops::Mean(ops::Square(centered), {0}, true);
    const Tensor unit = ops::Mul(centered, ops::Rsqrt(ops::Add(variance, 1e-3f)));
    return ops::Add(ops::Mul(unit, gamma), beta);
  });
  for (int i = 0; i < 3; ++i) ExpectNear(fused[i].dense(), Doubles(composed[i].dense()), 1e-4);
}

TEST(LayerNorm, ValueAndGradientMatchTheComposedOnes) {
  for (const int64_t columns : {5, 16, 50}) {
    const Tensor x = Wave({6, columns}, 0.7f, 2.0f), direction = Wave({6, columns}, 0.31f);
    const Tensor gamma = Wave({columns}, 0.4f, 1.0f, 1.5f), beta = Wave({columns}, 0.9f);
    const auto run = [&](auto forward, Tensor* value) {
      GradientTape tape;
      for (const Tensor& t : {x, gamma, beta}) tape.Watch(t);
      *value = forward();
      return tape.Gradient(ops::Sum(ops::Mul(*value, direction)),
                           std::vector<Tensor>{x, gamma, beta});
    };
    Tensor y, expected;
    const Grads fused = run([&] { return ops::LayerNorm(x, gamma, beta); }, &y);
    const Grads composed = run(
        [&] {
          const Tensor centered = ops::Sub(x, ops::Mean(x, {-1}, true));
          const Tensor variance = ops::Mean(ops::Square(centered), {-1}, true);
          const Tensor unit = ops::Mul(centered, ops::Rsqrt(ops::Add(variance, 1e-3f)));
          return ops::Add(ops::Mul(unit, gamma), beta);
        },
        &expected);
    ExpectNear(y, Doubles(expected), 1e-4);
    for (int i = 0; i < 3; ++i) {
      ExpectNear(fused[i].dense(), Doubles(composed[i].dense()), 1e-4);
    }
  }
}

Tensor Int(int64_t value) { return Tensor::Scalar<int64_t>(value); }

TEST(Dropout, KeepsItsShareAndScalesIt) {
  const Tensor x = Tensor::Full<float>({100, 100}, 1.0f);
  const Tensor y = ops::Dropout(x, Int(3), Int(0), 0.3f, 1, 2);
  int kept = 0;
  for (const float v : y.values<float>()) {
    ASSERT_TRUE(v == 0.0f || std::abs(v - 1 / 0.7f) < 1e-6);
    kept += v != 0;
  }
  EXPECT_NEAR(kept, 7000, 200);
  EXPECT_EQ(ops::Dropout(x, Int(3), Int(0), 0.3f, 1, 2).ToVector<float>(),
            y.ToVector<float>());
  EXPECT_NE(ops::Dropout(x, Int(4), Int(0), 0.3f, 1, 2).ToVector<float>(),
            y.ToVector<float>());
  EXPECT_NE(ops::Dropout(x, Int(3), Int(0), 0.3f, 1, 3).ToVector<float>(),
            y.ToVector<float>());
}

TEST(Dropout, RanksDrawTheirRowsOfTheGlobalMask) {
  const Tensor x = Tensor::Full<float>({6, 37}, 1.0f);
  const auto whole = ops::Dropout(x, Int(9), Int(0), 0.5f, 5).ToVector<float>();
  const Tensor half = Tensor::Full<float>({3, 37}, 1.0f);
  auto joined = ops::Dropout(half, Int(9), Int(0), 0.5f, 5).ToVector<float>();
  const auto second = ops::Dropout(half, Int(9), Int(3 * 37), 0.5f, 5).ToVector<float>();
  joined.insert(joined.end(), second.begin(), second.end());
  EXPECT_EQ(joined, whole);
}

TEST(Dropout, GradientDrawsTheSameMask) {
  const Tensor x = Tensor::Full<float>({5, 31}, 1.0f);
  GradientTape tape;
  tape.Watch(x);
  const Tensor y = ops::Dropout(x, Int(1), Int(7), 0.4f, 3);
  EXPECT_EQ(tape.Gradient(y, std::vector<Tensor>{x})[0].dense().ToVector<float>(),
            y.ToVector<float>());
}

TEST(Dropout, RefusesARateOfOne) {
  const Tensor x = Tensor::Full<float>({3}, 1.0f);
  EXPECT_THROW(ops::Dropout(x, Int(0), Int(0), 1.0f), InvalidArgumentError);
  EXPECT_THROW(ops::Dropout(x, Int(0), Int(0), -0.1f), InvalidArgumentError);
}

TEST(BatchMatMul, BroadcastsLeadingDimensions) {
  const Tensor x = Wave({2, 1, 3, 4}, 0.7f), y = Wave({3, 4, 5}, 0.3f);
  const Tensor z = ops::BatchMatMul(x, y);
  ASSERT_EQ(z.shape(), (Shape{2, 3, 3, 5}));
  const Tensor one = ops::MatMul(Tensor(x).Slice(1, 2).Reshaped({3, 4}),
                                 Tensor(y).Slice(2, 3).Reshaped({4, 5}));
  const auto values = z.values<float>();
  for (int i = 0; i < 15; ++i) EXPECT_EQ(values[5 * 15 + i], one.data<float>()[i]);
}

TEST(MatMul, RefusesOtherInnerDimensionsAndDtypes) {
  EXPECT_THROW(ops::MatMul(Wave({2, 3}, 1.0f), Wave({4, 5}, 1.0f)), InvalidArgumentError);
  EXPECT_THROW(ops::MatMul(Wave({2, 3}, 1.0f), Tensor::Zeros(DType::kFloat64, {3, 5})),
               InvalidArgumentError);
  EXPECT_THROW(ops::MatMul(Wave({2}, 1.0f), Wave({2, 5}, 1.0f)), InvalidArgumentError);
}

}  // namespace
}  // namespace tributary
