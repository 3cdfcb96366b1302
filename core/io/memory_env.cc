#include "core/io/memory_env.h"

#include "core/base/errors.h"

namespace tributary {
namespace {

class MemoryReadable final : public ReadableFile {
 public:
  MemoryReadable(std::string path, std::string data)
      : path_(std::move(path)), data_(std::move(data)) {}
  int64_t size() const override { return static_cast<int64_t>(data_.size()); }
  const std::string& path() const override { return path_; }
  size_t Read(int64_t offset, size_t count, void* out) const override {
    if (offset < 0 || offset >= size()) return 0;
    return data_.copy(static_cast<char*>(out), count, offset);
  }

 private:
  std::string path_;
  std::string data_;
};

}  // namespace

class MemoryEnv::Writable final : public WritableFile {
 public:
  Writable(MemoryEnv* env, FilePtr file, std::string path)
      : env_(env), file_(std::move(file)), path_(std::move(path)) {}

  void Append(std::string_view data) override {
    const std::lock_guard lock(env_->mutex_);
    if (env_->UsedLocked() + static_cast<int64_t>(data.size()) > env_->capacity_) {
      throw ResourceExhaustedError("[io] write {} failed: no space left (memory files)", path_);
    }
    file_->data += data;
  }
  void Flush() override {}
  void Sync() override {
    const std::lock_guard lock(env_->mutex_);
    file_->synced = file_->data;
  }
  void Close() override {}

 private:
  MemoryEnv* env_;
  FilePtr file_;
  std::string path_;
};

class MemoryEnv::Lock_ final : public FileLock {
 public:
  Lock_(MemoryEnv* env, std::string path) : env_(env), path_(std::move(path)) {}
  ~Lock_() override {
    const std::lock_guard lock(env_->mutex_);
    env_->locks_.erase(path_);
  }

 private:
  MemoryEnv* env_;
  std::string path_;
};

std::unique_ptr<WritableFile> MemoryEnv::OpenWritable(const std::string& path, OpenMode mode) {
  const std::lock_guard lock(mutex_);
  FilePtr& file = files_[path];
  if (file && mode == OpenMode::kCreate) {
    throw AlreadyExistsError("[io] open {} failed: the file exists", path);
  }
  if (!file || mode == OpenMode::kTruncate) file = std::make_shared<File>();
  return std::make_unique<Writable>(this, file, path);
}

std::unique_ptr<ReadableFile> MemoryEnv::OpenReadable(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return std::make_unique<MemoryReadable>(path, FindLocked(path)->data);
}

bool MemoryEnv::Exists(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return files_.contains(path) || dirs_.contains(path);
}

bool MemoryEnv::IsDirectory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return dirs_.contains(path);
}

int64_t MemoryEnv::FileSize(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(FindLocked(path)->data.size());
}

std::vector<std::string> MemoryEnv::List(const std::string& dir) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [path, file] : files_) {
    if (DirName(path) == dir) names.push_back(BaseName(path));
  }
  std::sort(names.begin(), names.end());
  return names;
}

void MemoryEnv::CreateDirs(const std::string& dir) {
  const std::lock_guard lock(mutex_);
  for (std::string d = dir; d != "." && d != "/"; d = DirName(d)) dirs_.insert(d);
}

void MemoryEnv::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  const FilePtr file = FindLocked(from);
  files_.erase(from);
  files_[to] = file;
}

void MemoryEnv::Remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  FindLocked(path);
  files_.erase(path);
}

void MemoryEnv::SyncDir(const std::string& dir) {
  const std::lock_guard lock(mutex_);
  std::erase_if(durable_, [&](const auto& entry) { return DirName(entry.first) == dir; });
  for (const auto& [path, file] : files_) {
    if (DirName(path) == dir) durable_[path] = file;
  }
}

int64_t MemoryEnv::FreeBytes(const std::string& dir) {
  const std::lock_guard lock(mutex_);
  return std::max<int64_t>(0, capacity_ - UsedLocked());
}

std::unique_ptr<FileLock> MemoryEnv::Lock(const std::string& path, const std::string& holder) {
  const std::lock_guard lock(mutex_);
  const auto [it, taken] = locks_.emplace(path, holder);
  if (!taken) {
    throw FailedPreconditionError("[io] {} is held by {}; stop that process first", path,
                                  it->second);
  }
  return std::make_unique<Lock_>(this, path);
}

void MemoryEnv::SetCapacity(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  capacity_ = bytes;
}

void MemoryEnv::LoseUnsynced() {
  const std::lock_guard lock(mutex_);
  files_ = durable_;
  for (auto& [path, file] : files_) {
    file = std::make_shared<File>(File{file->synced, file->synced});
  }
  durable_ = files_;
  locks_.clear();
}

void MemoryEnv::Overwrite(const std::string& path, std::string data) {
  const std::lock_guard lock(mutex_);
  files_[path] = durable_[path] = std::make_shared<File>(File{data, data});
}

int64_t MemoryEnv::UsedLocked() const {
  int64_t used = 0;
  for (const auto& [path, file] : files_) used += static_cast<int64_t>(file->data.size());
  return used;
}

MemoryEnv::FilePtr MemoryEnv::FindLocked(const std::string& path) const {
  const auto it = files_.find(path);
  if (it == files_.end()) throw NotFoundError("[io] {} does not exist", path);
  return it->second;
}

}  // namespace tributary
