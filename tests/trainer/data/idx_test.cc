#include "trainer/data/idx.h"

#include "tests/temp_dir.h"
#include "tests/trainer/data/files_for_tests.h"

namespace tributary::data {
namespace {

using ::testing::HasSubstr;
using testing::ErrorOf;
using testing::Gzip;

std::string Header(uint8_t type, const std::vector<uint32_t>& dims) {
  std::string bytes = {0, 0, static_cast<char>(type), static_cast<char>(dims.size())};
  for (uint32_t dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(dim >> shift));
  }
  return bytes;
}

std::string Counting(int64_t count) {
  std::string bytes;
  for (int64_t i = 0; i < count; ++i) bytes.push_back(static_cast<char>(i));
  return bytes;
}

TEST(Idx, ReadsPlainAndGzip) {
  const TempDir dir("idx");
  const std::string file = Header(0x08, {5, 2, 3}) + Counting(30);
  for (const std::string& bytes : {file, Gzip(file)}) {
    const Tensor t = ReadIdx(PosixEnv(), dir.Write("a", bytes));
    EXPECT_EQ(t.dtype(), DType::kUint8);
    EXPECT_EQ(t.shape(), (Shape{5, 2, 3}));
    EXPECT_EQ(t.data<uint8_t>()[29], 29);
  }
}

TEST(Idx, ReadsGzipOfSeveralMembers) {
  const TempDir dir("idx");
  const std::string file = Header(0x08, {30}) + Counting(30);
  const Tensor t = ReadIdx(
      PosixEnv(), dir.Write("a.gz", Gzip(file.substr(0, 11)) + Gzip(file.substr(11))));
  EXPECT_EQ(t.data<uint8_t>()[29], 29);
}

TEST(Idx, NumbersAreBigEndian) {
  const TempDir dir("idx");
  const auto read = [&](uint8_t type, const std::string& value) {
    return ReadIdx(PosixEnv(), dir.Write("v", Header(type, {1}) + value));
  };
  EXPECT_EQ(read(0x09, "\xff").item<int8_t>(), -1);
  EXPECT_EQ(read(0x0b, std::string("\x01\x02", 2)).item<int16_t>(), 0x102);
  EXPECT_EQ(read(0x0c, std::string("\x01\x02\x03\x04", 4)).item<int32_t>(), 0x1020304);
  EXPECT_EQ(read(0x0d, std::string("\x3f\xc0\x00\x00", 4)).item<float>(), 1.5f);
  EXPECT_EQ(read(0x0e, std::string("\x3f\xf8\0\0\0\0\0\0", 8)).item<double>(), 1.5);
}

TEST(Idx, TruncationNamesFileRecordAndByte) {
  const TempDir dir("idx");
  const std::string file = Header(0x08, {10, 4}) + Counting(40);
  const std::string plain = dir.Write("cut", file.substr(0, 30));
  EXPECT_THAT(ErrorOf<DataLossError>([&] { ReadIdx(PosixEnv(), plain); }),
              ::testing::AllOf(HasSubstr(plain), HasSubstr("from byte 12"), HasSubstr("18 bytes")));
  const std::string gz = dir.Write("cut.gz", Gzip(file.substr(0, 30)));
  EXPECT_THAT(ErrorOf<DataLossError>([&] { ReadIdx(PosixEnv(), gz); }),
              ::testing::AllOf(HasSubstr(gz), HasSubstr("record 4 of 10"), HasSubstr("byte 30")));
  const std::string cut_gz = dir.Write("cut2.gz", Gzip(file).substr(0, 35));
  EXPECT_THAT(ErrorOf<DataLossError>([&] { ReadIdx(PosixEnv(), cut_gz); }),
              ::testing::AllOf(HasSubstr(cut_gz), HasSubstr("byte 35 of the file")));
  EXPECT_THAT(ErrorOf<DataLossError>(
                  [&] { ReadIdx(PosixEnv(), dir.Write("h", file.substr(0, 6))); }),
              HasSubstr("at byte 4"));
}

TEST(Idx, MaxBadRecordsKeepsTheWholeRows) {
  const TempDir dir("idx");
  const std::string file = Header(0x08, {10, 4}) + Counting(40);
  for (const std::string& bytes : {file.substr(0, 42), Gzip(file.substr(0, 42))}) {
    const std::string path = dir.Write("cut", bytes);
    EXPECT_EQ(ReadIdx(PosixEnv(), path, {.max_bad_records = 3}).shape(), (Shape{7, 4}));
    EXPECT_THROW(ReadIdx(PosixEnv(), path, {.max_bad_records = 2}), DataLossError);
  }
}

TEST(Idx, WhereACompressedFileIsCorruptIsCountedInWhatCameOutOfIt) {
  const TempDir dir("idx");
  std::string rows(1000 * 100, 0);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<char>(i * i % 251);
  const std::string gz = Gzip(Header(0x08, {1000, 100}) + rows);
  EXPECT_THAT(ErrorOf<DataLossError>(
                  [&] { ReadIdx(PosixEnv(), dir.Write("cut.gz", gz.substr(0, gz.size() - 4))); }),
              HasSubstr("(byte 100012 decompressed)"));
}

// Of the records, one less is announced than there is: what follows decides whether the
// header is wrong or the file is damaged.
TEST(Idx, RecordsTooManyAreDamageWhereTheChecksumSaysSo) {
  const TempDir dir("idx");
  std::string gz = Gzip(Header(0x08, {999, 100}) + Counting(1000 * 100));
  const auto error = [&] {
    return ErrorOf<DataLossError>([&] { ReadIdx(PosixEnv(), dir.Write("a.gz", gz)); });
  };
  EXPECT_THAT(error(), HasSubstr("goes on after its 999 records"));
  gz[gz.size() - 8] ^= 1;
  EXPECT_THAT(error(), HasSubstr("the compressed stream is corrupt: incorrect data check"));
}

TEST(Idx, HostileHeadersTakeNoMemory) {
  const TempDir dir("idx");
  const uint32_t most = 0xffffffff;
  const size_t before = CpuPeakBytes();
  for (const auto& dims : std::vector<std::vector<uint32_t>>{
           {most}, {most, most}, {most, most, most, most, most}, {1u << 31, 2}, {most, 1}}) {
    const std::string file = Header(0x0e, dims) + Counting(100);
    EXPECT_THROW(ReadIdx(PosixEnv(), dir.Write("a", file)), DataLossError);
    EXPECT_THROW(ReadIdx(PosixEnv(), dir.Write("a.gz", Gzip(file))), DataLossError);
  }
  EXPECT_LT(CpuPeakBytes(), before + (100u << 20));
}

TEST(Idx, WhatIsNoIdxFileIsNamed) {
  const TempDir dir("idx");
  const auto error = [&](const std::string& bytes) {
    return ErrorOf<DataLossError>([&] { ReadIdx(PosixEnv(), dir.Write("a", bytes)); });
  };
  EXPECT_THAT(error("<html>"), HasSubstr("not an IDX file"));
  EXPECT_THAT(error(Header(0x07, {1}) + "x"), HasSubstr("0x07"));
  EXPECT_THAT(error(Header(0x08, {})), HasSubstr("rank 0"));
  EXPECT_THAT(error(""), HasSubstr("truncated"));
  EXPECT_THAT(error(Header(0x08, {2}) + "abc"), HasSubstr("at byte 10"));
  EXPECT_THROW(ReadIdx(PosixEnv(), dir.path() + "/nothing"), NotFoundError);
}

TEST(Idx, EmptyDimensionsAreLegal) {
  const TempDir dir("idx");
  EXPECT_EQ(ReadIdx(PosixEnv(), dir.Write("a", Header(0x08, {0, 28, 28}))).shape(),
            (Shape{0, 28, 28}));
}

}  // namespace
}  // namespace tributary::data
