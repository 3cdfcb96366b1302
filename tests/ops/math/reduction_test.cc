// Reductions against NumPy's values and against a plain loop.

#include <limits>

#include "core/base/parallel.h"
#include "ops/math/number.h"
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

// Small numbers of both signs, among them the extremes of an integer type.
template <typename T>
T NumberFor(int64_t i) {
  if constexpr (std::is_integral_v<T>) {
    if (i % 13 == 7) return std::numeric_limits<T>::max();
    if (i % 17 == 11) return std::numeric_limits<T>::lowest();
    return static_cast<T>(i * 7 % 11 - 3);
  } else {
    return T(static_cast<float>(i * 7 % 3 - 1));  // sums are exact
  }
}

template <typename T>
Tensor NumbersFor(const Shape& shape) {
  Tensor t = Tensor::Empty(kDTypeOf<T>, shape);
  for (int64_t i = 0; i < t.NumElements(); ++i) t.mutable_data<T>()[i] = NumberFor<T>(i);
  return t;
}

struct Expected {
  std::vector<double> sum, mean, prod, max, min;
};

// Wraps as unsigned arithmetic of 64 bits does, and narrows at the end.
template <typename T>
Expected PlainLoop(const Tensor& x, int64_t outer, int64_t n, int64_t inner) {
  using Wide = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
  const auto wide = [](T v) {
    if constexpr (std::is_integral_v<T>) return static_cast<Wide>(static_cast<int64_t>(v));
    else return static_cast<Wide>(static_cast<double>(static_cast<float>(v)));
  };
  const auto narrow = [](Wide v) {
    if constexpr (kIsSmallFloat<T>) return static_cast<double>(Load(T(static_cast<float>(v))));
    else return static_cast<double>(static_cast<T>(v));
  };
  Expected e;
  for (int64_t o = 0; o < outer * inner; ++o) {
    const T* row = x.data<T>() + o / inner * n * inner + o % inner;
    volatile Wide sum = 0, prod = 1;  // volatile: the reference is not vectorized
    double max = -std::numeric_limits<double>::infinity(), min = -max;
    for (int64_t i = 0; i < n; ++i) {
      const Wide v = wide(row[i * inner]);
      sum = sum + v;
      prod = prod * v;
      max = std::max(max, narrow(v));
      min = std::min(min, narrow(v));
    }
    e.sum.push_back(narrow(sum));
    e.prod.push_back(narrow(prod));
    e.max.push_back(max);
    e.min.push_back(min);
    if constexpr (std::is_integral_v<T>) {
      e.mean.push_back(static_cast<double>(static_cast<T>(static_cast<int64_t>(sum) / n)));
    } else {
      e.mean.push_back(sum / static_cast<double>(n));
    }
  }
  return e;
}

std::vector<double> AsDoubles(const Tensor& t) {
  return ops::Cast(t, DType::kFloat64).ToVector<double>();
}

template <typename T>
void ExpectPlainLoop(const Shape& shape, int axis, int64_t outer, int64_t inner) {
  const std::string what = std::string(DTypeName(kDTypeOf<T>)) + shape.ToString();
  const Tensor x = NumbersFor<T>(shape);
  const Expected e = PlainLoop<T>(x, outer, shape[axis], inner);
  EXPECT_EQ(AsDoubles(ops::Sum(x, {axis})), e.sum) << what;
  EXPECT_EQ(AsDoubles(ops::Prod(x, {axis})), e.prod) << what;
  EXPECT_EQ(AsDoubles(ops::Max(x, {axis})), e.max) << what;
  EXPECT_EQ(AsDoubles(ops::Min(x, {axis})), e.min) << what;
  const auto mean = AsDoubles(ops::Mean(x, {axis}));
  for (size_t i = 0; i < mean.size(); ++i) {
    EXPECT_NEAR(mean[i], e.mean[i], std::is_integral_v<T> ? 0 : 4e-3) << what;
  }
}

