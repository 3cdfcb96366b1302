// Array ops against NumPy's values.

#include <array>

#include "ops/ops.h"

namespace tributary {
namespace {

using Ints = std::vector<int32_t>;

// 0 .. n-1 in a shape.
Tensor Count(const Shape& shape) {
  Ints values(shape.NumElements());
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i);
  return Tensor::FromVector(values, shape);
}

Ints ValuesOf(const Tensor& t) { return t.ToVector<int32_t>(); }

TEST(Reshape, IsAViewAndFillsIn) {
  const Tensor x = Count({2, 6});
  const Tensor y = ops::Reshape(x, {3, -1});
  EXPECT_EQ(y.shape(), (Shape{3, 4}));
  EXPECT_EQ(y.raw_data(), x.raw_data());
  EXPECT_THROW(ops::Reshape(x, {5, -1}), InvalidArgumentError);
  EXPECT_THROW(ops::Reshape(x, {-1, -1}), InvalidArgumentError);
  EXPECT_EQ(ops::ExpandDims(x, -1).shape(), (Shape{2, 6, 1}));
  EXPECT_EQ(ops::Squeeze(ops::ExpandDims(x, 0)).shape(), (Shape{2, 6}));
  EXPECT_THROW(ops::Squeeze(x, {0}), InvalidArgumentError);
}

// As TensorFlow computes them.
TEST(Reshape, OfNothingFillsInFromTheOtherDimensions) {
  const std::vector<std::array<Shape, 3>> cases = {
      {Shape{2, 0, 3}, Shape{0, -1}, Shape{0, 6}},
      {Shape{2, 0, 3}, Shape{2, 0, -1}, Shape{2, 0, 3}},
      {Shape{0}, Shape{0, -1}, Shape{0, 1}},
      {Shape{0}, Shape{-1, 0}, Shape{1, 0}},
      {Shape{7, 0}, Shape{0, 2, -1}, Shape{0, 2, 3}},
      {Shape{2, 0, 3}, Shape{4, -1}, Shape{4, 0}},
      {Shape{2, 0}, Shape{-1}, Shape{0}}};
  for (const auto& [from, wanted, expected] : cases) {
    const Tensor x = Tensor::Zeros(DType::kFloat32, from);
    EXPECT_EQ(ops::Reshape(x, wanted).shape(), expected) << from.ToString();
    EXPECT_EQ(x.Reshaped(wanted).shape(), expected) << from.ToString();
  }
  EXPECT_THROW(ops::Reshape(Tensor::Zeros(DType::kFloat32, {3}), {0, -1}), InvalidArgumentError);
  EXPECT_THROW(Tensor::Zeros(DType::kFloat32, {3}).Reshaped({0, -1}), InvalidArgumentError);
}

TEST(Transpose, NegativeNumbersCountFromTheEnd) {
  EXPECT_EQ(ops::Transpose(Count({2, 3, 4}), {-1, 0, 1}).shape(), (Shape{4, 2, 3}));
  EXPECT_THROW(ops::Transpose(Count({2, 3}), {-1, 1}), InvalidArgumentError);
  EXPECT_THROW(ops::Transpose(Count({2, 3}), {-3, 0}), InvalidArgumentError);
}

TEST(Transpose, PermutesDimensions) {
  EXPECT_EQ(ValuesOf(ops::Transpose(Count({2, 3}), {1, 0})), (Ints{0, 3, 1, 4, 2, 5}));
  const Tensor y = ops::Transpose(Count({2, 3, 4}), {2, 0, 1});
  EXPECT_EQ(y.shape(), (Shape{4, 2, 3}));
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 2; ++j) {
      for (int k = 0; k < 3; ++k) {
        EXPECT_EQ(y.data<int32_t>()[(i * 2 + j) * 3 + k], (j * 3 + k) * 4 + i);
      }
    }
  }
  EXPECT_THROW(ops::Transpose(Count({2, 3}), {0, 0}), InvalidArgumentError);
  EXPECT_THROW(ops::Transpose(Count({2, 3}), {0, 1, 2}), InvalidArgumentError);
}

TEST(Transpose, LargeMatricesOfEveryElementSize) {
  const Tensor x = Count({201, 333});
  for (const DType dtype : {DType::kUint8, DType::kHalf, DType::kFloat32, DType::kInt64}) {
    const Tensor typed = ops::Cast(ops::FloorMod(x, Tensor(200)), dtype);
    const Tensor twice = ops::Transpose(ops::Transpose(typed, {1, 0}), {1, 0});
    EXPECT_EQ(std::memcmp(twice.raw_data(), typed.raw_data(), typed.bytes()), 0);
    const Tensor once = ops::Cast(ops::Transpose(typed, {1, 0}), DType::kInt32);
    EXPECT_EQ(once.data<int32_t>()[7 * 201 + 11], (11 * 333 + 7) % 200);
  }
}

