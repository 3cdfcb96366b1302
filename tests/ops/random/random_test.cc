#include "core/base/parallel.h"
#include "core/runtime/function.h"
#include "ops/ops.h"

namespace tributary {
namespace {

const Tensor kKey = Tensor::FromVector<int64_t>({42});
const Tensor kCounter = Tensor::FromVector<int64_t>({0, 7});

struct Moments {
  double mean = 0, deviation = 0, min = 1e9, max = -1e9;
};

Moments MomentsOf(const Tensor& t) {
  Moments m;
  double squares = 0;
  for (const float v : t.values<float>()) {
    m.mean += v;
    squares += double{v} * v;
    m.min = std::min<double>(m.min, v);
    m.max = std::max<double>(m.max, v);
  }
  m.mean /= t.NumElements();
  m.deviation = std::sqrt(squares / t.NumElements() - m.mean * m.mean);
  return m;
}

TEST(StatelessRandom, HasTheMomentsOfItsDistribution) {
  const Moments u = MomentsOf(ops::StatelessRandomUniformV2({100000}, kKey, kCounter));
  EXPECT_NEAR(u.mean, 0.5, 0.005);
  EXPECT_NEAR(u.deviation, std::sqrt(1.0 / 12), 0.005);
  EXPECT_GE(u.min, 0.0);
  EXPECT_LT(u.max, 1.0);
  const Moments n = MomentsOf(ops::StatelessRandomNormalV2({100000}, kKey, kCounter));
  EXPECT_NEAR(n.mean, 0, 0.015);
  EXPECT_NEAR(n.deviation, 1, 0.015);
  const Moments t = MomentsOf(ops::StatelessTruncatedNormalV2({100000}, kKey, kCounter));
  EXPECT_NEAR(t.deviation, 0.8796, 0.01);
  EXPECT_LT(t.max, 2.0);
  EXPECT_GT(t.min, -2.0);
}

TEST(StatelessRandom, GivesTheSameBitsForAnyThreadCountAndLength) {
  const int before = NumThreads();
  SetNumThreads(1);
  const auto one = ops::StatelessRandomNormalV2({40001}, kKey, kCounter).ToVector<float>();
  SetNumThreads(3);
  const auto three = ops::StatelessRandomNormalV2({40001}, kKey, kCounter).ToVector<float>();
  const auto part = ops::StatelessRandomNormalV2({101}, kKey, kCounter).ToVector<float>();
  SetNumThreads(before);
  EXPECT_EQ(one, three);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), one.begin()));
}

TEST(StatelessRandom, DependsOnKeyAndCounter) {
  const auto a = ops::StatelessRandomUniformV2({8}, kKey, kCounter).ToVector<float>();
  const auto other_key =
      ops::StatelessRandomUniformV2({8}, Tensor::FromVector<int64_t>({43}), kCounter);
  const auto other_counter =
      ops::StatelessRandomUniformV2({8}, kKey, Tensor::FromVector<int64_t>({0, 8}));
  EXPECT_NE(a, other_key.ToVector<float>());
  EXPECT_NE(a, other_counter.ToVector<float>());
  EXPECT_THROW(ops::StatelessRandomUniformV2({8}, kCounter, kCounter), InvalidArgumentError);
}

// From tf.raw_ops with key 42, counter (5, 7) and (2^64 - 1, 7), alg 1.
TEST(StatelessRandom, GivesTensorFlowsNumbers) {
  const Tensor counter = Tensor::FromVector<int64_t>({5, 7});
  EXPECT_EQ(ops::StatelessRandomUniformV2({5}, kKey, counter).ToVector<float>(),
            (std::vector<float>{0.0771089792f, 0.347698927f, 0.0743598938f, 0.191974521f,
                                0.15120852f}));
  const auto normal = ops::StatelessRandomNormalV2({4}, kKey, counter).ToVector<float>();
  const std::vector<float> expected = {1.85054934f, -1.30404663f, 2.12999177f, 0.812903643f};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(normal[i], expected[i], 1e-6f);
  EXPECT_EQ(ops::StatelessRandomUniformV2({3}, kKey, counter, DType::kFloat64).ToVector<double>(),
            (std::vector<double>{0.61687270802948424, 0.59487955494220279, 0.20966858543645728}));
  // The counter carries into its upper half.
  const Tensor last = Tensor::FromVector<int64_t>({-1, 7});
  EXPECT_EQ(ops::StatelessRandomUniformV2({5}, kKey, last).ToVector<float>(),
            (std::vector<float>{0.366791248f, 0.767519593f, 0.544650316f, 0.939288616f,
                                0.676606655f}));
}

