#include "trainer/data/iterator.h"

#include "core/base/parallel.h"
#include "tests/trainer/allocations.h"
#include "tests/trainer/data/files_for_tests.h"
#include "trainer/data/dataset.h"
#include "trainer/data/transform.h"

namespace tributary::data {
namespace {

using Mode = PrefetchOptions::Mode;
using testing::ErrorOf;

// Rows whose values tell which row they are.
Dataset Numbered(int64_t rows, int64_t width = 3) {
  std::vector<float> x(rows * width);
  std::vector<int64_t> y(rows);
  for (int64_t i = 0; i < rows * width; ++i) x[i] = static_cast<float>(i);
  for (int64_t i = 0; i < rows; ++i) y[i] = i;
  return Dataset::FromTensorSlices(
      {Tensor::FromVector(x, Shape{rows, width}), Tensor::FromVector(y)});
}

std::vector<int64_t> Labels(const Batch& batch) { return batch.tensors[1].ToVector<int64_t>(); }

using Batches = std::vector<std::vector<int64_t>>;

Batches RestOfPass(Iterator* it, int64_t limit = 1 << 30) {
  Batches batches;
  while (limit-- > 0) {
    const Batch* batch = it->Next();
    if (!batch) break;
    batches.push_back(Labels(*batch));
  }
  return batches;
}

class EveryMode : public ::testing::TestWithParam<Mode> {
 protected:
  PrefetchOptions options() const { return {GetParam(), 3}; }
};

TEST_P(EveryMode, HandsOutEachPassInOrder) {
  Iterator it = Numbered(10).Batch(4).Prefetch(options()).MakeIterator();
  for (uint64_t pass = 0; pass < 5; ++pass) {
    EXPECT_EQ(it.pass(), pass);
    EXPECT_EQ(RestOfPass(&it), (Batches{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}}));
    EXPECT_EQ(it.element(), 3);
    EXPECT_EQ(it.Next(), nullptr);
    it.Rewind();
  }
}

TEST_P(EveryMode, SeeksToAnyElementOfAnyPass) {
  const Dataset data = Numbered(40).Shuffle(40, 9).Batch(4).Prefetch(options());
  std::vector<Batches> passes;
  Iterator straight = data.MakeIterator();
  for (int pass = 0; pass < 3; ++pass, straight.Rewind()) passes.push_back(RestOfPass(&straight));
  Iterator it = data.MakeIterator();
  const std::pair<uint64_t, int64_t> places[] = {{0, 0}, {0, 3}, {0, 3}, {0, 9}, {2, 5},
                                                 {2, 1}, {1, 7}, {1, 10}, {0, 2}};
  for (const auto& [pass, element] : places) {
    it.Seek(pass, element);
    EXPECT_EQ(it.pass(), pass);
    EXPECT_EQ(it.element(), element);
    const Batch* batch = it.Next();
    if (element == 10) {
      EXPECT_EQ(batch, nullptr);
    } else {
      ASSERT_NE(batch, nullptr);
      EXPECT_EQ(Labels(*batch), passes[pass][static_cast<size_t>(element)]);
    }
  }
  EXPECT_THROW(it.Seek(1, 11), OutOfRangeError);
}

TEST_P(EveryMode, BatchesHoldTheRowsOfTheirLabels) {
  Iterator it = Numbered(50, 7).Shuffle(50, 3).Batch(8).Prefetch(options()).MakeIterator();
  while (const Batch* batch = it.Next()) {
    ASSERT_EQ(batch->tensors[0].shape(), (Shape{batch->examples, 7}));
    const auto labels = Labels(*batch);
    for (int64_t i = 0; i < batch->examples; ++i) {
      EXPECT_EQ(batch->tensors[0].data<float>()[i * 7 + 6], labels[i] * 7 + 6);
    }
  }
}

TEST_P(EveryMode, AResumedRunSeesTheSameBatches) {
  const Dataset dataset = Numbered(100).Shuffle(30, 5).Batch(7).Prefetch(options());
  Iterator whole = dataset.MakeIterator();
  whole.Rewind();  // pass 1, so that the pass is part of the position
  const Batches first = RestOfPass(&whole);
  whole.Rewind();
  const Batches second = RestOfPass(&whole);
  for (int64_t stop : {0, 1, 6, 14, 15}) {
    Iterator before = dataset.MakeIterator();
    before.Rewind();
    RestOfPass(&before, stop);
    const std::string state = before.SaveState();
    Iterator after = dataset.MakeIterator();
    RestOfPass(&after, 3);  // somewhere else
    after.RestoreState(state);
    EXPECT_EQ(after.element(), stop);
    EXPECT_EQ(RestOfPass(&after), Batches(first.begin() + stop, first.end()));
    after.Rewind();
    EXPECT_EQ(RestOfPass(&after), second);
  }
}

TEST_P(EveryMode, RewindInTheMiddleLeavesThePass) {
  Iterator it = Numbered(10).Batch(2).Prefetch(options()).MakeIterator();
  RestOfPass(&it, 2);
  it.Rewind();
  EXPECT_EQ(it.pass(), 1u);
  EXPECT_EQ(RestOfPass(&it).size(), 5u);
}

TEST_P(EveryMode, EmptyDataSetsEndAtOnce) {
  Iterator it = Numbered(4).Take(0).Batch(2).Prefetch(options()).MakeIterator();
  EXPECT_EQ(it.Next(), nullptr);
  it.Rewind();
  EXPECT_EQ(it.Next(), nullptr);
}

TEST_P(EveryMode, ErrorsOfTheSourceReachTheCallerAndStay) {
  const ColumnPtr failing = FunctionColumn({DType::kInt64, Shape{}}, [](int64_t row, void* out) {
    if (row == 5) throw DataLossError("[test] row 5");
    *static_cast<int64_t*>(out) = row;
  });
  auto table = std::make_shared<Table>(Table{10, {failing}});
  Iterator it = Dataset::FromTable(table, "failing").Batch(2).Prefetch(options()).MakeIterator();
  EXPECT_NE(it.Next(), nullptr);
  EXPECT_NE(it.Next(), nullptr);
  EXPECT_THROW(it.Next(), DataLossError);
  if (GetParam() == Mode::kThread) {
    EXPECT_THROW(it.Next(), DataLossError);
  }
}

TEST_P(EveryMode, SlotsKeepTheirAddresses) {
  Iterator it = Numbered(40).Shuffle(40, 1).Batch(8).Prefetch(options()).MakeIterator();
  std::map<int, std::pair<void*, void*>> seen;
  for (int pass = 0; pass < 4; ++pass, it.Rewind()) {
    while (const Batch* batch = it.Next()) {
      ASSERT_LT(batch->slot, it.slots());
      const std::pair<void*, void*> now = {batch->tensors[0].raw_data(),
                                           batch->tensors[1].raw_data()};
      EXPECT_EQ(seen.emplace(batch->slot, now).first->second, now);
    }
  }
}

TEST_P(EveryMode, TheSteadyStateAllocatesNothing) {
  const int64_t rows = 1000;
  Tensor bytes = Tensor::Zeros(DType::kUint8, Shape{rows, 28, 28});
  auto table = std::make_shared<Table>();
  table->rows = rows;
  table->columns = {
      NormalizeColumn(ReshapeColumn(UnitScaledColumn(bytes), Shape{28, 28, 1}), {0.1f}, {0.3f}),
      OneHotColumn(TensorColumn(Tensor::Zeros(DType::kInt64, Shape{rows})), 10)};
  Iterator it = Dataset::FromTable(SliceTable(table, 10, 990), "zeros")
                    .Shuffle(1000, 1)
                    .Batch(32)
                    .ShardBatches(0, 2)
                    .Prefetch(options())
                    .MakeIterator();
  for (int pass = 0; pass < 3; ++pass, it.Rewind()) {
    while (it.Next()) {
    }
  }
  const int64_t before = tributary::testing::HeapAllocations();
  for (int pass = 0; pass < 3; ++pass, it.Rewind()) {
    while (it.Next()) {
    }
  }
  EXPECT_EQ(tributary::testing::HeapAllocations(), before);
}

INSTANTIATE_TEST_SUITE_P(Modes, EveryMode,
                         ::testing::Values(Mode::kInline, Mode::kThread, Mode::kAuto),
                         [](const auto& info) {
                           return std::string(info.param == Mode::kInline   ? "Inline"
                                              : info.param == Mode::kThread ? "Thread"
                                                                            : "Auto");
                         });

// Rows that take a good tenth of a millisecond to make.
Dataset Dear(int64_t rows) {
  const ColumnPtr slow = FunctionColumn({DType::kInt64, Shape{}}, [](int64_t row, void* out) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(120);
    while (std::chrono::steady_clock::now() < end) {
    }
    *static_cast<int64_t*>(out) = row;
  });
  return Dataset::FromTable(std::make_shared<Table>(Table{rows, {slow, slow}}), "dear");
}

