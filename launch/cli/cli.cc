#include "launch/cli/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "core/base/errors.h"
#include "core/base/strings.h"
#include "launch/cli/exit_codes.h"
#include "launch/config/diagnostics.h"
#include "launch/config/launch_rank.h"

namespace tributary {
namespace {

std::vector<std::pair<std::string, const Command*>> InOrder() {
  std::vector<std::pair<std::string, const Command*>> commands;
  for (const auto& [name, command] : CommandRegistry().entries()) {
    commands.emplace_back(name, &command);
  }
  std::stable_sort(commands.begin(), commands.end(), [](const auto& a, const auto& b) {
    return a.second->order < b.second->order;
  });
  return commands;
}

// CLI11 has no did-you-mean: look at the first word and the options ourselves.
std::string Suggestion(const CLI::App& app, int argc, const char* const* argv) {
  const CLI::App* scope = &app;
  int begin = 1;
  if (argc > 1 && argv[1][0] != '-') {
    if (!CommandRegistry().Find(argv[1])) {
      return DidYouMean(argv[1], CommandRegistry().Names());
    }
    scope = app.get_subcommand(argv[1]);
    begin = 2;
    std::vector<std::string> inner;
    for (const CLI::App* sub : scope->get_subcommands({})) inner.push_back(sub->get_name());
    if (!inner.empty() && argc > 2 && argv[2][0] != '-') {
      if (std::find(inner.begin(), inner.end(), argv[2]) == inner.end()) {
        return DidYouMean(argv[2], inner);
      }
      scope = scope->get_subcommand(argv[2]);
      begin = 3;
    }
  }
  std::vector<std::string> flags;
  for (const CLI::Option* option : scope->get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  for (int i = begin; i < argc; ++i) {
    const std::string word = Split(argv[i], '=')[0];
    if (!StartsWith(word, "--")) continue;
    if (std::find(flags.begin(), flags.end(), word) == flags.end()) {
      return DidYouMean(word, flags);
    }
  }
  return "";
}

int Run(int argc, const char* const* argv) {
  CLI::App app{"Trains neural networks across processes, from one YAML job.", "tributary"};
  app.require_subcommand(0, 1);
  app.footer(ExitCodeTable());
  app.get_formatter()->column_width(34);
  bool version = false;
  app.add_flag("--version", version, "Print version and build, then stop");
  std::map<const CLI::App*, std::function<int()>> run;
  for (const auto& [name, command] : InOrder()) {
    CLI::App* sub = app.add_subcommand(name, command->doc);
    sub->footer(ExitCodeTable());
    sub->get_formatter()->column_width(34);
    run[sub] = command->set_up(*sub);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help
    if (LaunchRank() == 0) app.exit(asked);
    return kExitOk;
  } catch (const CLI::ParseError& e) {
    if (LaunchRank() == 0) {
      fmt::print(stderr, "tributary: error: {}{}\nTry `tributary --help`.\n", e.what(),
                 Suggestion(app, argc, argv));
    }
    return kExitUsage;
  }
  if (version) return CommandRegistry().Get("version").set_up(app)();
  for (const auto& [sub, function] : run) {
    if (sub->parsed()) return function();
  }
  if (LaunchRank() == 0) fmt::print("{}", app.help());
  return kExitUsage;
}

}  // namespace

Registry<Command>& CommandRegistry() {
  static Registry<Command> registry("command");
  return registry;
}

int RunCommandLine(int argc, const char* const* argv) {
  try {
    return Run(argc, argv);
  } catch (const QuietExit& quiet) {
    return quiet.code;
  } catch (const ConfigError& e) {
    if (LaunchRank() == 0) fmt::print(stderr, "{}", e.what());
    return ExitCodeOf(e);
  } catch (const std::exception& e) {
    std::fflush(stdout);
    const std::string who =
        LaunchSize() > 1 ? fmt::format("tributary (rank {})", LaunchRank()) : "tributary";
    fmt::print(stderr, "{}: error: {}\n", who, e.what());
    return ExitCodeOf(e);
  } catch (...) {
    fmt::print(stderr, "tributary: error: unknown exception\n");
    return kExitBug;
  }
}

}  // namespace tributary
