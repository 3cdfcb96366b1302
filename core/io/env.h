#pragma once
// The file system as a port, so that crashes and full disks can be tested:
// PosixEnv() is the real one, MemoryEnv keeps files in memory and can lose what
// was not synced, FaultEnv wraps another and makes chosen calls fail.
//
// Calls throw typed errors that name the path and the system's reason:
// NotFoundError, AlreadyExistsError, PermissionDeniedError,
// ResourceExhaustedError (disk full), FailedPreconditionError (a directory
// where a file is expected, or the other way round), DataLossError (I/O error).
// What the system refused is a FileFailure as well.
// An Env is safe from any thread; a file object belongs to one thread at a time.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

// Beside the typed error: the errno, and whether the file was to be written.
struct FileFailure {
  int error = 0;
  bool writing = false;
};

enum class OpenMode {
  kCreate,    // the file must not exist yet
  kTruncate,  // created, or emptied
  kAppend,    // created, or continued
};

// Appends are buffered. Nothing is certain to be on disk before Sync() has
// returned; a Sync() that threw is final: the file's content is unknown.
class WritableFile {
 public:
  virtual ~WritableFile() = default;  // discards what was not flushed
  virtual void Append(std::string_view data) = 0;
  // Hands the buffer to the operating system.
  virtual void Flush() = 0;
  // Flush, then wait until the bytes are on the device.
  virtual void Sync() = 0;
  // Flush and close. No other call may follow.
  virtual void Close() = 0;
};

// Reads by position; safe from several threads.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual int64_t size() const = 0;
  // Reads up to `count` bytes at `offset`; fewer only at the end of the file.
  virtual size_t Read(int64_t offset, size_t count, void* out) const = 0;
  virtual const std::string& path() const = 0;
};

// Held until destroyed (or until the process ends, however it ends).
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Where what is written to a path ends up.
struct WriteTarget {
  std::string path;     // behind symbolic links
  bool stream = false;  // a pipe or a device: written straight through, never replaced
};

class Env {
 public:
  virtual ~Env() = default;
  virtual std::unique_ptr<WritableFile> OpenWritable(const std::string& path, OpenMode mode) = 0;
  virtual std::unique_ptr<ReadableFile> OpenReadable(const std::string& path) = 0;
  virtual bool Exists(const std::string& path) = 0;
  virtual bool IsDirectory(const std::string& path) = 0;
  // Never throws; what does not exist is its own target.
  virtual WriteTarget Target(const std::string& path) { return {path, false}; }
  virtual int64_t FileSize(const std::string& path) = 0;
  // Names (not paths) in a directory, sorted.
  virtual std::vector<std::string> List(const std::string& dir) = 0;
  // With all parents; an existing directory is fine.
  virtual void CreateDirs(const std::string& dir) = 0;
  // Replaces `to` atomically when it exists.
  virtual void Rename(const std::string& from, const std::string& to) = 0;
  virtual void Remove(const std::string& path) = 0;
  // Makes creations, renames and removals inside `dir` durable.
  virtual void SyncDir(const std::string& dir) = 0;
  // Bytes that an unprivileged writer may still use under `dir`.
  virtual int64_t FreeBytes(const std::string& dir) = 0;
  // Takes `path` as an exclusive lock and writes `holder` into it. Throws
  // FailedPreconditionError that quotes the present holder.
  virtual std::unique_ptr<FileLock> Lock(const std::string& path, const std::string& holder) = 0;
};

// The real file system; never destroyed.
Env* PosixEnv();

// The whole file. Throws InvalidArgumentError when it is larger than `max_bytes`.
std::string ReadFile(Env* env, const std::string& path, int64_t max_bytes = int64_t{1} << 32);
// Exactly `count` bytes at `offset`. Throws DataLossError naming file and offset
// when the file ends before.
void ReadExactly(const ReadableFile& file, int64_t offset, size_t count, void* out);
// Replaces `path` so that a crash leaves the old content or the new: temporary
// name, sync, rename, directory sync. A link stays and its target is replaced; a pipe
// or a device (/dev/stdout, /dev/null) gets the bytes as they are.
void WriteFileAtomically(Env* env, const std::string& path, std::string_view data);

// "a/b" of "a/b/c"; "." when there is no slash.
std::string DirName(const std::string& path);
std::string BaseName(const std::string& path);
std::string JoinPath(const std::string& dir, const std::string& name);

}  // namespace tributary