TEST(Iterator, AutoMovesToAThreadWhenRowsAreDearAndACoreIsFree) {
  const int threads = NumThreads();
  for (const bool spare : {false, true}) {
    SetNumThreads(spare ? 1 : 1024);
    Iterator it = Dear(60).Shuffle(60, 1).Batch(2).MakeIterator();
    Iterator inline_it =
        Dear(60).Shuffle(60, 1).Batch(2).Prefetch({Mode::kInline}).MakeIterator();
    EXPECT_EQ(it.slots(), 1);
    EXPECT_EQ(RestOfPass(&it), RestOfPass(&inline_it));
    it.Rewind();
    inline_it.Rewind();
    EXPECT_EQ(RestOfPass(&it), RestOfPass(&inline_it));
    const bool free_core = spare && std::thread::hardware_concurrency() > 1;
    EXPECT_EQ(it.slots(), free_core ? 4 : 1);
  }
  SetNumThreads(threads);
}

TEST(Iterator, RanksTogetherSeeTheBatchesOfOne) {
  const Dataset whole = Numbered(70).Shuffle(70, 9).Batch(12);
  Iterator one = whole.MakeIterator();
  const Batches expected = RestOfPass(&one);
  for (int64_t ranks : {2, 3, 4}) {
    Batches joined(expected.size());
    for (int64_t rank = 0; rank < ranks; ++rank) {
      Iterator it = whole.ShardBatches(rank, ranks).MakeIterator();
      for (size_t i = 0; i < expected.size(); ++i) {
        const Batch* batch = it.Next();
        ASSERT_NE(batch, nullptr);
        EXPECT_EQ(batch->global_examples, static_cast<int64_t>(expected[i].size()));
        if (batch->global_examples == 12) {
          EXPECT_EQ(batch->examples, 12 / ranks);
        }
        const auto labels = Labels(*batch);
        joined[i].insert(joined[i].end(), labels.begin(), labels.end());
      }
      EXPECT_EQ(it.Next(), nullptr);
    }
    EXPECT_EQ(joined, expected);
  }
}

