#include "launch/cli/cli.h"

#include <fmt/format.h>

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
  RootCommandLine root("tributary", "Trains neural networks across processes, from one YAML job.",
                       Footer());
  bool version = false;
  std::string log_format;
  root.Add("--version", &version, "Print version and build, then stop");
  std::map<std::string, std::pair<CommandLine, std::function<int()>>> commands;
  for (const auto& [name, command] : InOrder()) {
    const CommandLine line = root.AddCommand(name, command->doc);
    commands.insert({name, {line, command->set_up(line)}});
    // Read by AsksForJson; here for --help and for mistakes.
    line.Add("--log-format", &log_format,
             "Form of log lines and errors; or by the variable TRIBUTARY_LOG_FORMAT")
        .OneOf({"text", "json"})
        .TypeName("text|json");
  }
  try {
    if (!root.Parse(argc, argv)) {
      if (LaunchRank() == 0) fmt::print("{}", root.Help());
      return kExitOk;
    }
  } catch (const UsageError& e) {
    if (LaunchRank() > 0) throw QuietExit{kExitUsage};
    TellError(fmt::format("tributary: error: {}\nTry `tributary --help`.\n", e.what()),
              kExitUsage);
    return kExitUsage;
  }
  if (version) return commands.at("version").second();
  for (const auto& [name, command] : commands) {
    if (command.first.chosen()) return command.second();
  }
  if (LaunchRank() == 0) fmt::print("{}", root.Help());
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
