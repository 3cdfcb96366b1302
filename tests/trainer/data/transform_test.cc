#include "trainer/data/transform.h"

#include "tests/trainer/data/files_for_tests.h"
#include "trainer/data/dataset.h"
#include "trainer/data/gather.h"

namespace tributary::data {
namespace {

using testing::ErrorOf;

template <typename T>
std::vector<T> All(const ColumnPtr& column, int64_t rows) {
  return Materialize(*column, rows).ToVector<T>();
}

TEST(Gather, BytesOverAHundredFiftyFiveAreBitEqualToTheDivision) {
  std::vector<uint8_t> bytes(256 + 7);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  std::vector<float> out(bytes.size());
  BytesToUnit(bytes.data(), out.data(), bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(out[i], static_cast<float>(bytes[i]) / 255.0f) << int{bytes[i]};
  }
}

TEST(Transform, CastConvertsLikeTensorFlow) {
  const ColumnPtr floats =
      TensorColumn(Tensor::FromVector<float>({1.7f, -1.7f, 0.0f, 200.0f}));
  EXPECT_EQ(All<int32_t>(CastColumn(floats, DType::kInt32), 4),
            (std::vector<int32_t>{1, -1, 0, 200}));
  EXPECT_EQ(All<bool>(CastColumn(floats, DType::kBool), 4),
            (std::vector<bool>{true, true, false, true}));
  EXPECT_EQ(All<float>(CastColumn(CastColumn(floats, DType::kHalf), DType::kFloat32), 4)[3],
            200.0f);
  EXPECT_EQ(CastColumn(floats, DType::kFloat32), floats);
}

TEST(Transform, NormalizeSubtractsAndDividesByTheLastAxis) {
  const ColumnPtr rows =
      TensorColumn(Tensor::FromVector<float>({1, 10, 3, 30}, Shape{2, 2}));
  EXPECT_EQ(All<float>(NormalizeColumn(rows, {1, 10}, {2, 4}), 2),
            (std::vector<float>{0, 0, 1, 5}));
  EXPECT_EQ(All<float>(NormalizeColumn(rows, {1}, {2}), 2),
            (std::vector<float>{0, 4.5f, 1, 14.5f}));
  EXPECT_THROW(NormalizeColumn(rows, {1, 2, 3}, {1}), InvalidArgumentError);
  EXPECT_THROW(NormalizeColumn(rows, {1}, {0}), InvalidArgumentError);
}

TEST(Transform, OneHotRefusesClassesOutOfRange) {
  const ColumnPtr labels = TensorColumn(Tensor::FromVector<uint8_t>({2, 0, 1, 3}));
  EXPECT_EQ(All<float>(OneHotColumn(labels, 4), 2),
            (std::vector<float>{0, 0, 1, 0, 1, 0, 0, 0}));
  const std::string error =
      ErrorOf<InvalidArgumentError>([&] { All<float>(OneHotColumn(labels, 3), 4); });
  EXPECT_THAT(error, ::testing::HasSubstr("got 3 in row 3"));
  EXPECT_THROW(OneHotColumn(TensorColumn(Tensor::FromVector<float>({1})), 3),
               InvalidArgumentError);
}

TEST(Transform, ReshapeKeepsTheNumberOfElements) {
  const ColumnPtr rows = TensorColumn(Tensor::Zeros(DType::kFloat32, Shape{5, 4, 6}));
  EXPECT_EQ(ReshapeColumn(rows, Shape{24})->spec().shape, (Shape{24}));
  EXPECT_EQ(ReshapeColumn(rows, Shape{2, -1, 3})->spec().shape, (Shape{2, 4, 3}));
  EXPECT_THROW(ReshapeColumn(rows, Shape{25}), InvalidArgumentError);
  EXPECT_THROW(ReshapeColumn(rows, Shape{-1, -1}), InvalidArgumentError);
  EXPECT_THROW(ReshapeColumn(rows, Shape{5, -1}), InvalidArgumentError);
}

TEST(Transform, StringsAreRefusedByName) {
  const ColumnPtr words = TensorColumn(Tensor::FromVector<std::string>({"a"}));
  EXPECT_THAT(ErrorOf<InvalidArgumentError>([&] { CastColumn(words, DType::kFloat32); }),
              ::testing::HasSubstr("string"));
}

TEST(Transform, EveryOneIsDocumentedAndTakesAColumn) {
  EXPECT_GE(DataTransforms().Names().size(), 4u);
  for (const OptionTable* table : DataTransforms().Tables()) {
    EXPECT_FALSE(table->doc.empty()) << table->name;
    EXPECT_NE(table->Find("column"), nullptr) << table->name;
  }
}

TEST(Transform, NormalizeTakesOneNumberForAll) {
  const Dataset rows = Dataset::FromTensorSlices({Tensor::FromVector<float>({1, 3})});
  const auto normalize = DataTransforms().Make("normalize", {{"mean", 1}, {"stddev", 2.0}});
  Iterator it = rows.Map(0, *normalize).Batch(2).MakeIterator();
  EXPECT_EQ(it.Next()->tensors[0].ToVector<float>(), (std::vector<float>{0, 1}));
}

TEST(Dataset, MapWorksBeforeAndAfterBatch) {
  const Dataset labels =
      Dataset::FromTensorSlices({Tensor::FromVector<int64_t>({0, 1, 2, 1})}).Shuffle(4, 1);
  const auto one_hot = DataTransforms().Make("one_hot", {{"depth", 3}});
  Iterator a = labels.Map(-1, *one_hot).Batch(2).MakeIterator();
  Iterator b = labels.Batch(2).Map(0, *one_hot).MakeIterator();
  while (const Batch* x = a.Next()) {
    const Batch* y = b.Next();
    EXPECT_EQ(x->tensors[0].shape(), (Shape{2, 3}));
    EXPECT_EQ(x->tensors[0].ToVector<float>(), y->tensors[0].ToVector<float>());
  }
  EXPECT_THROW(labels.Map(1, *one_hot), InvalidArgumentError);
}

TEST(Dataset, SelectFilterConcatenateAndCache) {
  const Tensor x = Tensor::FromVector<float>({0, 1, 2, 3});
  const Tensor y = Tensor::FromVector<int64_t>({0, 1, 0, 1});
  const Dataset both = Dataset::FromTensorSlices({x, y});
  EXPECT_EQ(both.Select({0, 0}).element_spec()[1].dtype, DType::kFloat32);
  const Dataset odd = both.Filter(
      [](const Element& row) { return row[1].item<int64_t>() == 1; });
  EXPECT_EQ(odd.cardinality(), 2);
  Iterator it = odd.Concatenate(both).Cache().Batch(6).MakeIterator();
  EXPECT_EQ(it.Next()->tensors[0].ToVector<float>(), (std::vector<float>{1, 3, 0, 1, 2, 3}));
  EXPECT_THROW(both.Batch(2).Concatenate(both), FailedPreconditionError);
  EXPECT_THROW(both.Select({}), InvalidArgumentError);
}

TEST(Dataset, CardinalityCountsWhatAPassGives) {
  const Dataset ten = Dataset::FromTensorSlices({Tensor::Zeros(DType::kFloat32, Shape{10})});
  const std::vector<Dataset> all = {
      ten, ten.Batch(3), ten.Batch(3, true), ten.Batch(30), ten.Batch(30, true),
      ten.Repeat(3).Batch(4), ten.Skip(7).Batch(2), ten.Take(3), ten.Take(30), ten.Shard(1, 3),
      ten.Batch(3).Shard(1, 2), ten.Repeat(0), ten.Batch(4).ShardBatches(1, 2), ten.Skip(20),
      ten.Batch(4).Take(2).Repeat(2)};
  for (const Dataset& dataset : all) {
    Iterator it = dataset.MakeIterator();
    int64_t count = 0;
    while (it.Next()) ++count;
    EXPECT_EQ(dataset.cardinality(), count) << dataset.ToString();
  }
  EXPECT_EQ(ten.Repeat().cardinality(), Dataset::kInfinite);
  EXPECT_EQ(ten.Repeat().Take(7).cardinality(), 7);
}

TEST(Dataset, ElementSpecLeavesTheBatchOpenUnlessItIsFixed) {
  const Dataset ten = Dataset::FromTensorSlices({Tensor::Zeros(DType::kFloat32, Shape{10, 3})});
  EXPECT_EQ(ten.element_spec()[0].shape, (Shape{3}));
  EXPECT_EQ(ten.Batch(4).element_spec()[0].shape, (Shape{-1, 3}));
  EXPECT_EQ(ten.Batch(4, true).element_spec()[0].shape, (Shape{4, 3}));
  EXPECT_EQ(ten.Batch(4, true).ShardBatches(0, 2).element_spec()[0].shape, (Shape{2, 3}));
}

TEST(Dataset, TensorsMustAgreeInAxisZero) {
  EXPECT_THROW(Dataset::FromTensorSlices({Tensor::Zeros(DType::kFloat32, Shape{3}),
                                          Tensor::Zeros(DType::kFloat32, Shape{4})}),
               InvalidArgumentError);
  EXPECT_THROW(Dataset::FromTensorSlices({Tensor(1.0f)}), InvalidArgumentError);
  EXPECT_THROW(Dataset::FromTensorSlices({}), InvalidArgumentError);
}

}  // namespace
}  // namespace tributary::data