TEST(Iterator, ARankMayHaveNoRowOfAShortBatch) {
  Iterator it = Numbered(5).Batch(4).ShardBatches(0, 4).MakeIterator();
  EXPECT_EQ(it.Next()->examples, 1);
  const Batch* last = it.Next();
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->examples, 0);
  EXPECT_EQ(last->global_examples, 1);
  EXPECT_EQ(last->tensors[0].shape(), (Shape{0, 3}));
  EXPECT_EQ(it.Next(), nullptr);
}

TEST(Iterator, APositionHoldsForAnotherNumberOfRanks) {
  const Dataset whole = Numbered(60).Shuffle(60, 2).Batch(12);
  Iterator two = whole.ShardBatches(1, 2).MakeIterator();
  RestOfPass(&two, 3);
  Iterator one = whole.MakeIterator();
  RestOfPass(&one, 3);
  const Batches expected = RestOfPass(&one);
  Iterator resumed = whole.MakeIterator();
  resumed.RestoreState(two.SaveState());
  EXPECT_EQ(RestOfPass(&resumed), expected);
}

TEST(Iterator, AStateOfAnotherPipelineIsRefused) {
  const std::string state = Numbered(60).Shuffle(60, 2).Batch(12).MakeIterator().SaveState();
  Iterator other = Numbered(60).Shuffle(60, 3).Batch(12).MakeIterator();
  EXPECT_THAT(ErrorOf<FailedPreconditionError>([&] { other.RestoreState(state); }),
              ::testing::AllOf(::testing::HasSubstr("seed 2"), ::testing::HasSubstr("seed 3")));
  for (const char* text : {"", "{", "[]", "{}", "{\"pass\":-1}", "null",
                           "{\"pass\":1.5,\"element\":0,\"pipeline\":\"\"}"}) {
    EXPECT_THROW(other.RestoreState(text), InvalidArgumentError) << text;
  }
}

TEST(Iterator, ElementsWithoutBatchHaveNoLeadingAxis) {
  Iterator it = Numbered(2).MakeIterator();
  const Batch* row = it.Next();
  EXPECT_EQ(row->tensors[0].shape(), (Shape{3}));
  EXPECT_EQ(row->tensors[1].shape(), Shape{});
  EXPECT_EQ(row->examples, 1);
}

TEST(Iterator, StringsTravelToo) {
  const Tensor words = Tensor::FromVector<std::string>({"a", "bb", std::string(50, 'c')});
  Iterator it = Dataset::FromTensorSlices({words}).Batch(2).MakeIterator();
  EXPECT_EQ(it.Next()->tensors[0].ToVector<std::string>(),
            (std::vector<std::string>{"a", "bb"}));
  EXPECT_EQ(it.Next()->tensors[0].item<std::string>(), std::string(50, 'c'));
}

TEST(Iterator, SeveralElementsLiveWhereThatIsAskedFor) {
  Iterator it = Numbered(12).Batch(4).Prefetch({.live = 2}).MakeIterator();
  const Batch* first = it.Next();
  const Batch* second = it.Next();
  EXPECT_EQ(Labels(*first), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(Labels(*second), (std::vector<int64_t>{4, 5, 6, 7}));
  const Batch* third = it.Next();
  EXPECT_EQ(Labels(*second), (std::vector<int64_t>{4, 5, 6, 7}));
  EXPECT_EQ(Labels(*third), (std::vector<int64_t>{8, 9, 10, 11}));
}

}  // namespace
}  // namespace tributary::data
