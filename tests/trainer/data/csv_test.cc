#include "trainer/data/csv.h"

#include "tests/trainer/data/files_for_tests.h"
#include "trainer/data/csv_features.h"
#include "trainer/data/dataset.h"

namespace tributary::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ErrorOf;

TEST(Csv, FollowsRfc4180) {
  const CsvFile file = ParseCsv(
      "a,b,c\r\n1,\"x, y\",\"he said \"\"no\"\"\"\r\n2,\"two\nlines\",\r\n\n3,,\"\"\n", "t");
  EXPECT_THAT(file.names, ElementsAre("a", "b", "c"));
  EXPECT_THAT(file.columns[0], ElementsAre("1", "2", "3"));
  EXPECT_THAT(file.columns[1], ElementsAre("x, y", "two\nlines", ""));
  EXPECT_THAT(file.columns[2], ElementsAre("he said \"no\"", "", ""));
  EXPECT_THAT(file.lines, ElementsAre(2, 3, 6));
}

TEST(Csv, TheLastLineNeedsNoEndAndBlanksAreTrimmed) {
  CsvOptions options;
  EXPECT_THAT(ParseCsv("a, b\n 1 ,\t2 ", "t", options).columns[1], ElementsAre("2"));
  EXPECT_THAT(ParseCsv("a, b\n 1 , \"x\" ", "t", options).columns[1], ElementsAre("x"));
  options.trim = false;
  EXPECT_THAT(ParseCsv("a,b\n 1 , 2 ", "t", options).columns[1], ElementsAre(" 2 "));
  EXPECT_THAT(ParseCsv("\xef\xbb\xbf" "a,b\n1,2", "t").names, ElementsAre("a", "b"));
}

TEST(Csv, NamesCommentsAndDelimiterAreOptions) {
  CsvOptions options;
  options.header = false;
  options.comment = '|';
  options.delimiter = '\t';
  EXPECT_THAT(ParseCsv("|x\n1\t2\n", "t", options).names, ElementsAre("0", "1"));
  options.columns = {"p", "q"};
  EXPECT_THAT(ParseCsv("1\t2\n", "t", options).names, ElementsAre("p", "q"));
  options.header = true;
  EXPECT_THAT(ErrorOf<InvalidArgumentError>([&] { ParseCsv("p\tr\n", "t", options); }),
              HasSubstr("expected p, q, got p | r"));
}

TEST(Csv, MalformedRecordsNameFileAndLine) {
  const auto error = [](const std::string& text) {
    return ErrorOf<DataLossError>([&] { ParseCsv(text, "file.csv"); });
  };
  EXPECT_THAT(error("a,b\n1,2\n3\n"), AllOf(HasSubstr("file.csv:3"), HasSubstr("2 fields, got 1")));
  EXPECT_THAT(error("a,b\n\"x\ny\",1\n1,2,3\n"), HasSubstr("file.csv:4"));
  EXPECT_THAT(error("a,b\n1,\"2\n3,4\n"), AllOf(HasSubstr("file.csv:2"), HasSubstr("never closed")));
  EXPECT_THAT(error("a,b\n\"1\"x,2\n"), HasSubstr("behind a closing quote"));
  EXPECT_THAT(error(std::string("a,b\n1,\0\n", 8)), HasSubstr("NUL"));
  EXPECT_THAT(error(""), HasSubstr("empty"));
  EXPECT_THAT(ErrorOf<InvalidArgumentError>([] { ParseCsv("a,a\n", "f"); }),
              HasSubstr("two columns are named 'a'"));
}

TEST(Csv, MaxBadRecordsLeavesThemOut) {
  CsvOptions options;
  options.max_bad_records = 2;
  const CsvFile file = ParseCsv("a,b\n1,2\n3\n4,\"5\n6,7\n", "t", options);
  EXPECT_THAT(file.columns[0], ElementsAre("1", "6"));
  EXPECT_EQ(file.bad_records, 2);
  options.max_bad_records = 1;
  EXPECT_THROW(ParseCsv("a,b\n1,2\n3\n4,\"5\n6,7\n", "t", options), DataLossError);
}

TEST(Csv, FieldsAreCapped) {
  CsvOptions options;
  options.max_field_bytes = 10;
  const std::string longer(11, 'x');
  EXPECT_THROW(ParseCsv("a\n" + longer + "\n", "t", options), DataLossError);
  EXPECT_THROW(ParseCsv("a\n\"" + longer + "\"\n", "t", options), DataLossError);
  EXPECT_THROW(ParseCsv("a\n" + std::string(70000, ',') + "\n", "t", options), DataLossError);
}

