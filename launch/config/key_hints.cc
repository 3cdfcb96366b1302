#include "launch/config/key_hints.h"

#include <deque>
#include <set>

#include "core/base/option_registry.h"
#include "core/base/strings.h"
#include "launch/config/job_schema.h"

namespace tributary {
namespace {

// What other programs call our keys.
const std::map<std::string, std::string>& Synonyms() {
  static const std::map<std::string, std::string> synonyms = {
      {"lr", "learning_rate"},      {"batch_size", "batch"},  {"bs", "batch"},
      {"epoch", "epochs"},          {"n_epochs", "epochs"},   {"num_epochs", "epochs"},
      {"max_epochs", "epochs"},     {"max_steps", "steps"},   {"num_steps", "steps"},
      {"train_steps", "steps"},     {"layers", "model"},      {"network", "model"},
      {"criterion", "loss"},        {"output_dir", "run_dir"}, {"model_dir", "run_dir"},
      {"log_dir", "run_dir"},       {"random_seed", "seed"},  {"dataset", "data"},
      {"max_to_keep", "keep"},      {"save_every", "every"},  {"units_out", "units"},
      {"dropout", "rate"},          {"clipnorm", "clip_norm"}, {"grad_clip", "clip_norm"},
      {"gradient_accumulation", "accumulate"}, {"shuffle_buffer", "shuffle"},
      {"num_threads", "threads"},   {"kernel", "kernel_size"}, {"stride", "strides"},
      {"out_features", "units"},    {"nonlinearity", "activation"}};
  return synonyms;
}

struct Place {
  std::string path;   // for people: "optimizer"
  const OptionTable* table;
};

// Blocks of the job that have `key`, nearest to the top first.
std::string FindBlock(const std::string& key, const std::string& from) {
  std::deque<Place> queue = {{"", &JobTable()}};
  std::set<const OptionTable*> seen;
  while (!queue.empty()) {
    const Place place = queue.front();
    queue.pop_front();
    if (!seen.insert(place.table).second) continue;
    if (place.table->Find(key) && place.path != from) return place.path;
    if (!place.path.empty() && Split(place.path, '.').size() >= 2) continue;
    for (const OptionSpec& spec : place.table->options) {
      const std::string below = place.path.empty() ? spec.name : place.path + "." + spec.name;
      if (spec.table && spec.type != OptionType::kMap) queue.push_back({below, spec.table.get()});
      if (const OptionKind* kind = spec.kind.empty() ? nullptr : FindOptionKind(spec.kind)) {
        for (const OptionTable* table : kind->Tables()) {
          // "optimizer", or "data.train (csv)".
          queue.push_back({below + " (" + table->name + ")", table});
        }
      }
    }
  }
  return "?";
}

}  // namespace

std::string WhereKeyBelongs(const std::string& path, const std::string& key,
                            const std::vector<std::string>& known) {
  const auto synonym = Synonyms().find(key);
  const std::string& name = synonym == Synonyms().end() ? key : synonym->second;
  if (std::find(known.begin(), known.end(), name) != known.end()) {
    return fmt::format("it is called `{}` here", name);
  }
  const std::string block = FindBlock(name, path);
  if (block == "?") return "";
  if (block.empty()) return fmt::format("`{}` belongs at the top of the job", name);
  const size_t kind = block.find(" (");
  const std::string where = block.substr(0, kind);
  if (kind != std::string::npos && where == path) {  // another kind of the same block
    return fmt::format("only `{}` has it", block.substr(kind + 2, block.size() - kind - 3));
  }
  const std::string as = name == key ? "" : fmt::format(", as `{}`", name);
  return fmt::format("`{}` belongs under `{}`{}", key, where, as);
}

}  // namespace tributary
