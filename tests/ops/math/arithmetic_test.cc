// Arithmetic against values worked out by hand or with NumPy.

#include <limits>

#include "core/base/parallel.h"
#include "ops/ops.h"

namespace tributary {
namespace {

using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;

Tensor Vec(Floats values) { return Tensor::FromVector(values); }
Tensor IntVec(Ints values) { return Tensor::FromVector(values); }

TEST(Binary, BroadcastsAsNumPyDoes) {
  const Tensor column = Tensor::FromVector<float>({1, 2}, {2, 1});
  const Tensor row = Vec({10, 20, 30});
  const Tensor sum = ops::Add(column, row);
  EXPECT_EQ(sum.shape(), (Shape{2, 3}));
  EXPECT_EQ(sum.ToVector<float>(), (Floats{11, 21, 31, 12, 22, 32}));
  EXPECT_EQ(ops::Sub(Tensor(1.0f), row).ToVector<float>(), (Floats{-9, -19, -29}));
  EXPECT_EQ(ops::Mul(row, Tensor(2.0f)).ToVector<float>(), (Floats{20, 40, 60}));
  const Tensor deep = ops::Add(Tensor::FromVector<int32_t>({1, 2}, {2, 1, 1}),
                               Tensor::FromVector<int32_t>({10, 20, 30, 40}, {2, 2}));
  EXPECT_EQ(deep.ToVector<int32_t>(), (Ints{11, 21, 31, 41, 12, 22, 32, 42}));
}

TEST(Binary, NamesBothDTypesInsteadOfConverting) {
  try {
    ops::Add(Vec({1}), Tensor(1.0));
    FAIL() << "float32 + float64 was accepted";
  } catch (const InvalidArgumentError& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("AddV2"));
    EXPECT_THAT(e.what(), testing::HasSubstr("float32"));
    EXPECT_THAT(e.what(), testing::HasSubstr("float64"));
  }
}

TEST(Binary, NamesBothShapesThatDoNotBroadcast) {
  try {
    ops::Mul(Tensor::Zeros(DType::kFloat32, {2, 3}), Tensor::Zeros(DType::kFloat32, {2}));
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("(2, 3)"));
    EXPECT_THAT(e.what(), testing::HasSubstr("(2,)"));
  }
}

TEST(Binary, IntegerDivisionRoundsDown) {
  const Tensor a = IntVec({7, -7, 7, -7}), b = IntVec({2, 2, -2, -2});
  EXPECT_EQ(ops::FloorDiv(a, b).ToVector<int32_t>(), (Ints{3, -4, -4, 3}));
  EXPECT_EQ(ops::FloorMod(a, b).ToVector<int32_t>(), (Ints{1, 1, -1, -1}));
  EXPECT_THROW(ops::FloorDiv(a, Tensor(0)), InvalidArgumentError);
  EXPECT_THROW(ops::FloorMod(a, Tensor(0)), InvalidArgumentError);
  const int32_t smallest = std::numeric_limits<int32_t>::min();
  EXPECT_EQ(ops::FloorDiv(Tensor(smallest), Tensor(-1)).item<int32_t>(), smallest);
}

TEST(Binary, IntegersWrap) {
  const Tensor big(std::numeric_limits<int32_t>::max());
  EXPECT_EQ(ops::Add(big, Tensor(1)).item<int32_t>(), std::numeric_limits<int32_t>::min());
  const Tensor wide = Tensor::FromVector<uint8_t>({200, 100});
  EXPECT_EQ(ops::Add(wide, wide).ToVector<uint8_t>(), (std::vector<uint8_t>{144, 200}));
}

TEST(Binary, NanComesThroughMaximum) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor a = Vec({nan, 1, 2, nan}), b = Vec({1, nan, 3, nan});
  for (const Tensor& t : {ops::Maximum(a, b), ops::Minimum(a, b)}) {
    const auto v = t.ToVector<float>();
    EXPECT_TRUE(std::isnan(v[0]) && std::isnan(v[1]) && std::isnan(v[3]));
  }
  EXPECT_EQ(ops::Maximum(a, b).ToVector<float>()[2], 3);
}