const char kPeople[] =
    "age,job,score,label\n"
    "20,cook,1,no\n"
    "40,smith,?,yes\n"
    "30,?,3,no\n";

TEST(CsvFeatures, NumbersAreScaledAndWordsAreOneHot) {
  CsvFeatureOptions options;
  options.label = "label";
  const CsvFile file = ParseCsv(kPeople, "people");
  const CsvEncoder encoder(file, options);
  EXPECT_THAT(encoder.FeatureNames(), ElementsAre("age", "job=cook", "job=smith", "score"));
  EXPECT_THAT(encoder.classes(), ElementsAre("no", "yes"));
  const TablePtr table = encoder.Encode(file);
  ASSERT_EQ(table->columns.size(), 2u);
  const Tensor x = Materialize(*table->columns[0], table->rows);
  EXPECT_EQ(x.shape(), (Shape{3, 4}));
  const float s = std::sqrt(1.5f);
  const std::vector<float> expected = {-s, 1, 0, -1, s, 0, 1, 0, 0, 0, 0, 1};
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(x.data<float>()[i], expected[i], 1e-6) << i;
  }
  EXPECT_EQ(Materialize(*table->columns[1], 3).ToVector<int64_t>(),
            (std::vector<int64_t>{0, 1, 0}));
}

TEST(CsvFeatures, AnotherFileIsEncodedByTheFittedOne) {
  CsvFeatureOptions options;
  options.label = "label";
  options.label_strip = ".";
  options.scale = CsvFeatureOptions::Scale::kMinMax;
  options.encode = CsvFeatureOptions::Encode::kIndex;
  options.label_dtype = DType::kFloat32;
  const CsvEncoder encoder(ParseCsv(kPeople, "people"), options);
  const TablePtr table =
      encoder.Encode(ParseCsv("label,score,job,age\nyes.,2,smith,60\nno.,1,baker,20\n", "test"));
  ASSERT_EQ(table->columns.size(), 3u);
  EXPECT_EQ(Materialize(*table->columns[0], 2).ToVector<float>(),
            (std::vector<float>{2, 0.5f, 0, 0}));
  EXPECT_EQ(Materialize(*table->columns[1], 2).ToVector<int64_t>(),
            (std::vector<int64_t>{2, 0}));
  EXPECT_EQ(Materialize(*table->columns[2], 2).ToVector<float>(), (std::vector<float>{1, 0}));
}

TEST(CsvFeatures, NumericLabelsStayNumbersUnlessTheyAreClasses) {
  CsvFeatureOptions options;
  options.label = "y";
  const CsvFile file = ParseCsv("x,y\n1,10\n2,2\n", "t");
  const auto labels = [&] {
    const TablePtr table = CsvEncoder(file, options).Encode(file);
    return Materialize(*table->columns[1], 2);
  };
  EXPECT_EQ(labels().ToVector<float>(), (std::vector<float>{10, 2}));
  options.label_kind = CsvFeatureOptions::Label::kClass;
  EXPECT_EQ(labels().ToVector<int64_t>(), (std::vector<int64_t>{1, 0}));
}

TEST(CsvFeatures, ValuesThatCannotBeReadNameTheLine) {
  CsvFeatureOptions options;
  options.label = "label";
  options.classes = {"no", "yes"};
  const CsvEncoder encoder(ParseCsv(kPeople, "people"), options);
  const CsvFile bad = ParseCsv("age,job,score,label\n1,cook,2,no\nold,cook,2,no\n1,cook,2,maybe\n",
                               "bad.csv");
  EXPECT_THAT(ErrorOf<DataLossError>([&] { encoder.Encode(bad); }),
              AllOf(HasSubstr("bad.csv:3"), HasSubstr("'age'"), HasSubstr("'old'")));
  options.max_bad_records = 2;
  const TablePtr table = CsvEncoder(ParseCsv(kPeople, "people"), options).Encode(bad);
  EXPECT_EQ(table->rows, 1);
  EXPECT_EQ(Materialize(*table->columns[0], 1).shape(), (Shape{1, 4}));
}

