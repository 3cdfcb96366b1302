// NaN and infinity stop a step before its update, and the message says where.

#include "tests/trainer/golden.h"
#include "tests/trainer/loop/toy.h"
#include "trainer/loop/check_finite.h"

namespace tributary {
namespace {

using namespace testing;

TEST(NonFinite, StopsBeforeTheUpdateAndNamesTheInputRow) {
  std::vector<Tensor> data = Clusters(32);
  data[0].mutable_data<float>()[(16 + 5) * 8 + 2] = std::numeric_limits<float>::infinity();
  Trainer trainer(ToyModel(), ToyOptions());
  std::vector<float> after_first;
  class Keep final : public Callback {
   public:
    explicit Keep(std::vector<float>* out) : out_(out) {}
    int64_t FirstStep(Trainer&) override { return 1; }
    int64_t OnStep(Trainer& trainer) override {
      *out_ = Weights(*trainer.model());
      return kNever;
    }

   private:
    std::vector<float>* out_;
  };
  try {
    trainer.Fit(data::Dataset::FromTensorSlices(data).Batch(16),
                {.callbacks = {std::make_shared<Keep>(&after_first)}});
    FAIL() << "trained on infinity";
  } catch (const NonFiniteError& e) {
    EXPECT_EQ(e.step(), 1);
    EXPECT_NE(std::string(e.what()).find("row 5"), std::string::npos) << e.what();
  }
  EXPECT_EQ(Weights(*trainer.model()), after_first);
  EXPECT_EQ(trainer.step(), 1);
  EXPECT_EQ(trainer.optimizer()->iterations(), 1);
}

TEST(NonFinite, NamesTheFirstBadLayer) {
  // exp overflows in the second layer; a batch norm behind it must not be blamed.
  const auto model = Sequential::Make(
      {MakeLayer("Dense", {{"units", 4}, {"kernel_initializer",
                                          OptionNode{{"Constant", {{"value", 200}}}}}}),
       MakeLayer("Activation", {{"activation", "exponential"}, {"name", "boom"}}),
       MakeLayer("BatchNormalization"), MakeLayer("Dense", {{"units", 3}})});
  Trainer trainer(model, ToyOptions());
  const auto ones = data::Dataset::FromTensorSlices({Tensor::Full<float>({8, 8}, 1),
                                                     Tensor::Zeros(DType::kInt32, {8})})
                        .Batch(8);
  try {
    trainer.Fit(ones, {});
    FAIL();
  } catch (const NonFiniteError& e) {
    EXPECT_EQ(e.layer(), "boom") << e.what();
  }
  // Moving averages were not touched either.
  for (const VariablePtr& v : model->variables()) {
    EXPECT_EQ(FirstNonFinite(v->storage()), -1) << v->name();
  }
}

TEST(NonFinite, CanBeSwitchedOff) {
  std::vector<Tensor> data = Clusters(16);
  data[0].mutable_data<float>()[3] = NAN;
  TrainerOptions options = ToyOptions();
  options.check_finite = false;
  Trainer trainer(ToyModel(), options);
  EXPECT_NO_THROW(trainer.Fit(data::Dataset::FromTensorSlices(data).Batch(16), {}));
}

template <typename T>
void ExpectFound(T bad) {
  for (const int64_t n : {1, 7, 64, 1000, 200000}) {
    std::vector<T> values(n, T(1.5f));
    const Tensor t = Tensor::FromVector<T>(values);
    EXPECT_EQ(FirstNonFinite(t), -1);
    t.template mutable_data<T>()[n - 1] = bad;
    EXPECT_EQ(FirstNonFinite(t), n - 1);
  }
}

TEST(CheckFinite, FindsEveryKindInEveryDtype) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {NAN, -NAN, infinity, -infinity}) {
    ExpectFound<float>(bad);
    ExpectFound<double>(bad);
    ExpectFound<Half>(Half(bad));
    ExpectFound<BFloat16>(BFloat16(bad));
  }
  const Tensor largest = Tensor::FromVector<float>({3.4028235e38f, -3.4028235e38f, 1e-45f});
  EXPECT_EQ(FirstNonFinite(largest), -1);
}

TEST(CheckFinite, OfAProductByItsFactors) {
  const auto flag = Variable::Create("flag", Tensor(int64_t{0}), false);
  const auto check = [&](std::vector<float> a, float b, int64_t terms) {
    a.resize(100, 0.5f);  // whole vectors and a rest
    std::rotate(a.begin(), a.begin() + 70, a.end());
    flag->storage().mutable_data<int64_t>()[0] = 0;
    CheckFiniteProduct(flag->handle(), Tensor::FromVector(a, {50, 2}),
                       Tensor::FromVector<float>(std::vector<float>(50, b), {50, 1}), terms);
  };
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_NO_THROW(check({1e19f, -3}, 1e18f, 30));
  EXPECT_NO_THROW(check({0}, 0, 50));
  for (const float bad : {NAN, -NAN, infinity, -infinity}) {
    EXPECT_THROW(check({bad}, 1, 1), InvalidArgumentError);
    EXPECT_EQ(flag->storage().item<int64_t>(), 1);
    EXPECT_THROW(check({bad}, 0, 1), InvalidArgumentError);
    EXPECT_THROW(check({1}, bad, 1), InvalidArgumentError);
  }
  EXPECT_THROW(check({-1e19f}, 1e19f, 50), InvalidArgumentError) << "a sum may be infinite";
}

TEST(CheckFinite, RaisesTheFlag) {
  const auto flag = Variable::Create("flag", Tensor(int64_t{0}), false);
  const Tensor good = Tensor::FromVector<float>({1, 2}), bad = Tensor::FromVector<float>({NAN});
  CheckFinite(flag->handle(), {good});
  EXPECT_EQ(flag->storage().item<int64_t>(), 0);
  EXPECT_THROW(CheckFinite(flag->handle(), {good, bad}), InvalidArgumentError);
  EXPECT_EQ(flag->storage().item<int64_t>(), 2);
}

}  // namespace
}  // namespace tributary
