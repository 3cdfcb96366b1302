#include "core/io/fault_env.h"

namespace tributary {
namespace {

class FaultWritable final : public WritableFile {
 public:
  FaultWritable(FaultEnv* env, std::unique_ptr<WritableFile> file, std::string path)
      : env_(env), file_(std::move(file)), path_(std::move(path)) {}

  void Append(std::string_view data) override {
    try {
      env_->Count("write", path_);
    } catch (const Error&) {
      file_->Append(data.substr(0, data.size() / 2));  // a torn write
      throw;
    }
    file_->Append(data);
  }
  void Flush() override { file_->Flush(); }
  void Sync() override {
    env_->Count("fsync", path_);
    file_->Sync();
  }
  void Close() override {
    env_->Count("close", path_);
    file_->Close();
  }

 private:
  FaultEnv* env_;
  std::unique_ptr<WritableFile> file_;
  std::string path_;
};

}  // namespace

void FaultEnv::FailAt(int index, Code code, bool from_then_on) {
  calls_ = 0;
  code_ = code;
  from_then_on_ = from_then_on;
  fail_at_ = index;
}

void FaultEnv::Count(const char* call, const std::string& path) {
  const int index = calls_++;
  const int fail_at = fail_at_;
  if (fail_at < 0 || (from_then_on_ ? index < fail_at : index != fail_at)) return;
  ThrowError(code_, fmt::format("[io] {} {} failed: injected {}", call, path, CodeName(code_)));
}

std::unique_ptr<WritableFile> FaultEnv::OpenWritable(const std::string& path, OpenMode mode) {
  Count("open", path);
  return std::make_unique<FaultWritable>(this, base_->OpenWritable(path, mode), path);
}

std::unique_ptr<ReadableFile> FaultEnv::OpenReadable(const std::string& path) {
  return base_->OpenReadable(path);
}

void FaultEnv::CreateDirs(const std::string& dir) {
  Count("create directory", dir);
  base_->CreateDirs(dir);
}

void FaultEnv::Rename(const std::string& from, const std::string& to) {
  Count("rename", from);
  base_->Rename(from, to);
}

void FaultEnv::Remove(const std::string& path) {
  Count("remove", path);
  base_->Remove(path);
}

void FaultEnv::SyncDir(const std::string& dir) {
  Count("fsync", dir);
  base_->SyncDir(dir);
}

}  // namespace tributary
