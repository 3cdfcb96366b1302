#pragma once
// Files in memory, with a model of what a power cut leaves behind: bytes of a
// file survive up to its last Sync(), directory entries (creations, renames,
// removals) survive from the last SyncDir() of their directory.

#include <map>
#include <mutex>
#include <set>

#include "core/io/env.h"

namespace tributary {

class MemoryEnv final : public Env {
 public:
  std::unique_ptr<WritableFile> OpenWritable(const std::string& path, OpenMode mode) override;
  std::unique_ptr<ReadableFile> OpenReadable(const std::string& path) override;
  bool Exists(const std::string& path) override;
  bool IsDirectory(const std::string& path) override;
  int64_t FileSize(const std::string& path) override;
  std::vector<std::string> List(const std::string& dir) override;
  void CreateDirs(const std::string& dir) override;
  void Rename(const std::string& from, const std::string& to) override;
  void Remove(const std::string& path) override;
  void SyncDir(const std::string& dir) override;
  int64_t FreeBytes(const std::string& dir) override;
  std::unique_ptr<FileLock> Lock(const std::string& path, const std::string& holder) override;

  // Bytes that all files together may hold; Append beyond throws
  // ResourceExhaustedError.
  void SetCapacity(int64_t bytes);
  // A power cut: everything not synced is gone. Locks are released.
  void LoseUnsynced();
  // Replaces a file's bytes, synced: to plant corruption.
  void Overwrite(const std::string& path, std::string data);

 private:
  struct File {
    std::string data;
    std::string synced;
  };
  using FilePtr = std::shared_ptr<File>;
  class Writable;
  class Lock_;

  int64_t UsedLocked() const;
  FilePtr FindLocked(const std::string& path) const;

  std::mutex mutex_;
  std::map<std::string, FilePtr> files_;    // what a running process sees
  std::map<std::string, FilePtr> durable_;  // what a restart would see
  std::set<std::string> dirs_;
  std::map<std::string, std::string> locks_;
  int64_t capacity_ = int64_t{1} << 40;
};

}  // namespace tributary
