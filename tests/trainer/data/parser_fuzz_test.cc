// Mutated files: a reader either returns or throws a typed error; the sanitizer
// builds see the rest.

#include "core/base/philox.h"
#include "core/io/record.h"
#include "core/proto/example.pb.h"
#include "tests/temp_dir.h"
#include "tests/trainer/data/files_for_tests.h"
#include "trainer/data/criteo.h"
#include "trainer/data/csv_features.h"
#include "trainer/data/idx.h"
#include "trainer/data/split.h"
#include "trainer/data/tfrecord.h"

namespace tributary::data {
namespace {

constexpr int kRounds = 3000;

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : seed_(seed) {}

  std::string operator()(std::string bytes) {
    const int edits = 1 + static_cast<int>(Draw(4));
    for (int i = 0; i < edits; ++i) Edit(&bytes);
    return bytes;
  }

 private:
  uint64_t Draw(uint64_t bound) { return PhiloxAt(seed_, 0, count_++)[0] % bound; }

  void Edit(std::string* bytes) {
    static constexpr char kSpecial[] = {'\0', '\xff', '\x7f', '"', ',', '\n', '\r', '\x80', '1'};
    if (bytes->empty()) bytes->push_back('x');
    const size_t at = Draw(bytes->size());
    switch (Draw(6)) {
      case 0: (*bytes)[at] = static_cast<char>(Draw(256)); break;
      case 1: (*bytes)[at] = kSpecial[Draw(sizeof(kSpecial))]; break;
      case 2: bytes->resize(at); break;
      case 3: bytes->insert(at, 1 + Draw(5), kSpecial[Draw(sizeof(kSpecial))]); break;
      case 4: bytes->erase(at, 1 + Draw(8)); break;
      case 5: bytes->append(bytes->substr(at, Draw(64))); break;
    }
  }

  uint64_t seed_, count_ = 0;
};

// Runs `parse` and swallows typed errors that say where.
template <typename F>
bool Survives(F&& parse) {
  try {
    parse();
    return true;
  } catch (const InternalError&) {
    throw;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find('['), std::string::npos) << error.what();
    return false;
  }
}

TEST(ParserFuzz, Criteo) {
  const TempDir dir("fuzz");
  std::string line = "1";
  for (int i = 1; i < 40; ++i) line += i % 5 ? "\t1f" : "\t";
  for (int i = 1; i < 14; ++i) line.replace(line.find("1f"), 2, "7");
  int good = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string path =
        dir.Write("t", Mutator(round)(line + "\n" + line + "\r\n" + line));
    good += Survives([&] { ReadCriteo(PosixEnv(), {path}, {.max_bad_records = round % 2}); });
  }
  EXPECT_GT(good, 10);
}

// Half of the mutations are inside a record whose checksum is right again.
TEST(ParserFuzz, TfRecord) {
  const TempDir dir("fuzz");
  proto::Example example;
  auto& features = *example.mutable_features()->mutable_feature();
  features["x"].mutable_float_list()->add_value(1);
  features["x"].mutable_float_list()->add_value(2);
  features["n"].mutable_int64_list()->add_value(-5);
  features["w"].mutable_bytes_list()->add_value("word");
  const std::string record = example.SerializeAsString();
  TfRecordOptions options;
  options.features = {{"x", DType::kFloat32, Shape{2}},
                      {"n", DType::kInt64, Shape{}, Tensor(int64_t{3})},
                      {"w", DType::kString, Shape{}}};
  int good = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::string bytes;
    AppendRecord(&bytes, record);
    AppendRecord(&bytes, round % 2 ? Mutator(round)(record) : record);
    options.max_bad_records = round % 3;
    const std::string path = dir.Write("t", round % 2 ? bytes : Mutator(round)(bytes));
    good += Survives([&] { ReadTfRecords(PosixEnv(), {path}, options); });
  }
  EXPECT_GT(good, 100);
}

TEST(ParserFuzz, Idx) {
  const TempDir dir("fuzz");
  std::string file = {0, 0, 8, 3, 0, 0, 0, 6, 0, 0, 0, 4, 0, 0, 0, 5};
  for (int i = 0; i < 120; ++i) file.push_back(static_cast<char>(i * 7));
  const std::string zipped = testing::Gzip(file);
  Mutator mutate(1);
  int whole = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string path = dir.Write("a", mutate(round % 2 ? file : zipped));
    whole += Survives([&] { ReadIdx(PosixEnv(), path, {.max_bad_records = round % 3}); });
  }
  EXPECT_GT(whole, 0);
  EXPECT_LT(whole, kRounds);
}

TEST(ParserFuzz, Csv) {
  const std::string file =
      "age,job,label\n20,\"a cook\",no\n40,\"sm\"\"ith\",yes\n30,?,no\n\"25\",\"x\ny\",yes\n";
  CsvFeatureOptions features;
  features.label = "label";
  features.max_bad_records = 2;
  Mutator mutate(2);
  int whole = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string text = mutate(file);
    CsvOptions options;
    options.max_bad_records = round % 3;
    options.trim = round % 2;
    options.max_field_bytes = 64;
    whole += Survives([&] {
      const CsvFile parsed = ParseCsv(text, "fuzz", options);
      for (const auto& column : parsed.columns) {
        ASSERT_EQ(static_cast<int64_t>(column.size()), parsed.rows());
      }
      CsvEncoder(parsed, features).Encode(parsed);
    });
  }
  EXPECT_GT(whole, 0);
  EXPECT_LT(whole, kRounds);
}

TEST(ParserFuzz, Split) {
  Mutator mutate(3);
  for (int round = 0; round < kRounds; ++round) {
    const std::string text = mutate("train[10%:20%]+test[-1000:]");
    Survives([&] {
      for (const SplitPart& part : ParseSplit(text)) {
        const SplitPart::Range range = part.Resolve(10000);
        ASSERT_LE(0, range.begin);
        ASSERT_LE(range.begin, range.end);
        ASSERT_LE(range.end, 10000);
      }
    });
  }
}

}  // namespace
}  // namespace tributary::data
