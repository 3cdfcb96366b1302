// Criteo's lines, and the columns of a CSV file as they stand.

#include "trainer/data/criteo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/temp_dir.h"
#include "tests/trainer/data/files_for_tests.h"
#include "trainer/data/source.h"

namespace tributary::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ErrorOf;

std::string Line(const std::string& label, const std::string& first_number,
                 const std::string& first_category) {
  std::string line = label + "\t" + first_number;
  for (int i = 1; i < 13; ++i) line += "\t" + std::to_string(i);
  line += "\t" + first_category;
  for (int i = 1; i < 26; ++i) line += "\t0000000" + std::string(1, static_cast<char>('a' + i % 6));
  return line;
}

template <typename T>
std::vector<T> Column(const TablePtr& table, const char* name) {
  return Materialize(*table->columns[ColumnIndex(*table, name)], table->rows).ToVector<T>();
}

TEST(Criteo, ReadsNumbersCategoriesAndWhatIsEmpty) {
  const TempDir dir("criteo");
  const std::string text = Line("0", "-1", "68fd1e64") + "\r\n" + Line("1", "", "") + "\n" +
                           Line("1", "250", "fffffffe");  // no line end
  for (const std::string& bytes : {text, testing::Gzip(text)}) {
    const TablePtr table = ReadCriteo(PosixEnv(), {dir.Write("t", bytes)});
    ASSERT_EQ(table->rows, 3);
    EXPECT_EQ(table->columns.size(), 40u);
    EXPECT_THAT(Column<float>(table, "label"), ElementsAre(0, 1, 1));
    EXPECT_THAT(Column<float>(table, "I1"), ElementsAre(-1, 0, 250));
    EXPECT_THAT(Column<float>(table, "I13"), ElementsAre(12, 12, 12));
    EXPECT_THAT(Column<int64_t>(table, "C1"), ElementsAre(0x68fd1e64, -1, 0xfffffffe));
    EXPECT_THAT(Column<int64_t>(table, "C26"), ElementsAre(11, 11, 11));
  }
}

TEST(Criteo, ReadsSeveralFilesAndStopsAtMaxRows) {
  const TempDir dir("criteo");
  const std::string path = dir.Write("t", Line("0", "1", "1") + "\n" + Line("1", "2", "2") + "\n");
  EXPECT_EQ(ReadCriteo(PosixEnv(), {path, path})->rows, 4);
  EXPECT_EQ(ReadCriteo(PosixEnv(), {path, path}, {.max_rows = 3})->rows, 3);
}

TEST(Criteo, LinesAcrossTheBlocksOfTheReaderAreWhole) {
  const TempDir dir("criteo");
  std::string text;
  for (int i = 0; i < 9000; ++i) text += Line(i % 2 ? "1" : "0", std::to_string(i), "ab") + "\n";
  const TablePtr table = ReadCriteo(PosixEnv(), {dir.Write("t", text)});
  ASSERT_GT(text.size(), 2u << 20);
  ASSERT_EQ(table->rows, 9000);
  const std::vector<float> numbers = Column<float>(table, "I1");
  for (int i = 0; i < 9000; ++i) ASSERT_EQ(numbers[i], static_cast<float>(i));
}

TEST(Criteo, NamesFileLineAndFieldOfABadLine) {
  const TempDir dir("criteo");
  const std::string good = Line("0", "1", "1") + "\n";
  const auto error = [&](const std::string& bad) {
    const std::string path = dir.Write("t", good + bad + "\n" + good);
    return ErrorOf<DataLossError>([&] { ReadCriteo(PosixEnv(), {path}); });
  };
  EXPECT_THAT(error(Line("2", "1", "1")), HasSubstr("/t:2: field 1: expected a label"));
  EXPECT_THAT(error(Line("0", "x", "1")), HasSubstr("field 2: expected a whole number, got 'x'"));
  EXPECT_THAT(error(Line("0", "1", "xyz")), HasSubstr("field 15: expected 8 hexadecimal digits"));
  EXPECT_THAT(error("0\t1"), HasSubstr("expected 40 fields, got 2"));
  EXPECT_THAT(error(Line("0", "1", "1") + "\t1"), HasSubstr("expected 40 fields, got 41"));
  const TablePtr table = ReadCriteo(PosixEnv(), {dir.path() + "/t"}, {.max_bad_records = 1});
  EXPECT_EQ(table->rows, 2);
}

TEST(CsvColumns, StandUnderTheirNamesAsTheyAre) {
  const TempDir dir("criteo");
  const std::string path = dir.Write("t.csv", "age,job,y\n39, clerk ,a\n?,?,b.\n");
  const Dataset data =
      DataSources().Make("csv", {{"path", path}, {"encode", "columns"}, {"label", "y"},
                                 {"classes", std::vector<std::string>{"a", "b"}},
                                 {"label_strip", "."}, {"label_dtype", "float32"}});
  EXPECT_THAT(data.names(), ElementsAre("age", "job", "y"));
  EXPECT_THAT(Column<float>(data.table(), "age"), ElementsAre(39, 0));
  EXPECT_THAT(Column<std::string>(data.table(), "job"), ElementsAre("clerk", "?"));
  EXPECT_THAT(Column<float>(data.table(), "y"), ElementsAre(0, 1));
}

TEST(CsvColumns, AreMappedByNameAndKeepTheirNamesThroughEveryStage) {
  const TempDir dir("criteo");
  std::string text = "n,w,y\n";
  for (int i = 0; i < 30; ++i) text += fmt::format("{},w{},{}\n", i, i, i);
  const OptionNode cast = {{"cast", {{"feature", "n"}, {"dtype", "int64"}}}};
  const Dataset data = DataSources()
                           .Make("csv", {{"path", dir.Write("t.csv", text)},
                                         {"encode", "columns"}, {"label", "y"},
                                         {"map", OptionNode::List{cast}}})
                           .Shuffle(30, 1)
                           .Batch(7)
                           .Prefetch({PrefetchOptions::Mode::kThread, 3});
  EXPECT_THAT(data.names(), ElementsAre("n", "w", "y"));
  EXPECT_THAT(data.SelectNamed({"y", "n"}).names(), ElementsAre("y", "n"));
  Iterator it = data.MakeIterator();
  int64_t rows = 0;
  while (const Batch* batch = it.Next()) {
    for (int64_t i = 0; i < batch->examples; ++i, ++rows) {
      const int64_t n = batch->tensors[0].data<int64_t>()[i];
      EXPECT_EQ(batch->tensors[1].data<std::string>()[i], fmt::format("w{}", n));
      EXPECT_EQ(batch->tensors[2].data<float>()[i], static_cast<float>(n));
    }
  }
  EXPECT_EQ(rows, 30);
  EXPECT_THROW(data.SelectNamed({"m"}), NotFoundError);
}

}  // namespace
}  // namespace tributary::data
