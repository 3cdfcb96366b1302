#include "launch/config/job_checks.h"

#include <set>

#include "core/base/strings.h"

namespace tributary {
namespace {

class JobChecker {
 public:
  JobChecker(const Options& options, const OptionNode& root, int processes,
             std::vector<OptionProblem>* problems)
      : options_(options), root_(root), processes_(processes), problems_(problems) {}

  void Run() {
    Batches();
    Strategy();
    if (options_.Keys("model").empty()) {
      LayerNames();
    } else {
      Graph();
    }
    Callbacks();
  }

 private:
  // Place of the longest part of the path that was written down.
  OptionMark Mark(const std::vector<std::string>& path) const {
    const OptionNode* node = &root_;
    OptionMark mark = root_.mark;
    for (const std::string& key : path) {
      const OptionNode* child = nullptr;
      if (const OptionNode::List* list = node->AsList()) {
        int64_t index = 0;
        if (ParseInt(key, &index).empty() && index < static_cast<int64_t>(list->size())) {
          child = &(*list)[index];
        }
      } else {
        child = node->Find(key);
      }
      if (!child) break;
      node = child;
      mark = child->mark;
    }
    return mark;
  }

  void Problem(const std::vector<std::string>& path, std::string message) {
    problems_->push_back({Mark(path), Join(path, "."), std::move(message)});
  }

  std::string StrategyName() const {
    return options_.IsObject("strategy") ? options_.Child("strategy").name()
                                         : options_.String("strategy");
  }

  void Batches() {
    if (processes_ <= 1) return;
    const Options& data = options_.Child("data");
    if (!data.Has("train")) return;
    const int64_t batch = data.Child("train").Int("batch");
    const int64_t sharing = Sharing();
    if (sharing < 1 || batch % sharing == 0) return;
    Problem({"data", "train", "batch"},
            fmt::format("a batch of {} cannot be shared equally by the {} {} of this "
                        "launch; take a multiple of {}",
                        batch, sharing, sharing == processes_ ? "processes" : "workers", sharing));
  }

  // Processes that share out each batch. With parameter servers those are the workers, and
  // only in sync.
  int64_t Sharing() const {
    if (StrategyName() != "ParameterServer") return processes_;
    const Options& strategy = options_.Child("strategy");
    if (strategy.String("consistency") != "sync") return 1;
    return processes_ - 1 - strategy.Int("servers");
  }

  void Strategy() {
    if (processes_ > 1 && StrategyName() == "ParameterServer") return Servers();
    if (processes_ <= 1 || StrategyName() != "OneDevice") return;
    Problem({"strategy"},
            fmt::format("one_device is for one process, and this launch has {}; take auto "
                        "or multi_worker_mirrored",
                        processes_));
  }

  void Servers() {
    const int64_t servers = options_.Child("strategy").Int("servers");
    if (processes_ >= servers + 2) return;
    Problem({"strategy", "ParameterServer", "servers"},
            fmt::format("{} processes are too few for a chief, a worker and {} server{}; take "
                        "mpirun -n {} or more, fewer servers, or one process without mpirun",
                        processes_, servers, servers == 1 ? "" : "s", servers + 2));
  }

  static std::string LayerName(const Options& layer) {
    const auto names = layer.Names();
    if (std::find(names.begin(), names.end(), "name") == names.end()) return "";
    return layer.Has("name") ? layer.String("name") : "";
  }

  void LayerNames() {
    std::map<std::string, size_t> seen;
    const std::vector<Options> layers = options_.Children("model");
    for (size_t i = 0; i < layers.size(); ++i) {
      const std::string name = LayerName(layers[i]);
      if (name.empty()) continue;
      const auto [first, added] = seen.emplace(name, i);
      if (added) continue;
      Problem({"model", std::to_string(i), layers[i].name(), "name"},
              fmt::format("two layers are called '{}': model[{}] and model[{}]", name,
                          first->second, i));
    }
  }