TEST(Concat, JoinsAlongAnyAxis) {
  const Tensor x = Count({2, 2});
  EXPECT_EQ(ValuesOf(ops::Concat({x, x}, 0)), (Ints{0, 1, 2, 3, 0, 1, 2, 3}));
  EXPECT_EQ(ValuesOf(ops::Concat({x, Count({2, 1})}, -1)), (Ints{0, 1, 0, 2, 3, 1}));
  EXPECT_THROW(ops::Concat({x, Count({3, 3})}, 0), InvalidArgumentError);
  const Tensor words = Tensor::FromVector<std::string>({"a", "b"}, {2, 1});
  EXPECT_EQ(ops::Concat({words, words}, 1).ToVector<std::string>(),
            (std::vector<std::string>{"a", "a", "b", "b"}));
}

TEST(Split, TakesApartWhatConcatJoins) {
  const auto halves = ops::Split(Count({2, 4}), 2, 1);
  EXPECT_EQ(ValuesOf(halves[1]), (Ints{2, 3, 6, 7}));
  const auto parts = ops::SplitV(Count({5}), {1, -1, 2}, 0);
  EXPECT_EQ(ValuesOf(parts[1]), (Ints{1, 2}));
  EXPECT_THROW(ops::Split(Count({2, 3}), 2, 1), InvalidArgumentError);
  EXPECT_THROW(ops::SplitV(Count({5}), {1, 2}, 0), InvalidArgumentError);
}

TEST(Pack, StacksAndUnpackUndoes) {
  const Tensor packed = ops::Pack({Count({2}), Count({2})}, 1);
  EXPECT_EQ(ValuesOf(packed), (Ints{0, 0, 1, 1}));
  EXPECT_EQ(ValuesOf(ops::Unpack(packed, 0)[1]), (Ints{1, 1}));
}

TEST(Slice, TakesABox) {
  EXPECT_EQ(ValuesOf(ops::Slice(Count({3, 3}), {1, 0}, {-1, 2})), (Ints{3, 4, 6, 7}));
  EXPECT_THROW(ops::Slice(Count({3}), {2}, {2}), InvalidArgumentError);
  EXPECT_THROW(ops::Slice(Count({3}), {-1}, {1}), InvalidArgumentError);
}

TEST(StridedSlice, HasNumPysIndexing) {
  const Tensor x = Count({3, 4});
  // x[::-1, 1::2]
  ops::StridedSliceMasks open{.begin = 1, .end = 3};
  EXPECT_EQ(ValuesOf(ops::StridedSlice(x, {0, 1}, {0, 0}, {-1, 2}, open)),
            (Ints{9, 11, 5, 7, 1, 3}));
  // x[1]
  const Tensor row = ops::StridedSlice(x, {1}, {2}, {1}, {.shrink_axis = 1});
  EXPECT_EQ(row.shape(), (Shape{4}));
  EXPECT_EQ(ValuesOf(row), (Ints{4, 5, 6, 7}));
  // x[..., newaxis, -1]
  const Tensor last = ops::StridedSlice(x, {0, 0, -1}, {0, 0, 0}, {1, 1, 1},
                                        {.ellipsis = 1, .new_axis = 2, .shrink_axis = 4});
  EXPECT_EQ(last.shape(), (Shape{3, 1}));
  EXPECT_EQ(ValuesOf(last), (Ints{3, 7, 11}));
  EXPECT_EQ(ops::StridedSlice(x, {5}, {9}, {1}).shape(), (Shape{0, 4}));
  EXPECT_THROW(ops::StridedSlice(x, {3}, {4}, {1}, {.shrink_axis = 1}), InvalidArgumentError);
  EXPECT_THROW(ops::StridedSlice(x, {0}, {1}, {0}), InvalidArgumentError);
  EXPECT_THROW(ops::StridedSlice(x, {1}, {2}, {-1}, {.shrink_axis = 1}), InvalidArgumentError);
}

