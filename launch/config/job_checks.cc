#include "launch/config/job_checks.h"

#include <set>

#include "core/base/option_registry.h"
#include "core/base/strings.h"
#include "launch/config/block_callbacks.h"
#include "trainer/data/split.h"

namespace tributary {
namespace {

class JobChecker {
 public:
  JobChecker(const Options& options, const OptionNode& root, int processes,
             std::vector<OptionProblem>* problems)
      : options_(options), root_(root), processes_(processes), problems_(problems) {}

  // Each part only where what it reads is right so far.
  void Run() {
    const auto no_path = [](const OptionProblem& p) { return p.path.empty(); };
    if (std::any_of(problems_->begin(), problems_->end(), no_path)) return;
    const bool data = Sound("data"), strategy = Sound("strategy"), model = Sound("model");
    const bool callbacks = Sound("callbacks");
    const bool figures = callbacks && Sound("checkpoint") && Sound("metrics");
    Splits();
    if (strategy && data) Batches();
    if (strategy) Strategy();
    if (model && options_.Keys("model").empty()) LayerNames();
    if (model && !options_.Keys("model").empty()) Graph();
    if (figures && data) Figures();
    if (callbacks) Twice();
  }

 private:
  // The block is there and nothing in it is wrong, but files that are missing.
  bool Sound(const std::string& key) const {
    const std::vector<std::string> names = options_.Names();
    if (std::find(names.begin(), names.end(), key) == names.end()) return false;
    return std::none_of(problems_->begin(), problems_->end(), [&](const OptionProblem& p) {
      const bool below = p.path == key || StartsWith(p.path, key + ".") ||
                         StartsWith(p.path, key + "[");
      return below && !p.missing_file;
    });
  }

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

  static bool Knows(const Options& options, const std::string& option) {
    const std::vector<std::string> names = options.Names();
    return std::find(names.begin(), names.end(), option) != names.end() && options.Has(option);
  }

  // Slices of the rows, and names of the splits of a source that has such.
  void Splits() {
    const OptionNode* data = root_.Find("data");
    for (const char* name : {"train", "validation", "test"}) {
      const OptionNode* set = data ? data->Find(name) : nullptr;
      const std::string* source = TextOf(set ? set->Find("source") : nullptr);
      const std::string* split = TextOf(set ? set->Find("split") : nullptr);
      const OptionKind* kind = FindOptionKind("data_source");
      const OptionTable* table = source && kind ? kind->FindTable(*source) : nullptr;
      const OptionSpec* spec = table ? table->Find("split") : nullptr;
      if (!spec || !split) continue;
      const std::string wrong = WhatIsWrong(*split, *spec, table->name);
      if (!wrong.empty()) Problem({"data", name, "split"}, wrong);
    }
  }

  static const std::string* TextOf(const OptionNode* node) {
    if (!node) return nullptr;
    return node->AsPlain() ? &node->AsPlain()->text : node->AsString();
  }

  // By its default a source says whether its splits have names.
  static std::string WhatIsWrong(const std::string& split, const OptionSpec& spec,
                                 const std::string& source) {
    std::vector<data::SplitPart> parts;
    try {
      parts = data::ParseSplit(split);
    } catch (const InvalidArgumentError& e) {
      const std::string text = e.what();  // "[data] split ..."
      return text.substr(text.find("split "));
    }
    const std::string* otherwise = TextOf(&spec.default_value);
    const bool slices = otherwise && *otherwise == "[:]";
    const std::vector<std::string> names = {"train", "test"};
    for (const data::SplitPart& part : parts) {
      if (slices && !part.name.empty()) {
        return fmt::format("split '{}': `{}` has no splits with names, so no '{}'; expected a "
                           "slice alone, e.g. [:90%]", split, source, part.name);
      }
      if (source == "mnist" && std::find(names.begin(), names.end(), part.name) == names.end()) {
        const std::string near = DidYouMean(part.name, names);
        return fmt::format("split '{}': `{}` has no split '{}'{}", split, source, part.name,
                           near.empty() ? "; expected train or test" : near);
      }
    }
    return "";
  }

  // What the logs of an epoch hold (Trainer::Impl::LogsOf). Empty: callbacks of others may
  // add to it.
  std::vector<std::string> FiguresOfAnEpoch(bool measured) const {
    std::vector<std::string> figures = {"loss"};
    for (const Options& metric : options_.Children("metrics")) {
      figures.push_back(Knows(metric, "name") ? metric.String("name")
                                              : ToSnakeCase(metric.name()));
    }
    const size_t own = figures.size();
    for (size_t i = 0; measured && i < own; ++i) figures.push_back("val_" + figures[i]);
    static const std::set<std::string> ours = {"CSVLogger", "EarlyStopping", "ModelCheckpoint",
                                               "Progress", "TensorBoard", "TerminateOnNaN"};
    for (const Options& callback : options_.Children("callbacks")) {
      if (callback.name() == "LearningRateScheduler" || callback.name() == "ReduceLROnPlateau") {
        figures.push_back("learning_rate");
      } else if (!ours.contains(callback.name())) {
        return {};
      }
    }
    return figures;
  }

  void Figures() {
    const Options& data = options_.Child("data");
    const bool measured = data.Has("validation") || data.Has("test");
    const std::vector<std::string> figures = FiguresOfAnEpoch(measured);
    const auto look = [&](const Options& who, const char* option, const std::string& called,
                          const std::vector<std::string>& path) {
      if (!Knows(who, option)) return;
      const std::string figure = who.String(option);
      if (StartsWith(figure, "val_") && !measured) {
        Problem(path, fmt::format("{} watches '{}', but there is neither data.validation nor "
                                  "data.test", called, figure));
      } else if (!figures.empty() &&
                 std::find(figures.begin(), figures.end(), figure) == figures.end()) {
        Problem(path, fmt::format("there is no figure '{}' for {} to watch{} (known: {})", figure,
                                  called, DidYouMean(figure, figures), Join(figures, ", ")));
      }
    };
    look(options_.Child("checkpoint"), "best", "checkpoint.best", {"checkpoint", "best"});
    const std::vector<Options> callbacks = options_.Children("callbacks");
    for (size_t i = 0; i < callbacks.size(); ++i) {
      const std::string& name = callbacks[i].name();
      const char* option = name == "ModelCheckpoint" ? "best" : "monitor";
      look(callbacks[i], option, name, {"callbacks", std::to_string(i), name, option});
    }
  }

  // Callbacks that a job has once.
  void Twice() {
    std::set<std::string> seen;
    const std::vector<Options> callbacks = options_.Children("callbacks");
    for (size_t i = 0; i < callbacks.size(); ++i) {
      if (!StandsForBlock(callbacks[i]) || seen.insert(callbacks[i].name()).second) continue;
      Problem({"callbacks", std::to_string(i)},
              fmt::format("`{}` is there twice and would write to the same place; keep one",
                          callbacks[i].name()));
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
