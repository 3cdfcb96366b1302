// TFRecords of tf.Example as TensorFlow 2.21 wrote them, whole and damaged.

#include "trainer/data/tfrecord.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "core/io/record.h"
#include "core/proto/example.pb.h"
#include "tests/temp_dir.h"
#include "tests/trainer/data/files_for_tests.h"
#include "trainer/data/source.h"

namespace tributary::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ErrorOf;

// Three examples by tf.io.TFRecordWriter: x [i + .5, -i], id i - 1, y i % 2, and word
// "w<i>" but in the second.
std::string Golden() {
  const std::string hex =
      "4a00000000000000af77dbb00a480a140a026964120e1a0c0a0affffffffffffffffff010a0e0a04776f7264"
      "12060a040a0277300a110a0178120c120a0a080000003f000000000a0d0a0179120812060a0400000000969d"
      "430a31000000000000009d8383e90a2f0a0b0a02696412051a030a01000a110a0178120c120a0a080000c03f"
      "000080bf0a0d0a0179120812060a040000803f6d3f1f7c410000000000000000a9c2ab0a3f0a0b0a02696412"
      "051a030a01010a0e0a04776f726412060a040a0277320a110a0178120c120a0a0800002040000000c00a0d0a"
      "0179120812060a0400000000700b1f51";
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string Zlib(const std::string& bytes) {
  uLongf size = compressBound(bytes.size());
  std::string out(size, '\0');
  EXPECT_EQ(compress(reinterpret_cast<Bytef*>(out.data()), &size,
                     reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()),
            Z_OK);
  out.resize(size);
  return out;
}

TfRecordOptions Everything() {
  TfRecordOptions options;
  options.features = {{"id", DType::kInt64, Shape{}},
                      {"x", DType::kFloat32, Shape{2}},
                      {"word", DType::kString, Shape{}, Tensor("none")},
                      {"y", DType::kFloat32, Shape{}}};
  return options;
}

template <typename T>
std::vector<T> Column(const TablePtr& table, int i) {
  return Materialize(*table->columns[i], table->rows).ToVector<T>();
}

void ExpectGolden(const TablePtr& table) {
  ASSERT_EQ(table->rows, 3);
  EXPECT_THAT(table->names, ElementsAre("id", "x", "word", "y"));
  EXPECT_THAT(Column<int64_t>(table, 0), ElementsAre(-1, 0, 1));
  EXPECT_THAT(Column<float>(table, 1), ElementsAre(0.5f, 0, 1.5f, -1, 2.5f, -2));
  EXPECT_THAT(Column<std::string>(table, 2), ElementsAre("w0", "none", "w2"));
  EXPECT_THAT(Column<float>(table, 3), ElementsAre(0, 1, 0));
}

TEST(TfRecord, ReadsTensorFlowsFilesPlainAndCompressed) {
  const TempDir dir("tfrecord");
  TfRecordOptions options = Everything();
  ExpectGolden(ReadTfRecords(PosixEnv(), {dir.Write("plain", Golden())}, options));
  ExpectGolden(ReadTfRecords(PosixEnv(), {dir.Write("gz", testing::Gzip(Golden()))}, options));
  options.compression = RecordCompression::kZlib;
  ExpectGolden(ReadTfRecords(PosixEnv(), {dir.Write("z", Zlib(Golden()))}, options));
}

TEST(TfRecord, ReadsSeveralFilesAsOne) {
  const TempDir dir("tfrecord");
  const std::string path = dir.Write("a", Golden());
  EXPECT_EQ(ReadTfRecords(PosixEnv(), {path, path}, Everything())->rows, 6);
}

// The records start at bytes 0, 90 and 155.
TEST(TfRecord, NamesFileAndByteOfADamagedRecordAndLeavesOutSoMany) {
  const TempDir dir("tfrecord");
  std::string bytes = Golden();
  bytes[110] ^= 1;
  const std::string path = dir.Write("a", bytes);
  TfRecordOptions options = Everything();
  const std::string error =
      ErrorOf<DataLossError>([&] { ReadTfRecords(PosixEnv(), {path}, options); });
  EXPECT_THAT(error, HasSubstr(path + " at byte 90: the checksum of a record does not match"));
  options.max_bad_records = 1;
  EXPECT_THAT(Column<int64_t>(ReadTfRecords(PosixEnv(), {path}, options), 0), ElementsAre(-1, 1));
}

TEST(TfRecord, ADamagedLengthEndsTheFileWhateverIsAllowed) {
  const TempDir dir("tfrecord");
  std::string bytes = Golden();
  bytes[91] ^= 1;
  TfRecordOptions options = Everything();
  options.max_bad_records = 10;
  const std::string path = dir.Write("a", bytes);
  EXPECT_THAT(ErrorOf<DataLossError>([&] { ReadTfRecords(PosixEnv(), {path}, options); }),
              HasSubstr("at byte 90: the checksum of a record's length does not match"));
  const std::string cut = dir.Write("b", Golden().substr(0, 200));
  EXPECT_THAT(ErrorOf<DataLossError>([&] { ReadTfRecords(PosixEnv(), {cut}, options); }),
              HasSubstr("at byte 155"));
}

TEST(TfRecord, AMissingOrUnfitFeatureIsABadRecord) {
  const TempDir dir("tfrecord");
  const std::string path = dir.Write("a", Golden());
  TfRecordOptions options;
  options.features = {{"id", DType::kInt64, Shape{}}, {"word", DType::kString, Shape{}}};
  EXPECT_THAT(ErrorOf<DataLossError>([&] { ReadTfRecords(PosixEnv(), {path}, options); }),
              HasSubstr("at byte 90: feature 'word' is missing, and has no default"));
  options.max_bad_records = 1;
  EXPECT_THAT(Column<int64_t>(ReadTfRecords(PosixEnv(), {path}, options), 0), ElementsAre(-1, 1));
  options = {};
  options.features = {{"x", DType::kFloat32, Shape{3}}};
  EXPECT_THAT(ErrorOf<DataLossError>([&] { ReadTfRecords(PosixEnv(), {path}, options); }),
              HasSubstr("feature 'x': expected 3 values, got 2"));
  options.features = {{"x", DType::kInt64, Shape{2}}};
  EXPECT_THAT(ErrorOf<DataLossError>([&] { ReadTfRecords(PosixEnv(), {path}, options); }),
              HasSubstr("feature 'x' is not a list of int64"));
}

TEST(TfRecord, RefusesWhatIsNoExampleAndALengthBeyondTheFile) {
  const TempDir dir("tfrecord");
  std::string bytes;
  AppendRecord(&bytes, "\xff\xff\xff");
  const std::string path = dir.Write("a", bytes);
  EXPECT_THAT(ErrorOf<DataLossError>([&] { ReadTfRecords(PosixEnv(), {path}, Everything()); }),
              HasSubstr("at byte 0: a record that is no tf.Example"));
  std::string huge;
  AppendRecord(&huge, std::string(1 << 20, 'x'));
  const std::string cut = dir.Write("b", huge.substr(0, 100));
  EXPECT_THAT(ErrorOf<DataLossError>([&] { ReadTfRecords(PosixEnv(), {cut}, Everything()); }),
              HasSubstr("a record of 1048576 bytes, more than the file holds"));
}

TEST(TfRecord, IsASourceWithItsTargetLast) {
  const TempDir dir("tfrecord");
  const OptionNode features = {{"y", {{"Fixed", OptionNode::Map()}}},
                               {"id", {{"Fixed", {{"dtype", "int64"}}}}}};
  const Dataset data =
      DataSources().Make("tfrecord", {{"path", dir.Write("a", Golden())},
                                      {"features", features}, {"label", "y"}});
  EXPECT_THAT(data.names(), ElementsAre("id", "y"));
  EXPECT_EQ(data.rows(), 3);
}

}  // namespace
}  // namespace tributary::data
