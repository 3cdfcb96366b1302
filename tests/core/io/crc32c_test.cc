#include "core/io/crc32c.h"

namespace tributary {
namespace {

TEST(Crc32c, KnownAnswers) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(MaskCrc(Crc32c("123456789")), 0xc78ab0e5u);
  EXPECT_EQ(MaskCrc(Crc32c("")), 0xa282ead8u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(Crc32c, MaskingIsUndone) {
  for (const uint32_t crc : {0u, 1u, 0xffffffffu, 0x12345678u}) {
    EXPECT_EQ(UnmaskCrc(MaskCrc(crc)), crc);
  }
}

TEST(Crc32c, AllWaysAgreeAtEveryLengthAndOffset) {
  std::string data(1100, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 131 + 7);
  for (size_t offset = 0; offset < 9; ++offset) {
    for (size_t n = 0; n + offset < data.size(); ++n) {
      const uint32_t expected = internal::ExtendCrc32cPortable(5, data.data() + offset, n);
      for (const internal::ExtendCrc32cFn extend : internal::Crc32cChoices()) {
        ASSERT_EQ(extend(5, data.data() + offset, n), expected) << n;
      }
    }
  }
}

// Long enough for the processor to work on three thirds, or four blocks, at once.
TEST(Crc32c, AllWaysAgreeOnLongData) {
  std::string data(40'000, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>((i * i >> 3) * 131 + 7);
  for (const size_t n : {383, 384, 385, 767, 768, 1151, 6143, 6144, 6145, 6528, 12'287, 12'288,
                         12'345, 39'990}) {
    for (size_t offset = 0; offset < 9; ++offset) {
      const uint32_t expected = internal::ExtendCrc32cPortable(~7u, data.data() + offset, n);
      for (const internal::ExtendCrc32cFn extend : internal::Crc32cChoices()) {
        ASSERT_EQ(extend(~7u, data.data() + offset, n), expected) << n;
      }
    }
  }
}

TEST(Crc32c, ExtendsPieceByPiece) {
  const std::string data = "the quick brown fox";
  for (size_t cut = 0; cut <= data.size(); ++cut) {
    const uint32_t first = Crc32c(data.substr(0, cut));
    EXPECT_EQ(ExtendCrc32c(first, data.data() + cut, data.size() - cut), Crc32c(data));
  }
}

}  // namespace
}  // namespace tributary
