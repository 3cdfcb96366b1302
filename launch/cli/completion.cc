// tributary completion bash|zsh|fish: a script for the shell; after --set it offers
// the keys of a job.

#include <fmt/format.h>

#include "core/base/option_registry.h"
#include "core/base/strings.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "launch/config/job_schema.h"

namespace tributary {
namespace {

// "train.epochs=", "optimizer.Adam.learning_rate=", ...: what --set may name.
void AddKeys(const OptionTable& table, const std::string& path, std::vector<std::string>* keys) {
  for (const OptionSpec& spec : table.options) {
    const std::string below = path + spec.name;
    keys->push_back(below + "=");
    if (spec.list || spec.type == OptionType::kMap || Split(below, '.').size() > 2) continue;
    if (spec.table) AddKeys(*spec.table, below + ".", keys);
    const OptionKind* kind = spec.kind.empty() ? nullptr : FindOptionKind(spec.kind);
    for (const OptionTable* thing : kind ? kind->Tables() : std::vector<const OptionTable*>()) {
      const bool tagged = spec.type == OptionType::kTagged;
      AddKeys(*thing, below + (tagged ? "." : "." + thing->name + "."), keys);
    }
  }
}

std::string Keys() {
  std::vector<std::string> keys;
  AddKeys(JobTable(), "", &keys);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return Join(keys, "\n") + "\n";
}

constexpr char kBash[] = R"sh(_tributary() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  if [[ $before == --set ]]; then
    compopt -o nospace
    COMPREPLY=($(compgen -W "$(tributary completion keys 2>/dev/null)" -- "$word"))
  elif [[ $COMP_CWORD == 1 ]]; then
    COMPREPLY=($(compgen -W "{commands}" -- "$word"))
  elif [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$(tributary "${{COMP_WORDS[1]}}" --help 2>/dev/null |
      grep -oE -- '--[a-z-]+' | sort -u)" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _tributary tributary
)sh";

constexpr char kFish[] = R"sh(complete -c tributary -n __fish_use_subcommand -f -a "{commands}"
complete -c tributary -l set -x -a "(tributary completion keys 2>/dev/null)"
)sh";

std::function<int()> SetUp(const CommandLine& line) {
  auto shell = std::make_shared<std::string>();
  line.Add("SHELL", shell.get(), "bash, zsh or fish: source <(tributary completion bash)")
      .Required()
      .OneOf({"bash", "zsh", "fish", "keys"});
  return [shell] {
    const std::string commands = Join(CommandRegistry().Names(), " ");
    if (*shell == "keys") {
      fmt::print("{}", Keys());
    } else if (*shell == "fish") {
      fmt::print(kFish, fmt::arg("commands", commands));
    } else {
      if (*shell == "zsh") fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
      fmt::print(kBash, fmt::arg("commands", commands));
    }
    return static_cast<int>(kExitOk);
  };
}

const CommandRegistrar registrar("completion", {"Print a completion script for your shell", 90,
                                                SetUp, true});

}  // namespace
}  // namespace tributary
