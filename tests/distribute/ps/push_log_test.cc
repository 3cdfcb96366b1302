// The log's files: what was written is read, whatever the end looks like.

#include "distribute/ps/push_log.h"

#include <gmock/gmock.h>

#include "core/base/errors.h"
#include "tests/distribute/ps/ps_harness.h"
#include "tests/temp_dir.h"

namespace tributary::ps {
namespace {

using ::testing::HasSubstr;

std::vector<std::byte> Bytes(size_t count, int seed) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 7 + seed);
  return bytes;
}

struct Written {
  FrameHeader header;
  std::vector<std::byte> control, payload;
};

std::vector<Written> Write(Env* env, const LogPlace& place, uint64_t segment, bool sync = false) {
  std::vector<Written> all;
  PushLogWriter log(env, place, segment, sync);
  for (int i = 0; i < 12; ++i) {
    Written w;
    w.header.kind = kPush;
    w.header.worker = i;
    w.header.sequence = 100 + i;
    w.control = Bytes(i * 3, i);
    w.payload = Bytes(i % 4 == 3 ? 100'000 + i : i * 11, i + 1);
    log.Append(w.header, w.control, w.payload);
    all.push_back(std::move(w));
  }
  return all;
}

std::vector<LogRecord> Headers(PushLogReader* reader) {
  std::vector<LogRecord> all;
  LogRecord r;
  while (reader->Read(&r)) all.push_back(r);
  return all;
}

TEST(PushLog, ReadsWhatWasWritten) {
  const TempDir dir("push_log");
  const LogPlace place{dir.path(), 2, 4};
  for (const bool sync : {false, true}) {
    const uint64_t segment = sync ? 18 : 17;
    const auto written = Write(PosixEnv(), place, segment, sync);
    PushLogReader reader(PosixEnv(), place, segment);
    LogRecord r;
    for (const Written& w : written) {
      ASSERT_TRUE(reader.Read(&r));
      EXPECT_EQ(r.header.worker, w.header.worker);
      EXPECT_EQ(r.header.sequence, w.header.sequence);
      EXPECT_TRUE(std::equal(r.control.begin(), r.control.end(), w.control.begin(), w.control.end()));
      EXPECT_TRUE(std::equal(r.payload.begin(), r.payload.end(), w.payload.begin(), w.payload.end()));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(r.payload.data()) % 8, 0u);
    }
    EXPECT_FALSE(reader.Read(&r));
    EXPECT_FALSE(reader.torn());
  }
  Write(PosixEnv(), {dir.path(), 3, 4}, 5);
  EXPECT_EQ(LogSegments(PosixEnv(), place), (std::vector<uint64_t>{17, 18}));
}

TEST(PushLog, ATornEndLosesOnlyTheLastRecord) {
  const TempDir dir("push_log");
  const LogPlace place{dir.path(), 0, 1};
  Write(PosixEnv(), place, 1);
  const std::string path = LogSegmentName(place, 1);
  const std::string whole = ReadFile(PosixEnv(), path);
  std::vector<int64_t> ends;  // of the records
  {
    PushLogReader reader(PosixEnv(), place, 1);
    LogRecord r;
    while (reader.Read(&r)) ends.push_back(reader.offset());
  }
  for (size_t cut = 0; cut < whole.size(); cut += cut < 3000 ? 1 : 997) {
    WriteFileAtomically(PosixEnv(), path, whole.substr(0, cut));
    PushLogReader reader(PosixEnv(), place, 1);
    const size_t complete = std::count_if(ends.begin(), ends.end(), [&](int64_t end) {
      return end <= static_cast<int64_t>(cut);
    });
    EXPECT_EQ(Headers(&reader).size(), complete) << cut;
    const bool at_end = cut == 64 || std::count(ends.begin(), ends.end(), cut) > 0;
    EXPECT_EQ(reader.torn(), !at_end) << cut;
  }
}

TEST(PushLog, DamageIsFoundAndNamed) {
  const TempDir dir("push_log");
  const LogPlace place{dir.path(), 0, 1};
  Write(PosixEnv(), place, 1);
  const std::string path = LogSegmentName(place, 1);
  const std::string whole = ReadFile(PosixEnv(), path);
  PushLogReader clean(PosixEnv(), place, 1);
  const size_t records = Headers(&clean).size();
  int found = 0, tried = 0, padding = 0;
  for (size_t at = 0; at < whole.size(); at += at < 2500 ? 5 : 3001) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    WriteFileAtomically(PosixEnv(), path, damaged);
    ++tried;
    try {
      PushLogReader reader(PosixEnv(), place, 1);
      padding += Headers(&reader).size() == records;  // zeros between records say nothing
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("ps-00000-of-00001.log-0000000001"));
      ++found;
    }
  }
  EXPECT_EQ(found + padding, tried);
  EXPECT_LT(padding, tried / 10);
  EXPECT_THROW(PushLogReader(PosixEnv(), place, 2), NotFoundError);
  WriteFileAtomically(PosixEnv(), LogSegmentName(place, 2), whole);
  EXPECT_THROW(PushLogReader(PosixEnv(), place, 2), DataLossError) << "another segment's file";
}

}  // namespace
}  // namespace tributary::ps
