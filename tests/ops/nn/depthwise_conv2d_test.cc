// Depthwise convolution and its gradients against plain loops in double precision.

#include "core/base/parallel.h"
#include "core/runtime/gradients.h"
#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace {

using ops::Window;

TEST(DepthwiseConv2D, EveryGradientMatchesDoubleLoops) {
  struct Case {
    int64_t n, h, w, c, k, stride, dilation, multiplier;
    const char* padding;
  };
  for (const Case& t : std::vector<Case>{{2, 9, 8, 3, 3, 1, 1, 1, "VALID"},
                                         {2, 9, 8, 37, 3, 1, 1, 1, "SAME"},
                                         {1, 7, 9, 18, 2, 2, 1, 3, "VALID"},
                                         {2, 9, 9, 2, 3, 2, 1, 2, "SAME"},
                                         {1, 9, 9, 16, 3, 1, 2, 1, "SAME"},
                                         {1, 3, 3, 5, 3, 1, 3, 1, "SAME"},
                                         {2, 12, 5, 5, 5, 3, 1, 7, "VALID"}}) {
    const Tensor x = Wave({t.n, t.h, t.w, t.c}, 0.7f);
    const Tensor w = Wave({t.k, t.k, t.c, t.multiplier}, 0.3f);
    const Window window{{t.stride, t.stride}, t.padding, {t.dilation, t.dilation}};
    std::vector<std::vector<double>> results[2];
    Tensor dy;
    for (const bool wide : {true, false}) {
      const auto as = [&](const Tensor& v) { return wide ? ops::Cast(v, DType::kFloat64) : v; };
      GradientTape tape;
      const Tensor in = as(x).Clone(), filter = as(w).Clone();
      tape.Watch(in);
      tape.Watch(filter);
      const Tensor y = ops::DepthwiseConv2D(in, filter, window);
      if (!dy.defined()) dy = Wave(y.shape(), 0.23f);
      const Grads grads = tape.Gradient(ops::Sum(ops::Mul(y, as(dy))), {in, filter});
      for (const Tensor& v : {y, Densify(grads[0]), Densify(grads[1])}) {
        results[wide].push_back(ops::Cast(v, DType::kFloat64).ToVector<double>());
      }
    }
    for (size_t i = 0; i < 3; ++i) {
      ASSERT_EQ(results[0][i].size(), results[1][i].size());
      for (size_t k = 0; k < results[0][i].size(); ++k) {
        ASSERT_NEAR(results[0][i][k], results[1][i][k], 1e-5 * (1 + std::abs(results[1][i][k])));
      }
    }
  }
}

TEST(DepthwiseConv2D, GivesTheSameBitsForAnyNumberOfThreads) {
  const Tensor x = Wave({8, 20, 20, 24}, 0.7f), w = Wave({3, 3, 24, 2}, 0.3f);
  std::vector<std::vector<float>> results[2];
  for (const int threads : {1, 2}) {
    SetNumThreads(threads);
    GradientTape tape;
    tape.Watch(x);
    tape.Watch(w);
    const Tensor y = ops::DepthwiseConv2D(x, w, {{1, 1}, "SAME"});
    const Grads grads = tape.Gradient(ops::Sum(ops::Square(y)), {x, w});
    for (const Tensor& v : {y, Densify(grads[0]), Densify(grads[1])}) {
      results[threads - 1].push_back(v.ToVector<float>());
    }
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST(DepthwiseConv2D, RefusesWhatDoesNotFit) {
  const Tensor x = Wave({1, 4, 4, 2}, 0.7f);
  EXPECT_THROW(ops::DepthwiseConv2D(x, Wave({3, 3, 3, 1}, 0.3f)), InvalidArgumentError);
  EXPECT_THROW(ops::DepthwiseConv2D(x, Wave({5, 5, 2, 1}, 0.3f)), InvalidArgumentError);
  EXPECT_THROW(ops::DepthwiseConv2D(x, Wave({3, 3, 2}, 0.3f)), InvalidArgumentError);
}

}  // namespace
}  // namespace tributary
