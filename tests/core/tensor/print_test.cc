// Expected texts were printed by TensorFlow 2.21 with NumPy 2.4.

#include "core/tensor/tensor.h"

namespace tributary {
namespace {

Tensor Range(int64_t count, const Shape& shape) {
  std::vector<int32_t> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = static_cast<int32_t>(i);
  return Tensor::FromVector(values, shape);
}

TEST(TensorPrint, MatrixStartsOnItsOwnLine) {
  EXPECT_EQ(Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2}).ToString(),
            "tf.Tensor(\n[[1. 2.]\n [3. 4.]], shape=(2, 2), dtype=float32)");
}

TEST(TensorPrint, ScalarsChooseTheirNotation) {
  const auto text = [](const Tensor& t) {
    const std::string s = t.ToString();
    return s.substr(10, s.find(", shape") - 10);
  };
  EXPECT_EQ(text(Tensor(0.5f)), "0.5");
  EXPECT_EQ(text(Tensor(1000.0f)), "1000.0");
  EXPECT_EQ(text(Tensor(123456.789f)), "123456.79");
  EXPECT_EQ(text(Tensor(1e6f)), "1e+06");
  EXPECT_EQ(text(Tensor(16777216.0f)), "1.6777216e+07");
  EXPECT_EQ(text(Tensor(1e-5f)), "1e-05");
  EXPECT_EQ(text(Tensor(0.00011f)), "0.00011");
  EXPECT_EQ(text(Tensor(-0.0f)), "-0.0");
  EXPECT_EQ(text(Tensor(1e15)), "1000000000000000.0");
  EXPECT_EQ(text(Tensor(1e22)), "1e+22");
  EXPECT_EQ(text(Tensor(std::nanf(""))), "nan");
  EXPECT_EQ(text(Tensor::Scalar(Half(1.0f / 3))), "0.3333");
  EXPECT_EQ(text(Tensor::Scalar(Half(65500.0f))), "6.55e+04");
  EXPECT_EQ(text(Tensor::Scalar(BFloat16(1.5f))), "1.5");
  EXPECT_EQ(text(Tensor(true)), "True");
  EXPECT_EQ(text(Tensor(-7)), "-7");
}

TEST(TensorPrint, FloatsShareOneWidth) {
  EXPECT_EQ(Tensor::FromVector<float>({1.0f / 3, -2.0f / 3, 100}).ToString(),
            "tf.Tensor([  0.33333334  -0.6666667  100.        ], shape=(3,), dtype=float32)");
  EXPECT_EQ(Tensor::FromVector<float>({1, NAN, INFINITY, -INFINITY}).ToString(),
            "tf.Tensor([  1.  nan  inf -inf], shape=(4,), dtype=float32)");
  EXPECT_EQ(Tensor::FromVector<float>({NAN}).ToString(),
            "tf.Tensor([nan], shape=(1,), dtype=float32)");
}

TEST(TensorPrint, WideRangesTurnScientific) {
  EXPECT_EQ(Tensor::FromVector<float>({0.1f, 1e10f}).ToString(),
            "tf.Tensor([1.e-01 1.e+10], shape=(2,), dtype=float32)");
  EXPECT_EQ(Tensor::FromVector<double>({1e7 + 0.5, 2}).ToString(),
            "tf.Tensor([1.00000005e+07 2.00000000e+00], shape=(2,), dtype=float64)");
  EXPECT_EQ(Tensor::FromVector<Half>({Half(1.0f / 3), Half(2), Half(65504)}).ToString(),
            "tf.Tensor([3.333e-01 2.000e+00 6.550e+04], shape=(3,), dtype=float16)");
  EXPECT_EQ(Tensor::FromVector<float>({1e-45f}).ToString(),
            "tf.Tensor([1.e-45], shape=(1,), dtype=float32)");
}

TEST(TensorPrint, MantissasAreFilledWithRealDigits) {
  const auto text = [](const Tensor& t) {
    const std::string s = t.ToString();
    return s.substr(10, s.find(", shape") - 10);
  };
  const auto half = [](const std::vector<float>& values) {
    std::vector<Half> halves;
    for (const float v : values) halves.push_back(Half(v));
    return Tensor::FromVector(halves);
  };
  EXPECT_EQ(text(Tensor::FromVector<float>({3.1415927e-9f, 2.5f, -7e7f})),
            "[ 3.1415928e-09  2.5000000e+00 -7.0000000e+07]");
  EXPECT_EQ(text(Tensor::FromVector<float>({1.0f / 3, 1e5f, NAN})),
            "[3.3333334e-01 1.0000000e+05           nan]");
  EXPECT_EQ(text(Tensor::FromVector<float>({999999, 1})), "[9.99999e+05 1.00000e+00]");
  EXPECT_EQ(text(Tensor::FromVector<double>({1.0 / 3, 1e-5})),
            "[3.33333333e-01 1.00000000e-05]");
  EXPECT_EQ(text(Tensor::FromVector<double>({std::ldexp(1.0, -20), -4096.5})),
            "[ 9.53674316e-07 -4.09650000e+03]");
  EXPECT_EQ(text(half({1.0f / 3, -999})), "[ 3.333e-01 -9.990e+02]");
  EXPECT_EQ(text(half({0.015625f, 64, 1.9e-6f})), "[1.563e-02 6.400e+01 1.907e-06]");
  EXPECT_EQ(text(Tensor::Scalar(Half(0.015625f))), "0.01563");
}

