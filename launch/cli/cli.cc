#include "launch/cli/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/base/strings.h"
#include "distribute/cluster/cluster.h"
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

// After the options of every command.
std::string Footer() {
  return ExitCodeTable() +
         "\nLog lines:\n"
         "  TRIBUTARY_LOG=debug|info|warning|error chooses the level. As json each line on\n"
         "  standard error and in logs/ is an object with time (UTC), level, job, task, host,\n"
         "  message and fields; progress, results and errors of `train` are such lines too.\n";
}

// Before anything is parsed: what is wrong with the command line is told in this form.
bool AsksForJson(int argc, const char* const* argv) {
  const char* variable = std::getenv("TRIBUTARY_LOG_FORMAT");
  bool json = variable && std::string_view(variable) == "json";
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--log-format=json") json = true;
    if (word == "--log-format=text") json = false;
    if (word == "--log-format" && i + 1 < argc) json = std::string_view(argv[i + 1]) == "json";
  }
  return json;
}

// The last words of a process, on standard error.
void TellError(const std::string& text, int code) {
  std::fflush(stdout);
  if (GetLogFormat() == LogFormat::kJson) {
    LogEvent(LogLevel::kError, std::string(Trim(text)), {{"exit_code", int64_t{code}}});
  } else {
    fmt::print(stderr, "{}", text);
  }
}

int Run(int argc, const char* const* argv) {
  CLI::App app{"Trains neural networks across processes, from one YAML job.", "tributary"};
  app.require_subcommand(0, 1);
  app.footer(Footer());
  app.get_formatter()->column_width(34);
  bool version = false;
  std::string log_format;
  app.add_flag("--version", version, "Print version and build, then stop");
  std::map<const CLI::App*, std::function<int()>> run;
  for (const auto& [name, command] : InOrder()) {
    CLI::App* sub = app.add_subcommand(name, command->doc);
    sub->footer(Footer());
    sub->get_formatter()->column_width(34);
    run[sub] = command->set_up(*sub);
    // Read by AsksForJson; here for --help and for mistakes.
    sub->add_option("--log-format", log_format, "Form of log lines and errors; or by the "
                                                "variable TRIBUTARY_LOG_FORMAT")
        ->check(CLI::IsMember({"text", "json"}))
        ->type_name("text|json");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help
    if (LaunchRank() == 0) app.exit(asked);
    return kExitOk;
  } catch (const CLI::ParseError& e) {
    if (LaunchRank() > 0) throw QuietExit{kExitUsage};
    TellError(fmt::format("tributary: error: {}{}\nTry `tributary --help`.\n", e.what(),
                          Suggestion(app, argc, argv)),
              kExitUsage);
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
  SetLogFormat(AsksForJson(argc, argv) ? LogFormat::kJson : LogFormat::kText);
  SetLogOrigin("host", HostName());
  try {
    return Run(argc, argv);
  } catch (const QuietExit& quiet) {
    LetRankZeroSpeak();
    return quiet.code;
  } catch (const ConfigError& e) {
    if (LaunchRank() == 0) {
      TellError(e.what(), ExitCodeOf(e));
    } else {
      LetRankZeroSpeak();
    }
    return ExitCodeOf(e);
  } catch (const std::exception& e) {
    const std::string who =
        LaunchSize() > 1 ? fmt::format("tributary (rank {})", LaunchRank()) : "tributary";
    TellError(GetLogFormat() == LogFormat::kJson ? e.what()
                                                 : fmt::format("{}: error: {}\n", who, e.what()),
              ExitCodeOf(e));
    return ExitCodeOf(e);
  } catch (...) {
    TellError("tributary: error: unknown exception\n", kExitBug);
    return kExitBug;
  }
}

}  // namespace tributary
