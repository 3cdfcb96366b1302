#include "core/io/table.h"

#include "core/base/errors.h"
#include "core/io/coding.h"
#include "core/io/crc32c.h"
#include "core/io/snappy.h"
#include "tests/core/io/hex.h"

namespace tributary {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

Entries ReadAll(const std::string& file) {
  Entries entries;
  ReadTable(file, "t.index", [&](std::string_view key, std::string_view value) {
    entries.emplace_back(key, value);
  });
  return entries;
}

std::string Build(const Entries& entries) {
  TableBuilder table;
  for (const auto& [key, value] : entries) table.Add(key, value);
  return table.Finish();
}

Entries ManyEntries(int count) {
  Entries entries = {{"", "header"}};
  for (int i = 0; i < count; ++i) {
    entries.emplace_back(fmt::format("layer/{:06d}/kernel", i), std::string(i % 50, 'v'));
  }
  return entries;
}

// The bytes of a one-block table around given block contents.
std::string TableAround(const std::string& block, char type) {
  std::string file = block + type;
  PutFixed32(&file, MaskCrc(Crc32c(file)));
  std::string handle;
  PutVarint(&handle, 0);
  PutVarint(&handle, block.size());
  std::string index;
  PutVarint(&index, 0);
  PutVarint(&index, 1);
  PutVarint(&index, handle.size());
  index += "z" + handle;
  PutFixed32(&index, 0);
  PutFixed32(&index, 1);
  const size_t index_at = file.size();
  std::string with_type = index + '\0';
  PutFixed32(&with_type, MaskCrc(Crc32c(with_type)));
  file += with_type;
  std::string footer;
  PutVarint(&footer, index_at);
  PutVarint(&footer, index.size());
  PutVarint(&footer, index_at);
  PutVarint(&footer, index.size());
  footer.resize(40);
  PutFixed64(&footer, 0xdb4775248b80fb57ull);
  return file + footer;
}

TEST(Table, RoundTripsOverManyBlocks) {
  for (const int count : {0, 1, 15, 16, 17, 33, 20000}) {
    const Entries entries = ManyEntries(count);
    EXPECT_EQ(ReadAll(Build(entries)), entries) << count;
  }
  EXPECT_TRUE(ReadAll(Build({})).empty());
}

TEST(Table, KeysAreUnsignedBytes) {
  const Entries entries = {{"", "h"}, {"A", "1"}, {"_", "2"}, {"a", "3"}, {"\x80", "4"}, {"\xff", "5"}};
  EXPECT_EQ(ReadAll(Build(entries)), entries);
  TableBuilder table;
  table.Add("b", "1");
  EXPECT_THROW(table.Add("a", "2"), InvalidArgumentError);
  EXPECT_THROW(table.Add("b", "2"), InvalidArgumentError);
}

TEST(Table, EveryFlippedBitThatMattersIsSeen) {
  const Entries entries = ManyEntries(40);
  const std::string file = Build(entries);
  int seen = 0;
  for (size_t bit = 0; bit < file.size() * 8; bit += 3) {
    std::string broken = file;
    broken[bit / 8] ^= 1 << (bit % 8);
    try {
      EXPECT_EQ(ReadAll(broken), entries);  // padding of the footer, the metaindex
    } catch (const DataLossError&) {
      ++seen;
    }
  }
  EXPECT_GT(seen, static_cast<int>(file.size() * 8 / 3) - 250);
}

TEST(Table, EveryTruncationIsSeen) {
  const std::string file = Build(ManyEntries(40));
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_THROW(ReadAll(file.substr(0, size)), DataLossError) << size;
  }
}

TEST(Table, SnappyBlocksAreRead) {
  std::string block;
  PutVarint(&block, 0);
  PutVarint(&block, 1);
  PutVarint(&block, 20);
  block += "k" + std::string(20, 'v');
  PutFixed32(&block, 0);
  PutFixed32(&block, 1);
  // literal of the first 5 bytes, a copy of 19 with offset 1, a literal of 8.
  std::string snappy;
  PutVarint(&snappy, block.size());
  snappy += static_cast<char>((5 - 1) << 2);
  snappy += block.substr(0, 5);
  snappy += static_cast<char>(((19 - 1) << 2) | 2);
  snappy += std::string("\1\0", 2);
  snappy += static_cast<char>((8 - 1) << 2);
  snappy += block.substr(24);
  EXPECT_EQ(SnappyDecode(snappy, "t"), block);
  EXPECT_EQ(ReadAll(TableAround(snappy, 1)), (Entries{{"k", std::string(20, 'v')}}));
  EXPECT_THROW(ReadAll(TableAround(snappy, 2)), DataLossError);
}

TEST(Table, KeysThatExpandWithoutEndAreRefused) {
  // One long key, then thousands of entries that repeat it in three bytes.
  std::string block;
  const std::string key(20000, 'k');
  PutVarint(&block, 0);
  PutVarint(&block, key.size());
  PutVarint(&block, 0);
  block += key;
  for (int i = 0; i < 20000; ++i) {
    PutVarint(&block, key.size() + i);
    PutVarint(&block, 1);
    PutVarint(&block, 0);
    block += 'k';
  }
  PutFixed32(&block, 0);
  PutFixed32(&block, 1);
  EXPECT_THAT([&] { ReadAll(TableAround(block, 0)); },
              testing::ThrowsMessage<DataLossError>(testing::HasSubstr("expand")));
}

TEST(Snappy, MalformedInputIsRefused) {
  const std::vector<std::string> cases = {
      "",
      std::string("\xff\xff\xff\xff\x0f", 5),        // 4 GiB from nothing
      std::string("\x05\x04zz", 4),                  // too short a result
      std::string("\x01\x10zzzzz", 7),               // too long a result
      std::string("\x04\x01\x01", 3),                // copy before the start
      std::string("\x04\x00z\x01\x00", 5),           // offset 0
      std::string("\x64\xf0", 2),                    // length byte missing
      std::string("\x64\xfc\xff\xff\xff\xff", 6),    // literal of 4 GiB
  };
  for (const std::string& bytes : cases) {
    EXPECT_THROW(SnappyDecode(bytes, "t"), DataLossError) << ToHex(bytes);
  }
}

}  // namespace
}  // namespace tributary
