#include "core/tensor/tensor.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Tensor, ViewsAliasTheirSource) {
  const Tensor t = Tensor::FromVector<float>({1, 2, 3, 4, 5, 6}, {3, 2});
  const Tensor rows = t.Slice(1, 3);
  const Tensor flat = t.Reshaped({-1});
  EXPECT_EQ(rows.shape(), Shape({2, 2}));
  EXPECT_EQ(rows.data<float>(), t.data<float>() + 2);
  t.mutable_data<float>()[2] = 30;
  EXPECT_EQ(rows.data<float>()[0], 30);
  EXPECT_EQ(flat.data<float>()[2], 30);
  const Tensor copy = t.Clone();
  t.mutable_data<float>()[2] = 3;
  EXPECT_EQ(copy.data<float>()[2], 30);
}

TEST(Tensor, AViewKeepsTheMemoryAlive) {
  Tensor row;
  {
    const Tensor t = Tensor::FromVector<int64_t>({1, 2, 3, 4}, {2, 2});
    row = t.Slice(1, 2);
  }
  EXPECT_EQ(row.ToVector<int64_t>(), (std::vector<int64_t>{3, 4}));
}

TEST(Tensor, ReadingAsAnotherDtypeNamesBoth) {
  const Tensor t(1.0f);
  EXPECT_THAT([&] { t.data<int32_t>(); },
              ThrowsMessage<InvalidArgumentError>(
                  testing::AllOf(HasSubstr("int32"), HasSubstr("float32"), HasSubstr("cast"))));
}

TEST(Tensor, ShapeProductsThatOverflowAreRefused) {
  const int64_t big = int64_t{1} << 40;
  EXPECT_THROW(Tensor::Empty(DType::kFloat32, {big, big}), InvalidArgumentError);
  EXPECT_THROW(Tensor::Empty(DType::kFloat64, {int64_t{1} << 62}), InvalidArgumentError);
  EXPECT_EQ(Tensor::Empty(DType::kFloat32, {big, big, 0}).NumElements(), 0);
}

TEST(Tensor, ABufferThatIsTooSmallIsRefused) {
  EXPECT_THROW(Tensor(DType::kFloat32, {3}, Buffer::Allocate(8)), InvalidArgumentError);
  EXPECT_THROW(Tensor(DType::kFloat32, {2}, Buffer::Allocate(8), 4), InvalidArgumentError);
  EXPECT_NO_THROW(Tensor(DType::kFloat32, {1}, Buffer::Allocate(8), 4));
}

TEST(Tensor, ScalarsAndEmptyTensors) {
  EXPECT_EQ(Tensor(2.5).item<double>(), 2.5);
  EXPECT_EQ(Tensor(2.5).rank(), 0);
  EXPECT_EQ(Tensor("text").item<std::string>(), "text");
  EXPECT_EQ(Tensor::Zeros(DType::kInt8, {0}).bytes(), 0u);
  EXPECT_THROW(Tensor::Zeros(DType::kInt8, {2}).item<int8_t>(), InvalidArgumentError);
  EXPECT_THROW(Tensor().raw_data(), FailedPreconditionError);
  EXPECT_THROW(Tensor::FromVector<float>({1, 2}, {3}), InvalidArgumentError);
}

TEST(Tensor, ReshapeChecksTheNumberOfElements) {
  const Tensor t = Tensor::Zeros(DType::kFloat32, {2, 3});
  EXPECT_EQ(t.Reshaped({3, -1}).shape(), Shape({3, 2}));
  EXPECT_THROW(t.Reshaped({4, -1}), InvalidArgumentError);
  EXPECT_THROW(t.Reshaped({-1, -1}), InvalidArgumentError);
  EXPECT_THROW(t.Slice(1, 3), InvalidArgumentError);
  EXPECT_THROW(t.Slice(-1, 1), InvalidArgumentError);
}