TEST(TensorPrint, EachTypeTurnsScientificAtItsOwnPrecision) {
  const auto text = [](const Tensor& t) {
    const std::string s = t.ToString();
    return s.substr(10, s.find(", shape") - 10);
  };
  EXPECT_EQ(text(Tensor::FromVector<float>({1234567})), "[1.234567e+06]");
  EXPECT_EQ(text(Tensor::FromVector<float>({1e6f, 1})), "[1.e+06 1.e+00]");
  EXPECT_EQ(text(Tensor::FromVector<Half>({Half(1000), Half(2.5f)})), "[1.0e+03 2.5e+00]");
  EXPECT_EQ(text(Tensor::FromVector<double>({1e8, 1})), "[1.e+08 1.e+00]");
  EXPECT_EQ(text(Tensor::FromVector<double>({99999999, 1e5})), "[99999999.   100000.]");
  // Limits hold in the type itself: 1e-4f is no less than 1e-4.
  EXPECT_EQ(text(Tensor::FromVector<float>({1e-4f, 0.05f})), "[0.0001 0.05  ]");
  EXPECT_EQ(text(Tensor::FromVector<float>({0.001f, 1})), "[0.001 1.   ]");
}

TEST(TensorPrint, LongRowsWrapAtSeventyFiveColumns) {
  std::vector<double> values(40);
  for (int i = 0; i < 40; ++i) values[i] = i / 7.0;
  const std::string text = Tensor::FromVector(values).ToString();
  EXPECT_TRUE(text.starts_with(
      "tf.Tensor(\n[0.         0.14285714 0.28571429 0.42857143 0.57142857 0.71428571\n"
      " 0.85714286 1.         1.14285714"))
      << text;
  EXPECT_THAT(text, testing::HasSubstr(" 4.28571429 4.42857143 4.57142857 4.71428571 4.85714286 5."
                                       "\n 5.14285714 5.28571429 5.42857143 5.57142857], shape="));
}

TEST(TensorPrint, MoreThanAThousandElementsAreShortened) {
  EXPECT_EQ(Range(2000, {2000}).ToString(),
            "tf.Tensor([   0    1    2 ... 1997 1998 1999], shape=(2000,), dtype=int32)");
  EXPECT_EQ(Range(2000, {2, 1000}).ToString(),
            "tf.Tensor(\n[[   0    1    2 ...  997  998  999]\n"
            " [1000 1001 1002 ... 1997 1998 1999]], shape=(2, 1000), dtype=int32)");
  const std::string tall = Range(2000, {1000, 2}).ToString();
  EXPECT_EQ(tall,
            "tf.Tensor(\n[[   0    1]\n [   2    3]\n [   4    5]\n ...\n [1994 1995]\n"
            " [1996 1997]\n [1998 1999]], shape=(1000, 2), dtype=int32)");
}

TEST(TensorPrint, PlanesAreSeparatedByAnEmptyLine) {
  EXPECT_EQ(Tensor::Zeros(DType::kFloat32, {2, 2, 2}).ToString(),
            "tf.Tensor(\n[[[0. 0.]\n  [0. 0.]]\n\n [[0. 0.]\n  [0. 0.]]], shape=(2, 2, 2), "
            "dtype=float32)");
}

TEST(TensorPrint, StringsAreBytesLiterals) {
  EXPECT_EQ(Tensor("a'b").ToString(), "tf.Tensor(b\"a'b\", shape=(), dtype=string)");
  EXPECT_EQ(Tensor::FromVector<std::string>({"a", "b\xc3\xa9\n"}).ToString(),
            "tf.Tensor([b'a' b'b\\xc3\\xa9\\n'], shape=(2,), dtype=string)");
}

TEST(TensorPrint, BoolsIntegersAndEmptyTensors) {
  EXPECT_EQ(Tensor::FromVector<int32_t>({1, -20, 3}).ToString(),
            "tf.Tensor([  1 -20   3], shape=(3,), dtype=int32)");
  Tensor bools = Tensor::Zeros(DType::kBool, {2});
  bools.mutable_data<bool>()[0] = true;
  EXPECT_EQ(bools.ToString(), "tf.Tensor([ True False], shape=(2,), dtype=bool)");
  EXPECT_EQ(Tensor::Zeros(DType::kFloat32, {0, 3}).ToString(),
            "tf.Tensor([], shape=(0, 3), dtype=float32)");
  EXPECT_EQ(Tensor::FromVector<BFloat16>({BFloat16(1), BFloat16(2.5f), BFloat16(1.0f / 3)})
                .ToString(),
            "tf.Tensor([1 2.5 0.333984], shape=(3,), dtype=bfloat16)");
}

TEST(TensorPrint, AnUndefinedTensorSaysSo) {
  EXPECT_EQ(Tensor().ToString(), "Tensor(<undefined>)");
}

}  // namespace
}  // namespace tributary
