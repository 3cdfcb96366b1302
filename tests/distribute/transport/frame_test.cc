#include "distribute/transport/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>

#include "core/base/errors.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using HeaderBytes = std::array<std::byte, kFrameHeaderBytes>;

FrameHeader Sample() {
  return {.kind = 3, .table = 4, .worker = 5, .request_id = 6, .generation = 7, .sequence = 8,
          .control_bytes = 9, .crc = 10, .payload_bytes = 11, .flags = kFirstUserFlag};
}

HeaderBytes Encoded(const FrameHeader& header) {
  HeaderBytes bytes;
  EncodeHeader(header, bytes.data());
  return bytes;
}

template <typename E>
std::string DecodeError(const HeaderBytes& bytes, const FrameLimits& limits = {}) {
  try {
    DecodeHeader(bytes, limits, "peer 1");
  } catch (const E& e) {
    return e.what();
  }
  ADD_FAILURE() << "no such exception";
  return "";
}

TEST(Frame, HeaderComesBackAsItWas) {
  FrameHeader header = DecodeHeader(Encoded(Sample()), {}, "peer 1");
  header.header_crc = 0;
  EXPECT_EQ(header, Sample());
}

TEST(Frame, HeaderIsLittleEndianAtFixedPlaces) {
  const HeaderBytes bytes = Encoded(Sample());
  const auto at = [&](size_t i) { return static_cast<int>(bytes[i]); };
  EXPECT_EQ(at(0), 'T');
  EXPECT_EQ(at(3), '1');
  EXPECT_EQ(at(4), kFrameVersion);
  EXPECT_EQ(at(6), 3);
  EXPECT_EQ(at(8), 4);
  EXPECT_EQ(at(12), 5);
  EXPECT_EQ(at(16), 6);
  EXPECT_EQ(at(24), 7);
  EXPECT_EQ(at(32), 8);
  EXPECT_EQ(at(40), 9);
  EXPECT_EQ(at(44), 10);
  EXPECT_EQ(at(48), 11);
  EXPECT_EQ(at(58), 1);
}

TEST(Frame, EveryFlippedBitOfAHeaderIsFound) {
  const HeaderBytes whole = Encoded(Sample());
  for (size_t bit = 0; bit < 8 * kFrameHeaderBytes; ++bit) {
    HeaderBytes bytes = whole;
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_THROW(DecodeHeader(bytes, {}, "peer 1"), Error) << bit;
  }
}

TEST(Frame, LengthsAreCheckedAgainstTheLimits) {
  FrameHeader header = Sample();
  header.control_bytes = 101;
  EXPECT_THAT(DecodeError<InvalidArgumentError>(Encoded(header), {100, 100}),
              HasSubstr("at most 100 control and 100 payload bytes, got 101 and 11"));
  header = Sample();
  header.payload_bytes = ~0ull;
  EXPECT_THAT(DecodeError<InvalidArgumentError>(Encoded(header)), HasSubstr("peer 1"));
  header.payload_bytes = 100;
  EXPECT_NO_THROW(DecodeHeader(Encoded(header), {100, 100}, "peer 1"));
}

TEST(Frame, OtherVersionsAndOtherProtocolsAreNamed) {
  FrameHeader header = Sample();
  header.version = 9;
  EXPECT_THAT(DecodeError<FailedPreconditionError>(Encoded(header)),
              HasSubstr("expected version 1, got 9"));
  HeaderBytes http{};
  std::memcpy(http.data(), "GET / HTTP/1.1\r\n", 16);
  EXPECT_THAT(DecodeError<DataLossError>(http), HasSubstr("no frame"));
}

TEST(Frame, BodyChecksumCoversControlAndAllParts) {
  const std::string text = "control and payload";
  const ConstBytes all = std::as_bytes(std::span(text));
  const ConstBytes parts[] = {all.subspan(7, 5), {}, all.subspan(12)};
  FrameHeader header = Sample();
  header.crc = BodyCrc(all.first(7), parts);
  header.flags |= kFrameHasBodyCrc;
  EXPECT_EQ(header.crc, BodyCrc(all, {}));
  EXPECT_NO_THROW(CheckBodyCrc(header, BodyCrc(all, {}), "peer 1"));
  EXPECT_THROW(CheckBodyCrc(header, header.crc ^ 1, "peer 1"), DataLossError);
  header.flags = 0;
  EXPECT_NO_THROW(CheckBodyCrc(header, header.crc ^ 1, "peer 1"));
}

TEST(Frame, ErrorsTravelAsCodeAndText) {
  std::vector<std::byte> bytes;
  EncodeError(NotFoundError("[ps] no table {}", 3), &bytes);
  try {
    ThrowRemoteError(bytes, "peer 1");
  } catch (const NotFoundError& e) {
    EXPECT_STREQ(e.what(), "[ps] no table 3");
  }
  EncodeError(std::runtime_error("plain"), &bytes);
  EXPECT_THROW(ThrowRemoteError(bytes, "peer 1"), InternalError);
  EncodeError(AbortedError("{}", std::string(100'000, 'x')), &bytes);
  EXPECT_LE(bytes.size(), 70'000u);
}

TEST(Frame, WildErrorMessagesAreErrorsAllTheSame) {
  EXPECT_THROW(ThrowRemoteError({}, "peer 1"), DataLossError);
  const std::array<std::byte, 4> unknown{std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
  try {
    ThrowRemoteError(unknown, "peer 1");
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kUnknown);
  }
}

}  // namespace
}  // namespace tributary
