#pragma once
// An Env that counts its calls and makes one of them fail: a full disk, an I/O
// error, or a "crash", after which every call fails and nothing more reaches
// the wrapped Env. Calls that only look (reads, Exists, List) are not counted.

#include <atomic>
#include <string>

#include "core/base/errors.h"
#include "core/io/env.h"

namespace tributary {

class FaultEnv final : public Env {
 public:
  // `base` must outlive this.
  explicit FaultEnv(Env* base) : base_(base) {}

  // The call number `index` (0 = the next one) fails with `code`. Only that
  // one, unless `from_then_on`.
  void FailAt(int index, Code code, bool from_then_on = false);
  void FailNothing() { FailAt(-1, Code::kOk); }
  // Calls seen since the last FailAt.
  int calls() const { return calls_; }

  std::unique_ptr<WritableFile> OpenWritable(const std::string& path, OpenMode mode) override;
  std::unique_ptr<ReadableFile> OpenReadable(const std::string& path) override;
  bool Exists(const std::string& path) override { return base_->Exists(path); }
  bool IsDirectory(const std::string& path) override { return base_->IsDirectory(path); }
  WriteTarget Target(const std::string& path) override { return base_->Target(path); }
  int64_t FileSize(const std::string& path) override { return base_->FileSize(path); }
  std::vector<std::string> List(const std::string& dir) override { return base_->List(dir); }
  void CreateDirs(const std::string& dir) override;
  void Rename(const std::string& from, const std::string& to) override;
  void Remove(const std::string& path) override;
  void SyncDir(const std::string& dir) override;
  int64_t FreeBytes(const std::string& dir) override { return base_->FreeBytes(dir); }
  std::unique_ptr<FileLock> Lock(const std::string& path, const std::string& holder) override {
    return base_->Lock(path, holder);
  }

  // Throws when it is this call's turn. Used by the files of this Env.
  void Count(const char* call, const std::string& path);

 private:
  Env* base_;
  std::atomic<int> calls_{0};
  std::atomic<int> fail_at_{-1};
  std::atomic<Code> code_{Code::kOk};
  std::atomic<bool> from_then_on_{false};
};

}  // namespace tributary