TEST(Tile, RepeatsAndPadSurrounds) {
  EXPECT_EQ(ValuesOf(ops::Tile(Count({2}), {3})), (Ints{0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(ValuesOf(ops::Tile(Count({2, 1}), {1, 2})), (Ints{0, 0, 1, 1}));
  const Tensor paddings = Tensor::FromVector<int32_t>({1, 0, 0, 1}, {2, 2});
  EXPECT_EQ(ValuesOf(ops::Pad(Count({1, 2}), paddings)), (Ints{0, 0, 0, 0, 1, 0}));
  EXPECT_EQ(ValuesOf(ops::PadV2(Count({1, 2}), paddings, Tensor(7))), (Ints{7, 7, 7, 0, 1, 7}));
  EXPECT_EQ(ValuesOf(ops::Reverse(Count({2, 2}), {1})), (Ints{1, 0, 3, 2}));
}

TEST(Gather, TakesRowsAlongAnyAxis) {
  const Tensor x = Count({3, 2});
  const Tensor indices = Tensor::FromVector<int64_t>({2, 0, 2});
  EXPECT_EQ(ValuesOf(ops::Gather(x, indices)), (Ints{4, 5, 0, 1, 4, 5}));
  EXPECT_EQ(ValuesOf(ops::Gather(x, Tensor::FromVector<int32_t>({1}), 1)), (Ints{1, 3, 5}));
  // Per row: x[b][indices[b]].
  const Tensor per_row = Tensor::FromVector<int32_t>({1, 0, 1}, {3, 1});
  EXPECT_EQ(ValuesOf(ops::Gather(x, per_row, 1, 1)), (Ints{1, 2, 5}));
  try {
    ops::Gather(x, Tensor::FromVector<int32_t>({0, 3}));
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("indices[1] = 3 is not in [0, 3)"));
  }
}

TEST(UnsortedSegmentSum, AddsRowsAndDropsNegativeIds) {
  const Tensor ids = Tensor::FromVector<int32_t>({1, 0, 1, -1});
  EXPECT_EQ(ValuesOf(ops::UnsortedSegmentSum(Count({4, 2}), ids, Tensor(3))),
            (Ints{2, 3, 4, 6, 0, 0}));
  EXPECT_THROW(ops::UnsortedSegmentSum(Count({4, 2}), ids, Tensor(1)), InvalidArgumentError);
}

TEST(Range, CountsUpAndDown) {
  EXPECT_EQ(ValuesOf(ops::Range(Tensor(2), Tensor(8), Tensor(3))), (Ints{2, 5}));
  EXPECT_EQ(ValuesOf(ops::Range(Tensor(3), Tensor(0), Tensor(-1))), (Ints{3, 2, 1}));
  EXPECT_EQ(ops::Range(Tensor(3), Tensor(0), Tensor(1)).NumElements(), 0);
  EXPECT_THROW(ops::Range(Tensor(0), Tensor(1), Tensor(0)), InvalidArgumentError);
}

TEST(OneHot, MarksPositions) {
  const Tensor indices = Tensor::FromVector<int64_t>({1, -1, 2});
  EXPECT_EQ(ValuesOf(ops::OneHot(indices, 3, Tensor(1), Tensor(0))),
            (Ints{0, 1, 0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(ValuesOf(ops::OneHot(indices, 2, Tensor(5), Tensor(-5), 0)),
            (Ints{-5, -5, -5, 5, -5, -5}));
}

TEST(Shape, IsKnownBeforeAnythingRuns) {
  const Tensor x = Count({2, 3});
  EXPECT_EQ(ValuesOf(ops::ShapeOf(x)), (Ints{2, 3}));
  EXPECT_EQ(ops::SizeOf(x, DType::kInt64).item<int64_t>(), 6);
  EXPECT_EQ(ops::RankOf(x).item<int32_t>(), 2);
  const auto args = ops::BroadcastGradientArgs(Tensor::FromVector<int32_t>({2, 1}),
                                               Tensor::FromVector<int32_t>({3}));
  EXPECT_EQ(ValuesOf(args[0]), (Ints{1}));
  EXPECT_EQ(ValuesOf(args[1]), (Ints{0}));
}

TEST(Cast, TruncatesSaturatesAndRounds) {
  const Tensor x = Tensor::FromVector<float>({1.9f, -1.9f, 300, -1, NAN, 3e10f});
  EXPECT_EQ(ValuesOf(ops::Cast(x, DType::kInt32)),
            (Ints{1, -1, 300, -1, 0, std::numeric_limits<int32_t>::max()}));
  EXPECT_EQ(ops::Cast(x, DType::kUint8).ToVector<uint8_t>(),
            (std::vector<uint8_t>{1, 0, 255, 0, 0, 255}));
  EXPECT_EQ(ops::Cast(Count({3}), DType::kBool).ToVector<bool>(),
            (std::vector<bool>{false, true, true}));
  const Tensor bits = ops::Cast(Tensor(1.0f / 3), DType::kBFloat16);
  EXPECT_NEAR(ops::Cast(bits, DType::kFloat32).item<float>(), 0.333984375f, 1e-9);
}

TEST(BroadcastTo, SpreadsOrRefuses) {
  EXPECT_EQ(ValuesOf(ops::BroadcastTo(Count({2, 1}), {2, 2})), (Ints{0, 0, 1, 1}));
  EXPECT_THROW(ops::BroadcastTo(Count({3}), {2, 2}), InvalidArgumentError);
}

}  // namespace
}  // namespace tributary