TEST(Reduction, OfEveryNumberTypeIsThatOfAPlainLoop) {
  for (const DType dtype : NumberTypes()) {
    DispatchNumber(dtype, "test", [](auto zero) {
      using T = decltype(zero);
      for (const int64_t n : {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 63, 64, 65, 255, 256, 1000, 20000}) {
        ExpectPlainLoop<T>({n}, 0, 1, 1);
        ExpectPlainLoop<T>({3, n}, 1, 3, 1);
        ExpectPlainLoop<T>({2, n, 3}, 1, 2, 3);
        if (n <= 256) ExpectPlainLoop<T>({n, 65}, 0, 1, 65);
      }
    });
  }
}

TEST(Reduction, MeanOfSmallIntegersNeitherWrapsNorDividesByZero) {
  for (const DType dtype : {DType::kInt8, DType::kUint8, DType::kInt16, DType::kInt32}) {
    const Tensor many = ops::Fill(ops::IntList({65536}), ops::Cast(Tensor(100), dtype));
    EXPECT_EQ(ops::Cast(ops::Mean(many), DType::kInt32).item<int32_t>(), 100);
    EXPECT_EQ(ops::Cast(ops::Mean(ops::Cast(Tensor::Full<float>({256}, 1), dtype)), DType::kInt32)
                  .item<int32_t>(), 1);
  }
}

template <typename T>
void ExpectWrappingLoops(int64_t n) {
  const Tensor x = NumbersFor<T>({n});
  Tensor ids = Tensor::Empty(DType::kInt32, {n});
  std::vector<T> sums, products, tripled, segments(2);
  uint64_t sum = 0, product = 1;
  for (int64_t i = 0; i < n; ++i) {
    const volatile uint64_t v = static_cast<uint64_t>(static_cast<int64_t>(x.data<T>()[i]));
    sums.push_back(static_cast<T>(sum += v));
    products.push_back(static_cast<T>(product *= v));
    tripled.push_back(static_cast<T>(3 * v));
    ids.mutable_data<int32_t>()[i] = static_cast<int32_t>(i % 2);
    segments[i % 2] = static_cast<T>(static_cast<uint64_t>(segments[i % 2]) + v);
  }
  const auto values = [](const Tensor& t) { return t.ToVector<T>(); };
  EXPECT_EQ(values(ops::Cumsum(x, 0)), sums);
  EXPECT_EQ(values(ops::Cumprod(x, 0)), products);
  EXPECT_EQ(values(ops::AddN({x, x, x})), tripled);
  EXPECT_EQ(values(ops::Mul(x, Tensor::Full<T>({n}, T(3)))), tripled);
  EXPECT_EQ(values(ops::Sub(x, x)), std::vector<T>(n));
  EXPECT_EQ(values(ops::UnsortedSegmentSum(x, ids, Tensor(2))), segments);
  const Tensor rows = ops::Reshape(ops::Tile(x, {3}), {3, n});
  const Tensor together = Tensor::FromVector<int32_t>({0, 0, 0});
  EXPECT_EQ(values(ops::UnsortedSegmentSum(rows, together, Tensor(1))), tripled);
}

TEST(WrappingLoops, OfEveryIntegerTypeAreThoseOfAPlainLoop) {
  for (const int64_t n : {1, 3, 4, 5, 63, 64, 65, 1000}) {
    ExpectWrappingLoops<int8_t>(n);
    ExpectWrappingLoops<int16_t>(n);
    ExpectWrappingLoops<int32_t>(n);
    ExpectWrappingLoops<int64_t>(n);
    ExpectWrappingLoops<uint8_t>(n);
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

TEST(Reduction, RefusesAxesOutOfRangeOrRepeated) {
  EXPECT_THROW(ops::Sum(kMatrix, {2}), InvalidArgumentError);
  EXPECT_THROW(ops::Max(kMatrix, {-3}), InvalidArgumentError);
  EXPECT_THROW(ops::Sum(kMatrix, {0, 0}), InvalidArgumentError);
  EXPECT_THROW(ops::Mean(kMatrix, {1, -1}), InvalidArgumentError);
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
