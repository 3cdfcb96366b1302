#include "core/io/env.h"

#include <unistd.h>

#include "core/base/errors.h"

namespace tributary {

std::string ReadFile(Env* env, const std::string& path, int64_t max_bytes) {
  const auto file = env->OpenReadable(path);
  if (file->size() > max_bytes) {
    throw InvalidArgumentError("[io] {} is too large; expected at most {} bytes, got {}", path,
                               max_bytes, file->size());
  }
  std::string data(file->size(), '\0');
  data.resize(file->Read(0, data.size(), data.data()));
  return data;
}

void ReadExactly(const ReadableFile& file, int64_t offset, size_t count, void* out) {
  const size_t got = file.Read(offset, count, out);
  if (got != count) {
    throw DataLossError("[io] {} is truncated; expected {} bytes at offset {}, got {}",
                        file.path(), count, offset, got);
  }
}

void WriteFileAtomically(Env* env, const std::string& asked, std::string_view data) {
  const auto [path, stream] = env->Target(asked);
  if (stream) {
    const auto file = env->OpenWritable(path, OpenMode::kTruncate);
    file->Append(data);
    return file->Close();
  }
  const std::string temporary = fmt::format("{}.tmp-{}", path, getpid());
  try {
    const auto file = env->OpenWritable(temporary, OpenMode::kTruncate);
    file->Append(data);
    file->Sync();
    file->Close();
    env->Rename(temporary, path);
  } catch (...) {
    try {
      env->Remove(temporary);
    } catch (const Error&) {  // the first error is the one to report
    }
    throw;
  }
  env->SyncDir(DirName(path));
}

std::string DirName(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string BaseName(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string JoinPath(const std::string& dir, const std::string& name) {
  if (dir.empty() || (!name.empty() && name[0] == '/')) return name;
  return dir.back() == '/' ? dir + name : dir + "/" + name;
}

}  // namespace tributary