TEST(Tensor, CopyRefusesOtherDtypesAndSizes) {
  const Tensor a = Tensor::Zeros(DType::kFloat32, {2});
  EXPECT_THROW(CopyTensor(a, Tensor::Zeros(DType::kFloat64, {2})), InvalidArgumentError);
  EXPECT_THROW(CopyTensor(a, Tensor::Zeros(DType::kFloat32, {3})), InvalidArgumentError);
}

TEST(Shape, NegativeDimensionsAreRefused) {
  EXPECT_THROW(Shape({2, -2}), InvalidArgumentError);
  EXPECT_FALSE(Shape({2, -1}).IsFullyDefined());
  EXPECT_THROW(Shape({2, -1}).NumElements(), InvalidArgumentError);
}

TEST(Shape, PrintsAndMergesAsTensorFlow) {
  EXPECT_EQ(Shape({3}).ToString(), "(3,)");
  EXPECT_EQ(Shape({-1, 10}).ToString(), "(None, 10)");
  EXPECT_EQ(Shape().ToString(), "()");
  EXPECT_EQ(Shape::UnknownRank().ToString(), "<unknown>");
  EXPECT_EQ(Shape({-1, 10}).MergeWith({4, -1}), Shape({4, 10}));
  EXPECT_THROW(Shape({3}).MergeWith({4}), InvalidArgumentError);
}

TEST(Shape, BroadcastsAsNumPy) {
  EXPECT_EQ(BroadcastShapes({4, 1, 3}, {2, 1}, "Add"), Shape({4, 2, 3}));
  EXPECT_EQ(BroadcastShapes({}, {5}, "Add"), Shape({5}));
  EXPECT_EQ(BroadcastShapes({0}, {1}, "Add"), Shape({0}));
  EXPECT_THAT([] { BroadcastShapes({2}, {3}, "AddV2"); },
              ThrowsMessage<InvalidArgumentError>(HasSubstr("AddV2")));
}

TEST(DType, HalfRoundTripsEveryBitPattern) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    Half half;
    half.bits = static_cast<uint16_t>(bits);
    const float wide = static_cast<float>(half);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(Half(wide)))) << bits;
    } else {
      ASSERT_EQ(Half(wide).bits, half.bits);
    }
  }
}

TEST(DType, HalfRoundsToNearestEven) {
  EXPECT_EQ(Half(1.0f + 1.0f / 2048).bits, Half(1.0f).bits);          // tie, to even
  EXPECT_EQ(Half(1.0f + 3.0f / 2048).bits, Half(1.0f).bits + 2);      // tie, to even
  EXPECT_EQ(Half(65519.0f).bits, Half(65504.0f).bits);
  EXPECT_TRUE(std::isinf(static_cast<float>(Half(65520.0f))));
  EXPECT_EQ(static_cast<float>(Half(5.9604645e-8f)), 5.9604645e-8f);  // the least subnormal
  EXPECT_EQ(Half(2.9802322e-8f).bits, 0);                             // half of it, to even
}

TEST(DType, BFloat16RoundsAndKeepsSpecials) {
  EXPECT_EQ(static_cast<float>(BFloat16(1.0f / 3)), 0.333984375f);
  EXPECT_TRUE(std::isnan(static_cast<float>(BFloat16(NAN))));
  EXPECT_EQ(static_cast<float>(BFloat16(-INFINITY)), -INFINITY);
  EXPECT_TRUE(std::isinf(static_cast<float>(BFloat16(3.4e38f))));
}

TEST(DType, NamesParseBothWays) {
  EXPECT_EQ(ParseDType("float16"), DType::kHalf);
  EXPECT_EQ(ParseDType("DT_BFLOAT16"), DType::kBFloat16);
  EXPECT_THAT([] { ParseDType("flaot32"); },
              ThrowsMessage<InvalidArgumentError>(HasSubstr("float32")));
}

}  // namespace
}  // namespace tributary