TEST(StatelessRandom, GivesTensorFlowsTruncatedNumbers) {
  const Tensor counter = Tensor::FromVector<int64_t>({5, 7});
  const auto near = [](const Tensor& got, const std::vector<double>& expected, double tolerance) {
    const auto values = ops::Cast(got, DType::kFloat64).ToVector<double>();
    ASSERT_EQ(values.size(), expected.size());
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance);
  };
  near(ops::StatelessTruncatedNormalV2({9}, kKey, counter),
       {1.850549340248108, -1.304046630859375, 0.812903642654419, -1.7640353441238403,
        -0.38793206214904785, -0.9021689295768738, -0.3542689085006714, 0.15647655725479126,
        0.8088186383247375},
       1e-6);
  near(ops::StatelessTruncatedNormalV2({9}, kKey, counter, DType::kFloat64),
       {-0.551882872596545, -0.8133944082944139, -1.836268038469356, 0.32677431212412067,
        0.16649217370634495, -0.31197949272023173, -1.4879611374447772, 0.0734090622094774,
        1.7162804424675289},
       1e-12);
}

TEST(RandomOps, ATruncatedStreamDoesNotRepeatItself) {
  Function draw("draw", [](const std::vector<Tensor>&) {
    return std::vector<Tensor>{ops::TruncatedNormal({8}, DType::kFloat32, 1, 2)};
  }, {});
  const auto first = draw({})[0].ToVector<float>(), second = draw({})[0].ToVector<float>();
  for (const float v : second) EXPECT_EQ(std::count(first.begin(), first.end(), v), 0) << v;
}

TEST(RandomOps, DrawAnotherStreamWithoutASeed) {
  EXPECT_NE(ops::RandomUniform({16}).ToVector<float>(),
            ops::RandomUniform({16}).ToVector<float>());
}

// As TensorFlow's: one kernel, and so one stream, for all eager calls of an op with these
// attributes, whatever their shapes.
TEST(RandomOps, EagerCallsAdvanceTheStreamOfTheirSeeds) {
  Function draw("draw", [](const std::vector<Tensor>&) -> std::vector<Tensor> {
    return {ops::RandomUniform({8}, DType::kFloat32, 71, 2)};
  });
  const auto first = draw({})[0].ToVector<float>(), second = draw({})[0].ToVector<float>();
  EXPECT_NE(first, second);
  EXPECT_EQ(ops::RandomUniform({8}, DType::kFloat32, 71, 2).ToVector<float>(), first);
  const auto wide = ops::RandomUniform({2, 8}, DType::kFloat32, 71, 2).ToVector<float>();
  EXPECT_TRUE(std::equal(second.begin(), second.end(), wide.begin()));
}

TEST(RandomOps, EveryTraceStartsAtTheSeed) {
  const auto draw = [] {
    Function f("draw", [](const std::vector<Tensor>&) -> std::vector<Tensor> {
      return {ops::RandomStandardNormal({8}, DType::kFloat32, 72, 2)};
    });
    return f({})[0].ToVector<float>();
  };
  ops::RandomStandardNormal({8}, DType::kFloat32, 72, 2);
  EXPECT_EQ(draw(), draw());
}

TEST(RandomOps, ThreadsShareTheStreamOfASeed) {
  std::vector<float> here, there;
  const auto draw = [](std::vector<float>* to) {
    *to = ops::RandomUniform({8}, DType::kFloat32, 73, 2).ToVector<float>();
  };
  std::thread other(draw, &there);
  other.join();
  draw(&here);
  EXPECT_NE(here, there);
}

TEST(RandomOps, IntegersStayWithinTheirBounds) {
  const Tensor t = ops::RandomUniformInt({5000}, Tensor(int32_t{-2}), Tensor(int32_t{3}), 9);
  std::set<int32_t> seen(t.values<int32_t>().begin(), t.values<int32_t>().end());
  EXPECT_EQ(seen, (std::set<int32_t>{-2, -1, 0, 1, 2}));
  EXPECT_THROW(ops::RandomUniformInt({2}, Tensor(int32_t{3}), Tensor(int32_t{3})),
               InvalidArgumentError);
}

}  // namespace
}  // namespace tributary
