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

Options ForWriting(const Options& job) {
  using List = Options::Value::List;
  auto data = std::make_shared<Options::Data>(job.data());
  for (Options::Data::Entry& entry : data->entries) {
    auto* list = std::get_if<List>(&entry.value.v);
    if (entry.name != "callbacks" || !list) continue;
    for (Options::Value& item : *list) {
      const Options& callback = std::get<Options>(item.v);
      if (callback.name() != "ModelCheckpoint" && !StandsForBlock(callback)) continue;
      auto chosen = std::make_shared<Options::Data>(callback.data());
      for (Options::Data::Entry& option : chosen->entries) {
        if (option.origin == "default") option.value.v = std::monostate();
      }
      item.v = Options(std::move(chosen));
    }
  }
  return Options(std::move(data));
}

}  // namespace tributary
