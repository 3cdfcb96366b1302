#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/io/env.h"

namespace tributary {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

template <Code C>
class FileError final : public TypedError<C>, public FileFailure {
 public:
  FileError(const std::string& message, FileFailure failure)
      : TypedError<C>("{}", message), FileFailure(failure) {}
};

[[noreturn]] void ThrowErrno(const char* call, const std::string& path, int error,
                             bool writing) {
  const std::string message =
      fmt::format("[io] {} {} failed: {} (errno {})", call, path, strerror(error), error);
  const FileFailure failure{error, writing};
  switch (error) {
    case ENOENT: throw FileError<Code::kNotFound>(message, failure);
    case EEXIST: throw FileError<Code::kAlreadyExists>(message, failure);
    case EACCES:
    case EPERM:
    case EROFS: throw FileError<Code::kPermissionDenied>(message, failure);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM: throw FileError<Code::kResourceExhausted>(message, failure);
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case EXDEV: throw FileError<Code::kFailedPrecondition>(message, failure);
    case EINVAL:
    case ENAMETOOLONG: throw FileError<Code::kInvalidArgument>(message, failure);
    case EIO: throw FileError<Code::kDataLoss>(message, failure);
    default: throw FileError<Code::kInternal>(message, failure);
  }
}

[[noreturn]] void CannotRead(const char* call, const std::string& path, int error) {
  ThrowErrno(call, path, error, false);
}

[[noreturn]] void CannotWrite(const char* call, const std::string& path, int error) {
  ThrowErrno(call, path, error, true);
}

template <typename Call>
auto RetryInterrupted(const Call& call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

int OpenOrThrow(const std::string& path, int flags, mode_t mode = 0666) {
  const int fd =
      RetryInterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd >= 0) return fd;
  if ((flags & O_ACCMODE) == O_RDONLY) CannotRead("open", path, errno);
  CannotWrite("open", path, errno);
}

class PosixWritable final : public WritableFile {
 public:
  PosixWritable(std::string path, int fd) : path_(std::move(path)), fd_(fd) {
    buffer_.reserve(kBufferBytes);
  }
  ~PosixWritable() override {
    if (fd_ >= 0) ::close(fd_);
  }

  void Append(std::string_view data) override {
    if (buffer_.size() + data.size() <= kBufferBytes) {
      buffer_.append(data);
      return;
    }
    Flush();
    if (data.size() < kBufferBytes) {
      buffer_.append(data);
    } else {
      WriteAll(data);
    }
  }

  void Flush() override {
    WriteAll(buffer_);
    buffer_.clear();
  }

  void Sync() override {
    Flush();
    if (RetryInterrupted([&] { return ::fsync(fd_); }) != 0) CannotWrite("fsync", path_, errno);
  }

  void Close() override {
    Flush();
    // Linux frees the descriptor even when close reports EINTR.
    const int result = ::close(std::exchange(fd_, -1));
    if (result != 0 && errno != EINTR) CannotWrite("close", path_, errno);
  }

 private:
  void WriteAll(std::string_view data) {
    while (!data.empty()) {
      const ssize_t n =
          RetryInterrupted([&] { return ::write(fd_, data.data(), data.size()); });
      if (n < 0) CannotWrite("write", path_, errno);
      data.remove_prefix(n);
    }
  }

  std::string path_;
  int fd_;
  std::string buffer_;
};

class PosixReadable final : public ReadableFile {
 public:
  PosixReadable(std::string path, int fd, int64_t size)
      : path_(std::move(path)), fd_(fd), size_(size) {}
  ~PosixReadable() override { ::close(fd_); }
  int64_t size() const override { return size_; }
  const std::string& path() const override { return path_; }

  size_t Read(int64_t offset, size_t count, void* out) const override {
    size_t done = 0;
    while (done < count) {
      const ssize_t n = RetryInterrupted([&] {
        return ::pread(fd_, static_cast<char*>(out) + done, count - done, offset + done);
      });
      if (n < 0) CannotRead("read", path_, errno);
      if (n == 0) break;
      done += n;
    }
    return done;
  }

 private:
  std::string path_;
  int fd_;
  int64_t size_;
};

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}
  ~PosixLock() override { ::close(fd_); }

 private:
  int fd_;
};

