// The contract of Env, for the real file system and the one in memory.

#include "core/io/env.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "core/io/fault_env.h"
#include "core/io/memory_env.h"
#include "tests/temp_dir.h"

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

struct Place {
  std::unique_ptr<TempDir> temporary;
  std::unique_ptr<Env> owned;
  Env* env;
  std::string dir;
};

Place MakeTemporary() {
  auto dir = std::make_unique<TempDir>("env");
  const std::string path = dir->path();
  return {std::move(dir), nullptr, PosixEnv(), path};
}

Place MakeMemory() {
  auto env = std::make_unique<MemoryEnv>();
  env->CreateDirs("/m");
  Env* raw = env.get();
  return {nullptr, std::move(env), raw, "/m"};
}

class EnvContract : public testing::TestWithParam<Place (*)()> {
 protected:
  std::string Path(const std::string& name) const { return place_.dir + "/" + name; }
  void Write(const std::string& name, const std::string& data, OpenMode mode) {
    const auto file = env_->OpenWritable(Path(name), mode);
    file->Append(data);
    file->Sync();
    file->Close();
  }

  Place place_ = GetParam()();
  Env* env_ = place_.env;
};

TEST_P(EnvContract, WritesWhatItReads) {
  std::string large(300000, 'x');
  large[123456] = 'y';
  {
    const auto file = env_->OpenWritable(Path("f"), OpenMode::kCreate);
    file->Append("head");
    file->Append(large);
    file->Append("tail");
    file->Close();
  }
  EXPECT_EQ(ReadFile(env_, Path("f")), "head" + large + "tail");
  EXPECT_EQ(env_->FileSize(Path("f")), 300008);
  const auto file = env_->OpenReadable(Path("f"));
  char c;
  EXPECT_EQ(file->Read(4 + 123456, 1, &c), 1u);
  EXPECT_EQ(c, 'y');
  EXPECT_EQ(file->Read(300008, 1, &c), 0u);
  EXPECT_THROW(ReadExactly(*file, 300007, 2, large.data()), DataLossError);
}

TEST_P(EnvContract, OpenModesCreateTruncateAndAppend) {
  Write("f", "one", OpenMode::kCreate);
  EXPECT_THROW(Write("f", "two", OpenMode::kCreate), AlreadyExistsError);
  Write("f", "+", OpenMode::kAppend);
  EXPECT_EQ(ReadFile(env_, Path("f")), "one+");
  Write("f", "new", OpenMode::kTruncate);
  EXPECT_EQ(ReadFile(env_, Path("f")), "new");
}

TEST_P(EnvContract, ListsRenamesAndRemoves) {
  Write("b", "b", OpenMode::kCreate);
  Write("a", "a", OpenMode::kCreate);
  EXPECT_THAT(env_->List(place_.dir), ElementsAre("a", "b"));
  env_->Rename(Path("a"), Path("b"));
  EXPECT_THAT(env_->List(place_.dir), ElementsAre("b"));
  EXPECT_EQ(ReadFile(env_, Path("b")), "a");
  env_->Remove(Path("b"));
  EXPECT_FALSE(env_->Exists(Path("b")));
  EXPECT_THROW(env_->Remove(Path("b")), NotFoundError);
  EXPECT_THROW(env_->Rename(Path("b"), Path("c")), NotFoundError);
  EXPECT_THROW(env_->OpenReadable(Path("b")), NotFoundError);
}

TEST_P(EnvContract, CreatesDirectoriesWithTheirParents) {
  env_->CreateDirs(Path("x/y/z"));
  env_->CreateDirs(Path("x/y/z"));
  EXPECT_TRUE(env_->IsDirectory(Path("x/y")));
  Write("x/y/z/f", "1", OpenMode::kCreate);
  EXPECT_FALSE(env_->IsDirectory(Path("x/y/z/f")));
  env_->SyncDir(Path("x/y/z"));
}

TEST_P(EnvContract, AnAtomicWriteLeavesNoTemporary) {
  WriteFileAtomically(env_, Path("state"), "1");
  WriteFileAtomically(env_, Path("state"), "2");
  EXPECT_EQ(ReadFile(env_, Path("state")), "2");
  EXPECT_THAT(env_->List(place_.dir), ElementsAre("state"));
}

TEST_P(EnvContract, ASecondLockNamesTheHolder) {
  auto lock = env_->Lock(Path("lock"), "pid 17 on host alpha");
  EXPECT_THAT([&] { env_->Lock(Path("lock"), "other"); },
              ThrowsMessage<FailedPreconditionError>(HasSubstr("pid 17 on host alpha")));
  lock.reset();
  EXPECT_NO_THROW(env_->Lock(Path("lock"), "other"));
}

TEST_P(EnvContract, FilesLargerThanAllowedAreNotRead) {
  Write("f", "12345", OpenMode::kCreate);
  EXPECT_THROW(ReadFile(env_, Path("f"), 4), InvalidArgumentError);
}

TEST_P(EnvContract, FreeSpaceIsKnown) { EXPECT_GT(env_->FreeBytes(place_.dir), 0); }

INSTANTIATE_TEST_SUITE_P(Posix, EnvContract, testing::Values(&MakeTemporary));
INSTANTIATE_TEST_SUITE_P(Memory, EnvContract, testing::Values(&MakeMemory));