TEST(Binary, DivNoNanAndPow) {
  EXPECT_EQ(ops::DivNoNan(Vec({1, 2, 0}), Vec({2, 0, 0})).ToVector<float>(), (Floats{0.5f, 0, 0}));
  EXPECT_EQ(ops::Pow(IntVec({2, -3}), IntVec({10, 3})).ToVector<int32_t>(), (Ints{1024, -27}));
  EXPECT_THROW(ops::Pow(Tensor(2), Tensor(-1)), InvalidArgumentError);
}

TEST(Binary, HalfComputesThroughFloat) {
  const Tensor h = ops::Cast(Vec({1.5f, 2.25f}), DType::kHalf);
  EXPECT_EQ(ops::Cast(ops::Mul(h, h), DType::kFloat32).ToVector<float>(), (Floats{2.25f, 5.0625f}));
}

TEST(Compare, GivesBools) {
  EXPECT_EQ(ops::Less(Vec({1, 2, 3}), Tensor(2.0f)).ToVector<bool>(),
            (std::vector<bool>{true, false, false}));
  EXPECT_EQ(ops::Equal(IntVec({1, 2}), IntVec({1, 3})).ToVector<bool>(),
            (std::vector<bool>{true, false}));
  const Tensor t = Tensor::FromVector<bool>({true, false});
  EXPECT_EQ(ops::LogicalNot(t).ToVector<bool>(), (std::vector<bool>{false, true}));
  EXPECT_EQ(ops::LogicalAnd(t, Tensor(true)).ToVector<bool>(), (std::vector<bool>{true, false}));
}

TEST(Unary, FunctionsAgreeWithTheStandardLibrary) {
  struct Row {
    Tensor (*op)(const Tensor&);
    float (*std_fn)(float);
    float low, high;
  };
  const std::vector<Row> rows = {
      {ops::Exp, std::exp, -87, 88},      {ops::Expm1, std::expm1, -20, 20},
      {ops::Log, std::log, 1e-30f, 1e30f}, {ops::Log1p, std::log1p, -0.99f, 1000},
      {ops::Sin, std::sin, -1e5f, 1e5f},  {ops::Cos, std::cos, -100, 100},
      {ops::Tanh, std::tanh, -12, 12},    {ops::Erf, std::erf, -5, 5},
      {ops::Sqrt, std::sqrt, 0, 1e10f},   {ops::Round, std::nearbyint, -9, 9}};
  for (size_t r = 0; r < rows.size(); ++r) {
    Floats x;
    for (int i = 0; i <= 1003; ++i) {
      x.push_back(rows[r].low + (rows[r].high - rows[r].low) * static_cast<float>(i) / 1003);
    }
    const auto y = rows[r].op(Vec(x)).ToVector<float>();
    for (size_t i = 0; i < x.size(); ++i) {
      const float expected = rows[r].std_fn(x[i]);
      EXPECT_NEAR(y[i], expected, 2e-6f * std::max(1.0f, std::abs(expected)))
          << "row " << r << " at " << x[i];
    }
  }
}

TEST(Unary, EdgesAreThoseOfTheStandardLibrary) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(ops::Exp(Vec({inf, -inf, 200, -200, 0})).ToVector<float>(), (Floats{inf, 0, inf, 0, 1}));
  EXPECT_EQ(ops::Log(Vec({0, inf, 1})).ToVector<float>(), (Floats{-inf, inf, 0}));
  EXPECT_EQ(ops::Tanh(Vec({inf, -inf, 0})).ToVector<float>(), (Floats{1, -1, 0}));
  EXPECT_EQ(ops::Sigmoid(Vec({inf, -inf, 0})).ToVector<float>(), (Floats{1, 0, 0.5f}));
  EXPECT_EQ(ops::Sign(Vec({-3, 0, 5})).ToVector<float>(), (Floats{-1, 0, 1}));
  for (auto op : {ops::Exp, ops::Log, ops::Tanh, ops::Sigmoid, ops::Erf, ops::Sin, ops::Sign,
                  ops::Sqrt, ops::Log1p, ops::Expm1}) {
    EXPECT_TRUE(std::isnan(op(Vec({nan})).item<float>()));
  }
  EXPECT_TRUE(std::isnan(ops::Log(Vec({-1})).item<float>()));
  EXPECT_EQ(ops::Round(Vec({0.5f, 1.5f, 2.5f, -0.5f})).ToVector<float>(), (Floats{0, 2, 2, 0}));
  EXPECT_EQ(ops::IsFinite(Vec({1, inf, nan})).ToVector<bool>(),
            (std::vector<bool>{true, false, false}));
}