class PosixEnvironment final : public Env {
 public:
  std::unique_ptr<WritableFile> OpenWritable(const std::string& path, OpenMode mode) override {
    int flags = O_WRONLY | O_CREAT;
    if (mode == OpenMode::kCreate) flags |= O_EXCL;
    if (mode == OpenMode::kTruncate) flags |= O_TRUNC;
    if (mode == OpenMode::kAppend) flags |= O_APPEND;
    return std::make_unique<PosixWritable>(path, OpenOrThrow(path, flags));
  }

  std::unique_ptr<ReadableFile> OpenReadable(const std::string& path) override {
    const int fd = OpenOrThrow(path, O_RDONLY);
    struct stat info;
    if (::fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
      ::close(fd);
      CannotRead("read", path, EISDIR);
    }
    return std::make_unique<PosixReadable>(path, fd, info.st_size);
  }

  bool Exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

  bool IsDirectory(const std::string& path) override {
    struct stat info;
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  }

  WriteTarget Target(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) return {path, false};
    // Streams keep their name: /proc/self/fd/1 of a pipe leads to no path.
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return {path, true};
    struct stat link;
    if (::lstat(path.c_str(), &link) != 0 || !S_ISLNK(link.st_mode)) return {path, false};
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           std::free);
    if (!real) return {path, true};  // an open file that has no name any more
    return {real.get(), false};
  }

  int64_t FileSize(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) CannotRead("stat", path, errno);
    return info.st_size;
  }

  std::vector<std::string> List(const std::string& dir) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(dir.c_str()), ::closedir);
    if (!handle) CannotRead("open directory", dir, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(handle.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
      errno = 0;
    }
    if (errno != 0) CannotRead("read directory", dir, errno);
    std::sort(names.begin(), names.end());
    return names;
  }

  void CreateDirs(const std::string& dir) override {
    if (IsDirectory(dir)) return;
    const std::string parent = DirName(dir);
    if (parent != dir && parent != ".") CreateDirs(parent);
    if (::mkdir(dir.c_str(), 0777) != 0) {
      if (errno != EEXIST || !IsDirectory(dir)) CannotWrite("create directory", dir, errno);
      return;
    }
    // What is durable inside a directory is lost with the directory's own name.
    try {
      SyncDir(parent);
    } catch (const PermissionDeniedError&) {  // may be written, but not read
    }
  }

  void Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) CannotWrite("rename", from + " to " + to, errno);
  }

  void Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) CannotWrite("remove", path, errno);
  }

  void SyncDir(const std::string& dir) override {
    const int fd = OpenOrThrow(dir, O_RDONLY | O_DIRECTORY);
    const int result = RetryInterrupted([&] { return ::fsync(fd); });
    const int error = errno;
    ::close(fd);
    // Some file systems have nothing to sync for a directory and say EINVAL.
    if (result != 0 && error != EINVAL) CannotWrite("fsync", dir, error);
  }

  int64_t FreeBytes(const std::string& dir) override {
    struct statvfs info;
    if (::statvfs(dir.c_str(), &info) != 0) CannotRead("statvfs", dir, errno);
    if (info.f_blocks == 0) return INT64_MAX;  // a file system that does not tell
    return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  }

  std::unique_ptr<FileLock> Lock(const std::string& path, const std::string& holder) override {
    const int fd = OpenOrThrow(path, O_RDWR | O_CREAT);
    auto lock = std::make_unique<PosixLock>(fd);
    if (RetryInterrupted([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP) {
        LogWarning("[io] {}: the file system has no locks; make sure that one process at a "
                   "time writes there",
                   path);
        return lock;
      }
      if (errno != EWOULDBLOCK) CannotWrite("lock", path, errno);
      std::string present(256, '\0');
      present.resize(std::max<ssize_t>(0, ::pread(fd, present.data(), present.size(), 0)));
      throw FailedPreconditionError("[io] {} is held by {}; stop that process first", path,
                                    present.empty() ? "another process" : present);
    }
    // The text only serves messages, so a failure to write it is no failure.
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, holder.data(), holder.size(), 0) < 0) {
    }
    return lock;
  }
};

}  // namespace

Env* PosixEnv() {
  static auto* env = new PosixEnvironment;
  return env;
}

}  // namespace tributary
