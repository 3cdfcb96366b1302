// Reductions against NumPy's values and against a plain loop.

#include <limits>

#include "core/base/parallel.h"
#include "ops/ops.h"

namespace tributary {
namespace {

using Floats = std::vector<float>;

Tensor Waves(const Shape& shape) {
  Tensor t = Tensor::Empty(DType::kFloat32, shape);
  for (int64_t i = 0; i < t.NumElements(); ++i) {
    t.mutable_data<float>()[i] = std::sin(0.37f * static_cast<float>(i));
  }
  return t;
}

const Tensor kMatrix = Tensor::FromVector<float>({1, 2, 3, 4, 5, 6}, {2, 3});

TEST(Reduction, OverEveryChoiceOfAxes) {
  EXPECT_EQ(ops::Sum(kMatrix).item<float>(), 21);
  EXPECT_EQ(ops::Sum(kMatrix, {0}).ToVector<float>(), (Floats{5, 7, 9}));
  EXPECT_EQ(ops::Sum(kMatrix, {-1}).ToVector<float>(), (Floats{6, 15}));
  EXPECT_EQ(ops::Sum(kMatrix, {-1}, true).shape(), (Shape{2, 1}));
  EXPECT_EQ(ops::Mean(kMatrix, {1}).ToVector<float>(), (Floats{2, 5}));
  EXPECT_EQ(ops::Prod(kMatrix, {1}).ToVector<float>(), (Floats{6, 120}));
  EXPECT_EQ(ops::Max(kMatrix, {0}).ToVector<float>(), (Floats{4, 5, 6}));
  EXPECT_EQ(ops::Min(kMatrix).item<float>(), 1);
  const Tensor cube = ops::Reshape(ops::Range(Tensor(0.0f), Tensor(24.0f), Tensor(1.0f)), {2, 3, 4});
  EXPECT_EQ(ops::Sum(cube, {0, 2}).ToVector<float>(), (Floats{60, 92, 124}));
  EXPECT_EQ(ops::Sum(cube, {1}).ToVector<float>(), (Floats{12, 15, 18, 21, 48, 51, 54, 57}));
}

TEST(Reduction, OfNothing) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor empty = Tensor::Zeros(DType::kFloat32, {0, 2});
  EXPECT_EQ(ops::Sum(empty, {0}).ToVector<float>(), (Floats{0, 0}));
  EXPECT_EQ(ops::Prod(empty, {0}).ToVector<float>(), (Floats{1, 1}));
  EXPECT_EQ(ops::Max(empty, {0}).ToVector<float>(), (Floats{-inf, -inf}));
  EXPECT_TRUE(std::isnan(ops::Mean(empty).item<float>()));
  EXPECT_EQ(ops::Sum(empty, {1}).NumElements(), 0);
}

TEST(Reduction, IntegersAndBools) {
  const Tensor ints = Tensor::FromVector<int32_t>({5, -2, 9});
  EXPECT_EQ(ops::Mean(ints).item<int32_t>(), 4);
  EXPECT_EQ(ops::Max(ints).item<int32_t>(), 9);
  const Tensor bools = Tensor::FromVector<bool>({true, false, true, true}, {2, 2});
  EXPECT_EQ(ops::All(bools, {1}).ToVector<bool>(), (std::vector<bool>{false, true}));
  EXPECT_TRUE(ops::Any(bools).item<bool>());
}

TEST(Reduction, AgreesWithALoopForManyShapes) {
  for (const Shape& shape : {Shape{70000}, Shape{300, 257}, Shape{5000, 7}, Shape{3, 4000},
                             Shape{17, 33, 65}, Shape{2, 3000, 3}}) {
    const Tensor x = Waves(shape);
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const Tensor y = ops::Sum(x, {axis});
      int64_t outer = 1, inner = 1;
      for (int i = 0; i < shape.rank(); ++i) {
        if (i != axis) (i < axis ? outer : inner) *= shape[i];
      }
      for (int64_t o = 0; o < outer; ++o) {
        for (int64_t k = 0; k < inner; ++k) {
          double sum = 0;
          for (int64_t r = 0; r < shape[axis]; ++r) {
            sum += x.data<float>()[(o * shape[axis] + r) * inner + k];
          }
          ASSERT_NEAR(y.data<float>()[o * inner + k], sum, 2e-3) << shape.ToString() << axis;
        }
      }
    }
  }
}

TEST(Reduction, SameBitsOnAnyNumberOfThreads) {
  const Tensor x = Waves({500, 321}), deep = Waves({31, 40, 50});
  const auto compute = [&] {
    std::vector<float> all = {ops::Sum(x).item<float>(), ops::L2Loss(x).item<float>()};
    for (const Tensor& t : {ops::Sum(x, {0}), ops::Mean(x, {1}), ops::Sum(deep, {0, 2}),
                            ops::Max(deep, {1})}) {
      const auto v = t.ToVector<float>();
      all.insert(all.end(), v.begin(), v.end());
    }
    return all;
  };
  const int before = NumThreads();
  SetNumThreads(1);
  const auto one = compute();
  SetNumThreads(3);
  EXPECT_EQ(compute(), one);
  SetNumThreads(before);
}

TEST(Reduction, RefusesAxesOutOfRange) {
  EXPECT_THROW(ops::Sum(kMatrix, {2}), InvalidArgumentError);
  EXPECT_THROW(ops::Max(kMatrix, {-3}), InvalidArgumentError);
}

TEST(ArgMax, TheFirstOfEqualElementsWins) {
  const Tensor x = Tensor::FromVector<float>({1, 5, 5, 7, 7, 2}, {2, 3});
  EXPECT_EQ(ops::ArgMax(x, 1).ToVector<int64_t>(), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(ops::ArgMin(x, 0, DType::kInt32).ToVector<int32_t>(), (std::vector<int32_t>{0, 0, 1}));
  EXPECT_THROW(ops::ArgMax(Tensor::Zeros(DType::kFloat32, {2, 0}), 1), InvalidArgumentError);
}

TEST(TopK, IsSortedAndStable) {
  const Tensor x = Tensor::FromVector<float>({3, 9, 3, 9, 1, 4}, {2, 3});
  const auto top = ops::TopK(x, 2);
  EXPECT_EQ(top[0].ToVector<float>(), (Floats{9, 3, 9, 4}));
  EXPECT_EQ(top[1].ToVector<int32_t>(), (std::vector<int32_t>{1, 0, 0, 2}));
  EXPECT_THROW(ops::TopK(x, 4), InvalidArgumentError);
}

TEST(Cumsum, InEveryDirection) {
  const Tensor x = Tensor::FromVector<float>({1, 2, 3});
  EXPECT_EQ(ops::Cumsum(x, 0).ToVector<float>(), (Floats{1, 3, 6}));
  EXPECT_EQ(ops::Cumsum(x, 0, true).ToVector<float>(), (Floats{0, 1, 3}));
  EXPECT_EQ(ops::Cumsum(x, 0, false, true).ToVector<float>(), (Floats{6, 5, 3}));
  EXPECT_EQ(ops::Cumprod(x, 0, true, true).ToVector<float>(), (Floats{6, 3, 1}));
}

}  // namespace
}  // namespace tributary