TEST(Unary, EveryLengthGivesTheSameElements) {
  Floats x;
  for (int i = 0; i < 70; ++i) x.push_back(0.1f * static_cast<float>(i) - 3);
  const auto all = ops::Tanh(Vec(x)).ToVector<float>();
  for (size_t n = 0; n <= x.size(); ++n) {
    const auto part = ops::Tanh(Vec({x.begin(), x.begin() + n})).ToVector<float>();
    EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin())) << n;
  }
}

TEST(Select, ChoosesByCondition) {
  const Tensor c = Tensor::FromVector<bool>({true, false, true});
  EXPECT_EQ(ops::Select(c, Vec({1, 2, 3}), Tensor(0.0f)).ToVector<float>(), (Floats{1, 0, 3}));
  const Tensor wide = ops::Select(c, Tensor::FromVector<int32_t>({1, 2}, {2, 1}), Tensor(9));
  EXPECT_EQ(wide.ToVector<int32_t>(), (Ints{1, 9, 1, 2, 9, 2}));
}

TEST(ClipByValue, LimitsAndKeepsNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto v = ops::ClipByValue(Vec({-5, 0.5f, 7, nan}), Tensor(-1.0f), Tensor(1.0f))
                     .ToVector<float>();
  EXPECT_EQ(Floats(v.begin(), v.begin() + 3), (Floats{-1, 0.5f, 1}));
  EXPECT_TRUE(std::isnan(v[3]));
}

TEST(AddN, AddsInOrder) {
  EXPECT_EQ(ops::AddN({Vec({1, 2}), Vec({10, 20}), Vec({100, 200})}).ToVector<float>(),
            (Floats{111, 222}));
  EXPECT_THROW(ops::AddN({Vec({1, 2}), Vec({1})}), InvalidArgumentError);
}

TEST(FlatPack, LaysTensorsSideBySideWithZeroGaps) {
  const Tensor flat = ops::FlatPack({Vec({1, 2}), Vec({3})}, {1, 5}, 8, "bucket");
  EXPECT_EQ(flat.ToVector<float>(), (Floats{0, 1, 2, 0, 0, 3, 0, 0}));
  const auto with_any_gaps =
      ops::FlatPack({Vec({1, 2}), Vec({3})}, {1, 5}, 8, "bucket", true).ToVector<float>();
  EXPECT_EQ(Floats(with_any_gaps.begin() + 1, with_any_gaps.begin() + 3), (Floats{1, 2}));
  EXPECT_EQ(with_any_gaps[5], 3);
  EXPECT_THROW(ops::FlatPack({Vec({1, 2}), Vec({3})}, {0, 1}, 8, ""), InvalidArgumentError);
  EXPECT_THROW(ops::FlatPack({Vec({1, 2})}, {7}, 8, ""), InvalidArgumentError);
}

TEST(Elementwise, LargeTensorsGiveTheSameBitsOnAnyNumberOfThreads) {
  Tensor x = Tensor::Empty(DType::kFloat32, {300, 1001});
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    x.mutable_data<float>()[i] = std::sin(static_cast<float>(i));
  }
  const Tensor row = x.Slice(0, 1), column = ops::Slice(x, {0, 0}, {300, 1});
  const auto compute = [&] {
    return ops::Add(ops::Mul(ops::Exp(x), row), column).ToVector<float>();
  };
  const int before = NumThreads();
  SetNumThreads(1);
  const auto one = compute();
  SetNumThreads(4);
  EXPECT_EQ(compute(), one);
  SetNumThreads(before);
}

}  // namespace
}  // namespace tributary
