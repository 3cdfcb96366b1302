#include "core/io/record.h"

#include "core/base/errors.h"
#include "core/io/memory_env.h"
#include "tests/core/io/hex.h"

namespace tributary {
namespace {

class Records : public testing::Test {
 protected:
  std::unique_ptr<ReadableFile> Open(const std::string& bytes) {
    env_.Overwrite("r", bytes);
    return env_.OpenReadable("r");
  }
  MemoryEnv env_;
};

TEST_F(Records, FramingIsTensorFlows) {
  std::string bytes;
  AppendRecord(&bytes, "abc");
  EXPECT_EQ(ToHex(bytes), "0300000000000000b099490e6162636e57f121");
}

TEST_F(Records, ReadsBackEverySize) {
  std::string bytes;
  const std::vector<size_t> sizes = {0, 1, 100, 262144, 262145, 1000000, 3};
  for (const size_t n : sizes) AppendRecord(&bytes, std::string(n, 'a' + n % 26));
  const auto file = Open(bytes);
  RecordReader reader(file.get());
  std::string record;
  for (const size_t n : sizes) {
    ASSERT_EQ(reader.Read(&record), RecordRead::kRecord);
    EXPECT_EQ(record, std::string(n, 'a' + n % 26));
  }
  EXPECT_EQ(reader.Read(&record), RecordRead::kEnd);
  EXPECT_EQ(reader.offset(), static_cast<int64_t>(bytes.size()));
}

TEST_F(Records, EveryTruncationIsATornTail) {
  std::string bytes;
  AppendRecord(&bytes, "first");
  const size_t first = bytes.size();
  AppendRecord(&bytes, "second");
  for (size_t size = first; size < bytes.size(); ++size) {
    const auto file = Open(bytes.substr(0, size));
    RecordReader reader(file.get());
    std::string record;
    ASSERT_EQ(reader.Read(&record), RecordRead::kRecord);
    EXPECT_EQ(reader.Read(&record), size == first ? RecordRead::kEnd : RecordRead::kTorn) << size;
  }
}

TEST_F(Records, EveryFlippedBitIsSeen) {
  std::string bytes;
  AppendRecord(&bytes, "some data");
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string broken = bytes;
    broken[bit / 8] ^= 1 << (bit % 8);
    const auto file = Open(broken);
    RecordReader reader(file.get());
    std::string record;
    EXPECT_THROW(reader.Read(&record), DataLossError) << bit;
  }
}

TEST_F(Records, AbsurdLengthsAreRefusedBeforeMemoryIsTaken) {
  // A length of 2^63 with a valid checksum.
  const auto huge = Open(FromHex("0000000000000080") + FromHex("d0de7f3c") + "data");
  std::string record;
  EXPECT_THROW(RecordReader(huge.get()).Read(&record), DataLossError);
  std::string bytes;
  AppendRecord(&bytes, "12345");
  const auto file = Open(bytes);
  EXPECT_THROW(RecordReader(file.get(), 4).Read(&record), DataLossError);
}

TEST_F(Records, ErrorsNameFileAndOffset) {
  std::string bytes;
  AppendRecord(&bytes, "first");
  const size_t offset = bytes.size();
  AppendRecord(&bytes, "second");
  bytes.back() ^= 1;
  const auto file = Open(bytes);
  RecordReader reader(file.get());
  std::string record;
  reader.Read(&record);
  EXPECT_THAT([&] { reader.Read(&record); },
              testing::ThrowsMessage<DataLossError>(testing::AllOf(
                  testing::HasSubstr("r is corrupt"),
                  testing::HasSubstr("offset " + std::to_string(offset)))));
}

}  // namespace
}  // namespace tributary
