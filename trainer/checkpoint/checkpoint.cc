#include "trainer/checkpoint/checkpoint.h"

#include "core/base/errors.h"
#include "core/base/strings.h"
#include "core/io/bundle_shard.h"
#include "core/io/bundle_writer.h"

namespace tributary {
namespace {

constexpr const char* kGraphKey = "_CHECKPOINTABLE_OBJECT_GRAPH";
constexpr std::string_view kExtraPrefix = "_tributary/";
constexpr int64_t kMaxNames = 10;

std::string ExtraKey(const std::string& name) { return std::string(kExtraPrefix) + name; }

TrackablePtr CopyGraph(const TrackablePtr& node,
                       std::map<const Trackable*, TrackablePtr>* copies) {
  TrackablePtr& copy = (*copies)[node.get()];
  if (copy) return copy;
  copy = Trackable::Container();
  const TrackablePtr result = copy;  // the map may move
  result->full_name = node->full_name;
  if (node->tensor.defined()) result->tensor = node->tensor.Clone();
  for (const Trackable::Edge& edge : node->edges) {
    result->edges.push_back({edge.name, CopyGraph(edge.node, copies), edge.hidden});
  }
  return result;
}

int64_t BytesOf(const Tensor& tensor) {
  if (tensor.dtype() != DType::kString) return static_cast<int64_t>(tensor.bytes());
  int64_t bytes = 0;
  for (const std::string& text : tensor.values<std::string>()) bytes += text.size() + 10;
  return bytes;
}

}  // namespace

CheckpointContent CheckpointContent::Snapshot() const {
  CheckpointContent copy;
  std::map<const Trackable*, TrackablePtr> copies;
  copy.root = CopyGraph(root, &copies);
  for (const auto& [name, tensor] : extras) copy.extras[name] = tensor.Clone();
  return copy;
}

int64_t CheckpointContent::Bytes() const {
  int64_t bytes = 0;
  for (const TrackedVariable& v : ListVariables(root)) bytes += BytesOf(v.node->tensor);
  for (const auto& [name, tensor] : extras) bytes += BytesOf(tensor);
  return bytes;
}

void WriteCheckpoint(Env* env, const std::string& prefix, const CheckpointContent& content,
                     int num_shards) {
  const std::vector<TrackedVariable> variables = ListVariables(content.root);
  const int shards = std::max(1, std::min(num_shards, static_cast<int>(variables.size())));
  BundleWriter writer(env, prefix, shards);
  for (size_t i = 0; i < variables.size(); ++i) {
    writer.Add(variables[i].key, variables[i].node->tensor, static_cast<int>(i) % shards);
  }
  for (const auto& [name, tensor] : content.extras) writer.Add(ExtraKey(name), tensor);
  writer.Add(kGraphKey, Tensor(SerializeObjectGraph(content.root)));
  writer.Finish();
}

void WriteCheckpointWith(Env* env, const std::string& prefix, const CheckpointContent& content,
                         std::vector<std::string> others) {
  const int number = static_cast<int>(others.size());
  BundleShardWriter writer(env, prefix, number, number + 1);
  for (const TrackedVariable& v : ListVariables(content.root)) writer.Add(v.key, v.node->tensor);
  for (const auto& [name, tensor] : content.extras) writer.Add(ExtraKey(name), tensor);
  writer.Add(kGraphKey, Tensor(SerializeObjectGraph(content.root)));
  others.push_back(writer.Finish());
  CommitBundleShards(env, prefix, others);
}

CheckpointFile::CheckpointFile(Env* env, const std::string& prefix) : bundle_(env, prefix) {}

GraphMatch CheckpointFile::Match(const TrackablePtr& root) const {
  if (bundle_.Has(kGraphKey)) {
    GraphMatch match = MatchObjectGraph(bundle_.Read(kGraphKey).item<std::string>(), root,
                                        bundle_.prefix());
    const auto hidden =
        std::partition(match.unmatched.begin(), match.unmatched.end(),
                       [&](const TrackedVariable& v) { return !bundle_.Has(v.key); });
    match.matched.insert(match.matched.end(), hidden, match.unmatched.end());
    match.unmatched.erase(hidden, match.unmatched.end());
    return match;
  }
  // A name-based checkpoint (tf.compat.v1.train.Saver).
  GraphMatch match;
  for (TrackedVariable& v : ListVariables(root)) {
    if (bundle_.Has(v.node->full_name)) {
      match.matched.push_back({v.node->full_name, v.node});
    } else {
      match.unmatched.push_back(std::move(v));
    }
  }
  return match;
}

std::vector<std::string> CheckpointFile::Restore(const TrackablePtr& root,
                                                 const RestoreOptions& options) const {
  const GraphMatch match = Match(root);
  if (!match.unmatched.empty() && !options.expect_partial) {
    std::vector<std::string> names;
    for (const TrackedVariable& v : match.unmatched) names.push_back(v.node->full_name);
    const int64_t more = static_cast<int64_t>(names.size()) - kMaxNames;
    if (more > 0) names.resize(kMaxNames);
    throw FailedPreconditionError(
        "[checkpoint] {} lacks {} variable(s) of the model: {}{}; it was saved by another model, "
        "start in another run_dir or restore partially",
        bundle_.prefix(), match.unmatched.size(), Join(names, ", "),
        more > 0 ? fmt::format(" and {} more", more) : "");
  }
  std::vector<Tensor> values;
  for (const TrackedVariable& v : match.matched) {
    Tensor value = bundle_.Read(v.key);
    const Tensor& live = v.node->tensor;
    if (value.dtype() != live.dtype() || value.shape() != live.shape()) {
      throw InvalidArgumentError(
          "[checkpoint] {} does not fit the model; variable '{}': expected {} {}, got {} {}; it "
          "was saved by another model, start in another run_dir",
          bundle_.prefix(), v.node->full_name, DTypeName(live.dtype()), live.shape().ToString(),
          DTypeName(value.dtype()), value.shape().ToString());
    }
    values.push_back(std::move(value));
  }
  std::vector<std::string> keys;
  for (size_t i = 0; i < values.size(); ++i) {
    CopyTensor(values[i], match.matched[i].node->tensor);
    keys.push_back(match.matched[i].key);
  }
  return keys;
}

std::vector<std::string> CheckpointFile::ExtraNames() const {
  std::vector<std::string> names;
  for (const auto& [key, info] : bundle_.tensors()) {
    if (StartsWith(key, kExtraPrefix)) names.push_back(key.substr(kExtraPrefix.size()));
  }
  return names;
}

bool CheckpointFile::HasExtra(const std::string& name) const { return bundle_.Has(ExtraKey(name)); }

Tensor CheckpointFile::Extra(const std::string& name) const { return bundle_.Read(ExtraKey(name)); }

}  // namespace tributary