TEST(CsvFeatures, ARecordWithoutALabelIsBadAndLeavesTheOthersNumbers) {
  const CsvFile file = ParseCsv("x,y\n1,10.5\n2,\n3,7\n4,N/A\n", "t.csv");
  CsvFeatureOptions options;
  options.label = "y";
  EXPECT_THAT(ErrorOf<DataLossError>([&] { CsvEncoder(file, options).Encode(file); }),
              AllOf(HasSubstr("t.csv:3"), HasSubstr("the label 'y' is missing"),
                    HasSubstr("max_bad_records")));
  options.max_bad_records = 2;
  const TablePtr table = CsvEncoder(file, options).Encode(file);
  EXPECT_EQ(Materialize(*table->columns[1], 2).ToVector<float>(), (std::vector<float>{10.5f, 7}));
  // A class may be called so.
  options.classes = {"N/A", "10.5", "7"};
  options.max_bad_records = 1;
  EXPECT_EQ(CsvEncoder(file, options).Encode(file)->rows, 3);
}

// A column of `numbers` numbers and the cells `others`.
std::string ColumnOf(int numbers, const std::vector<std::string>& others) {
  std::string text = "x,z\n";
  for (int i = 0; i < numbers; ++i) text += fmt::format("{},1\n", i * 0.5);
  for (const std::string& cell : others) text += cell + ",1\n";
  return text;
}

TEST(CsvFeatures, AColumnOfNumbersStaysOneWhateverStandsForAMissingValue) {
  const CsvFile file = ParseCsv(
      ColumnOf(20, {"N/A", "n/a", "NULL", "null", "nan", "NaN", "#N/A", "<NA>", "", "+3"}), "t");
  const CsvEncoder encoder(file, {});
  EXPECT_THAT(encoder.FeatureNames(), ElementsAre("x", "z"));
  EXPECT_EQ(encoder.Encode(file)->rows, 30);
}

TEST(CsvFeatures, AStrayCellInAColumnOfNumbersIsRefusedWithItsLine) {
  for (const std::string cell : {"unknown", "+-2", "++2", "1.5x"}) {
    EXPECT_THAT(ErrorOf<InvalidArgumentError>(
                    [&] { CsvEncoder(ParseCsv(ColumnOf(20, {cell}), "t.csv"), {}); }),
                AllOf(HasSubstr("t.csv:22: column 'x' holds numbers in 20 of 21 cells, but here '" +
                                cell + "'"),
                      HasSubstr("list it under na")));
  }
  CsvFeatureOptions words{.categorical = {"x"}};
  EXPECT_EQ(CsvEncoder(ParseCsv(ColumnOf(20, {"unknown"}), "t"), words).FeatureNames().size(), 22u);
  // As many words as numbers: names of something.
  const std::vector<std::string> names(10, "A1");
  EXPECT_EQ(CsvEncoder(ParseCsv(ColumnOf(10, names), "t"), {}).FeatureNames().size(), 12u);
}

TEST(CsvFeatures, AnInfiniteCellIsABadRecordNotAWord) {
  const CsvFile file = ParseCsv(ColumnOf(20, {"-inf", "Infinity"}), "t.csv");
  CsvFeatureOptions options;
  EXPECT_THAT(ErrorOf<DataLossError>([&] { CsvEncoder(file, options).Encode(file); }),
              AllOf(HasSubstr("t.csv:22: column 'x': expected a finite number, got '-inf'")));
  options.max_bad_records = 2;
  const TablePtr table = CsvEncoder(file, options).Encode(file);
  EXPECT_EQ(table->rows, 20);
  EXPECT_NEAR(Materialize(*table->columns[0], 20).data<float>()[0], -1.647509, 1e-4);
}

TEST(CsvFeatures, ContradictionsAreRefused) {
  const CsvFile file = ParseCsv(kPeople, "people");
  const auto with = [&](auto change) {
    CsvFeatureOptions options;
    change(options);
    CsvEncoder encoder(file, options);
  };
  EXPECT_THROW(with([](auto& o) { o.label = "lable"; }), NotFoundError);
  EXPECT_THROW(with([](auto& o) { o.drop = {"nothing"}; }), NotFoundError);
  EXPECT_THROW(with([](auto& o) { o.numeric = o.categorical = {"age"}; }), InvalidArgumentError);
  EXPECT_THROW(with([](auto& o) { o.label = "age", o.numeric = {"age"}; }), InvalidArgumentError);
  EXPECT_THROW(with([](auto& o) { o.drop = {"age", "job", "score", "label"}; }),
               InvalidArgumentError);
}

}  // namespace
}  // namespace tributary::data