  // Named layers: inputs exist, no layer depends on itself, one output.
  void Graph() {
    const std::vector<std::string> keys = options_.Keys("model");
    const std::vector<Options> layers = options_.Children("model");
    std::map<std::string, size_t> index;
    for (size_t i = 0; i < keys.size(); ++i) index[keys[i]] = i;
    bool sound = true;
    bool has_input = false;
    std::vector<std::vector<size_t>> inputs(keys.size());
    std::set<size_t> read;
    for (size_t i = 0; i < keys.size(); ++i) {
      const bool is_input = layers[i].name() == "Input" || layers[i].name() == "InputLayer";
      has_input |= is_input;
      const std::vector<std::string> names =
          layers[i].Has("inputs") ? layers[i].Strings("inputs") : std::vector<std::string>();
      if (is_input != names.empty()) {
        sound = false;
        Problem({"model", keys[i], "inputs"},
                is_input ? fmt::format("`{}` is an Input: it reads the data, not a layer", keys[i])
                         : fmt::format("`{}` reads nothing; add `inputs: [...]`", keys[i]));
      }
      for (size_t k = 0; k < names.size(); ++k) {
        const auto it = index.find(names[k]);
        if (it == index.end()) {
          sound = false;
          Problem({"model", keys[i], "inputs", std::to_string(k)},
                  fmt::format("there is no layer '{}'{}", names[k], DidYouMean(names[k], keys)));
        } else {
          inputs[i].push_back(it->second);
          read.insert(it->second);
        }
      }
    }
    if (!has_input) Problem({"model"}, "named layers start with one `{Input: {shape: [...]}}` or more");
    if (sound) Cycles(keys, inputs);
    if (sound && read.size() == keys.size()) {
      Problem({"model"}, "no layer is the output: every one is read by another");
    }
  }

  void Cycles(const std::vector<std::string>& keys,
              const std::vector<std::vector<size_t>>& inputs) {
    std::vector<int> missing(keys.size());
    std::vector<std::vector<size_t>> readers(keys.size());
    std::vector<size_t> ready;
    for (size_t i = 0; i < keys.size(); ++i) {
      missing[i] = static_cast<int>(inputs[i].size());
      for (const size_t input : inputs[i]) readers[input].push_back(i);
      if (missing[i] == 0) ready.push_back(i);
    }
    for (size_t next = 0; next < ready.size(); ++next) {
      for (const size_t reader : readers[ready[next]]) {
        if (--missing[reader] == 0) ready.push_back(reader);
      }
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      if (missing[i] <= 0) continue;
      Problem({"model", keys[i], "inputs"},
              fmt::format("`{}` depends on itself through its inputs", keys[i]));
      return;
    }
  }

  void Callbacks() {
    const std::vector<Options> callbacks = options_.Children("callbacks");
    const Options& data = options_.Child("data");
    const bool measured = data.Has("validation") || data.Has("test");
    for (size_t i = 0; i < callbacks.size(); ++i) {
      const auto names = callbacks[i].Names();
      if (std::find(names.begin(), names.end(), "monitor") == names.end()) continue;
      if (!callbacks[i].Has("monitor")) continue;
      const std::string monitor = callbacks[i].String("monitor");
      if (!StartsWith(monitor, "val_") || measured) continue;
      Problem({"callbacks", std::to_string(i), callbacks[i].name(), "monitor"},
              fmt::format("{} watches '{}', but there is neither data.validation nor data.test",
                          callbacks[i].name(), monitor));
    }
  }

  const Options& options_;
  const OptionNode& root_;
  const int processes_;
  std::vector<OptionProblem>* problems_;
};

}  // namespace

void CheckJob(const Options& options, const OptionNode& root, int processes,
              std::vector<OptionProblem>* problems) {
  JobChecker(options, root, processes, problems).Run();
}

}  // namespace tributary
