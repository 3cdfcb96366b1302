#include "trainer/checkpoint/checkpoint_state.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <charconv>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/base/strings.h"
#include "core/io/bundle_format.h"
#include "core/proto/checkpoint.pb.h"

namespace tributary {
namespace {

constexpr const char* kFile = "checkpoint";
constexpr int64_t kMaxStateBytes = 64 << 20;

// Keeps the parser's complaint instead of printing it.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty()) text_ = fmt::format("{}:{}: {}", line + 1, column + 1, message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// N of "<name>-<N>.index", or -1.
int64_t NumberOf(const std::string& file, const std::string& name) {
  if (!StartsWith(file, name + "-") || !EndsWith(file, ".index")) return -1;
  const std::string digits =
      file.substr(name.size() + 1, file.size() - name.size() - 1 - std::strlen(".index"));
  int64_t number = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && end == digits.data() + digits.size() ? number : -1;
}

}  // namespace

std::optional<CheckpointState> ReadCheckpointState(Env* env, const std::string& dir) {
  const std::string path = JoinPath(dir, kFile);
  if (!env->Exists(path)) return std::nullopt;
  proto::CheckpointState message;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  const bool parsed = parser.ParseFromString(ReadFile(env, path, kMaxStateBytes), &message);
  const int paths = message.all_model_checkpoint_paths_size();
  const int times = message.all_model_checkpoint_timestamps_size();
  if (!parsed || (times != 0 && times != paths)) {
    LogWarning("[checkpoint] {} can't be read ({}); looking at the files themselves", path,
               parsed ? "paths and timestamps differ in number" : error.text());
    return std::nullopt;
  }
  CheckpointState state;
  state.last_preserved = message.last_preserved_timestamp();
  for (int i = 0; i < paths; ++i) {
    state.all.push_back({message.all_model_checkpoint_paths(i),
                         times ? message.all_model_checkpoint_timestamps(i) : 0.0});
  }
  if (state.all.empty() && !message.model_checkpoint_path().empty()) {
    state.all.push_back({message.model_checkpoint_path(), 0.0});
  }
  return state;
}

void WriteCheckpointState(Env* env, const std::string& dir, const CheckpointState& state) {
  proto::CheckpointState message;
  for (const CheckpointState::Entry& entry : state.all) {
    message.add_all_model_checkpoint_paths(entry.path);
    message.add_all_model_checkpoint_timestamps(entry.timestamp);
  }
  if (!state.all.empty()) message.set_model_checkpoint_path(state.all.back().path);
  message.set_last_preserved_timestamp(state.last_preserved);
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  WriteFileAtomically(env, JoinPath(dir, kFile), text);
}

std::vector<int64_t> CheckpointNumbers(Env* env, const std::string& dir, const std::string& name) {
  std::vector<int64_t> numbers;
  if (!env->IsDirectory(dir)) return numbers;
  for (const std::string& file : env->List(dir)) {
    const int64_t number = NumberOf(file, name);
    if (number >= 0) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string LatestCheckpoint(Env* env, const std::string& dir) {
  std::string newest;
  std::string name = "ckpt";
  if (const auto state = ReadCheckpointState(env, dir); state && !state->all.empty()) {
    newest = JoinPath(dir, state->all.back().path);
    const std::string base = BaseName(newest);
    if (const size_t dash = base.rfind('-'); dash != std::string::npos) name = base.substr(0, dash);
    if (!env->Exists(BundleIndexName(newest))) newest.clear();
  }
  // A crash between the commit and the state file leaves a newer one unlisted.
  const std::vector<int64_t> numbers = CheckpointNumbers(env, dir, name);
  if (numbers.empty()) return newest;
  const int64_t listed = newest.empty() ? -1 : NumberOf(BaseName(newest) + ".index", name);
  if (listed >= numbers.back()) return newest;
  return JoinPath(dir, fmt::format("{}-{}", name, numbers.back()));
}

}  // namespace tributary
