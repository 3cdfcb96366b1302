// Which start wins, and which files stay.

#include "distribute/ps/restart_point.h"

#include <gmock/gmock.h>

#include "core/base/errors.h"
#include "core/io/fault_env.h"
#include "core/io/memory_env.h"

namespace tributary::ps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const LogPlace kPlace{"/ps", 1, 4};

struct RestartPointTest : testing::Test {
  MemoryEnv env;
  RestartPoint point{&env, kPlace};

  void Touch(const std::string& path) { WriteFileAtomically(&env, path, "x"); }
  void Segments(uint64_t from, uint64_t to) {
    env.CreateDirs("/ps");
    for (uint64_t s = from; s <= to; ++s) Touch(LogSegmentName(kPlace, s));
  }
  std::string Base(uint64_t segment) {
    const std::string prefix = point.BeginBase(segment);
    for (const char* end : {".index", ".data-00000-of-00001", ".data-00000-of-00001.tempstate7"}) {
      Touch(prefix + end);
    }
    return prefix;
  }
  std::vector<std::string> Bases() {
    std::vector<std::string> names;
    for (const std::string& name : env.List("/ps")) {
      if (name.find(".base-") != std::string::npos && name.ends_with(".index")) {
        names.push_back(name);
      }
    }
    return names;
  }
};

TEST_F(RestartPointTest, ABaseTakesThePlaceOfAllBeforeIt) {
  Segments(1, 5);
  EXPECT_TRUE(point.Commit({.first = 2, .prefix = "/c/ckpt-1"}));
  EXPECT_TRUE(point.Commit({.first = 3, .prefix = "/c/ckpt-2"}));
  EXPECT_THAT(LogSegments(&env, kPlace), ElementsAre(2, 3, 4, 5)) << "one back stays";
  Touch("/ps/ps-00002-of-00004.base-0000000001.index");
  const std::string base = Base(4);
  EXPECT_EQ(base, "/ps/ps-00001-of-00004.base-0000000004");
  EXPECT_TRUE(point.EndBase());
  EXPECT_THAT(LogSegments(&env, kPlace), ElementsAre(4, 5));
  EXPECT_EQ(RestartPoint(&env, kPlace).Read(), (RestartPoint::Start{4, base}));
  Base(5);
  EXPECT_TRUE(point.EndBase());
  EXPECT_THAT(Bases(), ElementsAre("ps-00001-of-00004.base-0000000005.index",
                                   "ps-00002-of-00004.base-0000000001.index"))
      << "another server's stays";
}

TEST_F(RestartPointTest, AStartNeverGoesBack) {
  Segments(1, 7);
  const std::string base = Base(5);
  EXPECT_TRUE(point.EndBase());
  EXPECT_FALSE(point.Commit({.first = 4, .prefix = "/c/ckpt-1"})) << "cut before, committed late";
  EXPECT_EQ(point.Read().prefix, base);
  EXPECT_THAT(Bases(), testing::SizeIs(1));
  EXPECT_TRUE(point.Commit({.first = 6, .prefix = "/c/ckpt-2"}));
  EXPECT_THAT(Bases(), IsEmpty());
  EXPECT_EQ(point.Read(), (RestartPoint::Start{6, "/c/ckpt-2"}));
  EXPECT_EQ(point.first(), 6u);
}

TEST_F(RestartPointTest, ACommitLeavesABaseAloneThatIsBeingWritten) {
  Segments(1, 6);
  Base(5);
  EXPECT_TRUE(point.Commit({.first = 4, .prefix = "/c/ckpt-1"}));
  EXPECT_THAT(Bases(), testing::SizeIs(1));
  EXPECT_TRUE(point.EndBase());
  Base(6);
  EXPECT_TRUE(point.Commit({.first = 7, .prefix = "/c/ckpt-2"}));
  EXPECT_FALSE(point.EndBase()) << "older than the checkpoint by now";
  EXPECT_THAT(Bases(), IsEmpty());
  EXPECT_EQ(point.Read().prefix, "/c/ckpt-2");
  const std::string dropped = Base(8);
  point.DropBase();
  EXPECT_THAT(Bases(), IsEmpty());
}