TEST(PosixEnv, ADirectoryIsNoFile) {
  const Place place = MakeTemporary();
  EXPECT_THROW(place.env->OpenReadable(place.dir), FailedPreconditionError);
  EXPECT_THROW(place.env->OpenWritable(place.dir, OpenMode::kTruncate), FailedPreconditionError);
  EXPECT_THROW(place.env->List(place.dir + "/none"), NotFoundError);
}

TEST(PosixEnv, WhatIsWrittenToADeviceOrAPipeGoesStraightThrough) {
  const Place place = MakeTemporary();
  const std::string pipe = place.dir + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  WriteFileAtomically(place.env, pipe, "through");
  char text[16] = {};
  EXPECT_EQ(read(reader, text, sizeof(text)), 7);
  EXPECT_STREQ(text, "through");
  close(reader);
  EXPECT_THAT(place.env->List(place.dir), ElementsAre("pipe"));
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  // A device behind a link: the test never risks that of the machine itself.
  const std::string link = place.dir + "/device";
  ASSERT_EQ(symlink("/dev/full", link.c_str()), 0);
  EXPECT_THROW(WriteFileAtomically(place.env, link, "x"), ResourceExhaustedError);
  EXPECT_TRUE(std::filesystem::is_symlink(link));
}

TEST(PosixEnv, AnAtomicWriteKeepsALinkAndReplacesItsTarget) {
  const Place place = MakeTemporary();
  place.env->CreateDirs(place.dir + "/real");
  WriteFileAtomically(place.env, place.dir + "/real/f", "1");
  ASSERT_EQ(symlink("real/f", (place.dir + "/link").c_str()), 0);
  WriteFileAtomically(place.env, place.dir + "/link", "2");
  EXPECT_TRUE(std::filesystem::is_symlink(place.dir + "/link"));
  EXPECT_EQ(ReadFile(place.env, place.dir + "/real/f"), "2");
  EXPECT_THAT(place.env->List(place.dir + "/real"), ElementsAre("f"));
}

TEST(PosixEnv, TheLockEndsWithItsProcess) {
  const Place place = MakeTemporary();
  const std::string path = place.dir + "/lock";
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    // execve-free child: take the raw lock and wait to be killed.
    const auto lock = PosixEnv()->Lock(path, "child");
    if (write(ready[1], "x", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THAT([&] { PosixEnv()->Lock(path, "parent"); },
              ThrowsMessage<FailedPreconditionError>(HasSubstr("child")));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(PosixEnv()->Lock(path, "parent"));
  close(ready[0]);
  close(ready[1]);
}

TEST(PosixEnv, AFullDeviceIsNamed) {
  if (!PosixEnv()->Exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const auto file = PosixEnv()->OpenWritable("/dev/full", OpenMode::kAppend);
  file->Append("x");
  EXPECT_THAT([&] { file->Flush(); },
              ThrowsMessage<ResourceExhaustedError>(
                  testing::AllOf(HasSubstr("/dev/full"), HasSubstr("errno 28"))));
}

TEST(MemoryEnv, APowerCutLosesWhatWasNotSynced) {
  MemoryEnv env;
  const auto write = [&](const std::string& path, bool sync) {
    const auto file = env.OpenWritable(path, OpenMode::kCreate);
    file->Append("data");
    if (sync) file->Sync();
    file->Close();
  };
  write("d/all", true);
  write("d/name", false);
  env.SyncDir("d");
  write("d/bytes", true);
  env.Rename("d/all", "d/renamed");
  env.LoseUnsynced();
  EXPECT_THAT(env.List("d"), ElementsAre("all", "name"));
  EXPECT_EQ(ReadFile(&env, "d/all"), "data");
  EXPECT_EQ(ReadFile(&env, "d/name"), "");
}

TEST(MemoryEnv, AFullDiskIsReported) {
  MemoryEnv env;
  env.SetCapacity(3);
  const auto file = env.OpenWritable("f", OpenMode::kCreate);
  EXPECT_THROW(file->Append("1234"), ResourceExhaustedError);
  EXPECT_EQ(env.FreeBytes("."), 3);
}

TEST(FaultEnv, FailsTheChosenCallOnly) {
  MemoryEnv base;
  FaultEnv env(&base);
  WriteFileAtomically(&env, "d/f", "1");
  const int calls = 6;  // open, write, fsync, close, rename, directory
  env.FailAt(-1, Code::kOk);
  WriteFileAtomically(&env, "d/f", "2");
  ASSERT_EQ(env.calls(), calls);
  for (int i = 0; i < calls; ++i) {
    env.FailAt(i, Code::kResourceExhausted);
    EXPECT_THROW(WriteFileAtomically(&env, "d/f", "3"), ResourceExhaustedError) << i;
    EXPECT_THAT(base.List("d"), ElementsAre("f")) << "a temporary was left by failure " << i;
    EXPECT_THAT(ReadFile(&base, "d/f"), testing::AnyOf("2", "3"));
  }
}

TEST(Paths, AreTakenApart) {
  EXPECT_EQ(DirName("a/b/c"), "a/b");
  EXPECT_EQ(DirName("c"), ".");
  EXPECT_EQ(DirName("/c"), "/");
  EXPECT_EQ(BaseName("a/b"), "b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("a", "/b"), "/b");
}

}  // namespace
}  // namespace tributary
