#include "launch/config/block_callbacks.h"

#include <filesystem>

namespace tributary {

bool StandsForBlock(const Options& callback) {
  const auto writes_into = [&](const char* option, const char* folder) {
    const std::filesystem::path path(callback.String(option) + "/");
    return path.lexically_normal() == std::filesystem::path(folder);
  };
  if (callback.name() == "ModelCheckpoint") return writes_into("directory", "checkpoints/");
  if (callback.name() == "TensorBoard") return writes_into("log_dir", "summaries/");
  return callback.name() == "Progress";
}

}  // namespace tributary