TEST_F(RestartPointTest, ALogAloneAndNothing) {
  EXPECT_EQ(point.Read(), RestartPoint::Start{});
  Segments(1, 4);
  Base(2);
  point.EndBase();
  EXPECT_TRUE(point.Replace({.first = 3, .prefix = ""}));
  EXPECT_THAT(LogSegments(&env, kPlace), ElementsAre(3, 4));
  EXPECT_THAT(Bases(), IsEmpty());
  EXPECT_EQ(RestartPoint(&env, kPlace).Read(), (RestartPoint::Start{3, ""}));
  point.Clear();
  EXPECT_THAT(env.List("/ps"), IsEmpty());
  EXPECT_EQ(point.Read(), RestartPoint::Start{});
  RestartPoint nowhere(&env, {"", 0, 1});
  EXPECT_TRUE(nowhere.Commit({.first = 0, .prefix = "/c/ckpt-1"}));
  nowhere.Clear();
  EXPECT_EQ(nowhere.Read(), RestartPoint::Start{});
}

TEST_F(RestartPointTest, ARestartRemovesWhatWasLeftOverAndKeepsToItsBase) {
  Segments(1, 6);
  const std::string base = Base(5);
  point.EndBase();
  Segments(2, 4);
  RestartPoint writing(&env, kPlace);
  Touch(writing.BeginBase(6) + ".index");
  RestartPoint back(&env, kPlace);
  EXPECT_THROW(back.Resume({.first = 3, .prefix = "/c/ckpt-1"}), DataLossError);
  EXPECT_THROW(back.Resume({.first = 0, .prefix = ""}), DataLossError);
  EXPECT_THAT(LogSegments(&env, kPlace), ElementsAre(2, 3, 4, 5, 6)) << "refused, nothing removed";
  back.Resume(back.Read());
  EXPECT_THAT(LogSegments(&env, kPlace), ElementsAre(5, 6));
  EXPECT_THAT(Bases(), ElementsAre("ps-00001-of-00004.base-0000000005.index"));
  EXPECT_EQ(back.first(), 5u);
}

TEST_F(RestartPointTest, AMarkerThatSaysNothingIsNamed) {
  env.CreateDirs("/ps");
  for (const char* text :
       {"", "7", "/c/ckpt-1", "x\n/c/ckpt-1", "-1\n/c", "99999999999999999999\n"}) {
    env.Overwrite("/ps/ps-00001-of-00004.checkpoint", text);
    try {
      point.Read();
      ADD_FAILURE() << text;
    } catch (const DataLossError& error) {
      EXPECT_THAT(error.what(), HasSubstr("ps-00001-of-00004.checkpoint"));
    }
  }
}

// Whichever call fails: the marker's start has its files.
TEST_F(RestartPointTest, AFailedChangeLeavesAStartWithAllOfItsFiles) {
  for (int call = 0; call < 12; ++call) {
    SCOPED_TRACE(call);
    MemoryEnv memory;
    FaultEnv fault(&memory);
    memory.CreateDirs("/ps");
    RestartPoint p(&fault, kPlace);
    const auto touch = [&](const std::string& path) { WriteFileAtomically(&memory, path, "x"); };
    for (uint64_t s = 1; s <= 4; ++s) touch(LogSegmentName(kPlace, s));
    touch(p.BeginBase(2) + ".index");
    ASSERT_TRUE(p.EndBase());
    touch(p.BeginBase(4) + ".index");
    fault.FailAt(call, Code::kResourceExhausted, true);
    try {
      p.EndBase();
    } catch (const Error&) {
    }
    fault.FailNothing();
    RestartPoint back(&memory, kPlace);
    const RestartPoint::Start start = back.Read();
    EXPECT_TRUE(start.first == 2 || start.first == 4);
    EXPECT_TRUE(memory.Exists(start.prefix + ".index"));
    for (uint64_t s = start.first; s <= 4; ++s) {
      EXPECT_EQ(memory.Exists(LogSegmentName(kPlace, s)), s != 1) << s;
    }
    back.Resume(start);
    touch(back.BeginBase(5) + ".index");
    EXPECT_TRUE(back.EndBase());
    EXPECT_THAT(memory.List("/ps"), UnorderedElementsAre("ps-00001-of-00004.base-0000000005.index",
                                                         "ps-00001-of-00004.checkpoint"));
  }
}

}  // namespace
}  // namespace tributary::ps
