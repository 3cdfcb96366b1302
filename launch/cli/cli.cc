#include "launch/cli/cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/base/strings.h"
#include "distribute/cluster/cluster.h"
#include "launch/cli/exit_codes.h"
#include "launch/cli/standard_output.h"
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

void AddLogFormat(const CommandLine& line, std::string* form) {
  // Read by AsksForJson; here for --help and for mistakes.
  line.Add("--log-format", form,
           "Form of log lines and errors; or by the variable TRIBUTARY_LOG_FORMAT")
      .OneOf({"text", "json"})
      .TypeName("text|json");
  for (const CommandLine& below : line.commands()) AddLogFormat(below, form);
}

// A mistyped variable changes nothing, so it is told.
void WarnOfVariables() {
  if (LaunchRank() > 0) return;
  const char* level = std::getenv("TRIBUTARY_LOG");
  if (level && *level && !IsLogLevel(level)) {
    LogWarning("[cli] TRIBUTARY_LOG is '{}'; expected debug, info, warning or error; it is info",
               level);
  }
  const char* format = std::getenv("TRIBUTARY_LOG_FORMAT");
  if (format && *format && std::string_view(format) != "json" &&
      std::string_view(format) != "text") {
    LogWarning("[cli] TRIBUTARY_LOG_FORMAT is '{}'; expected text or json; it is text", format);
  }
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
    std::fputs(text.c_str(), stderr);  // fmt would throw when nobody reads
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
    AddLogFormat(line, &log_format);
  }
  try {
    if (!root.Parse(argc, argv)) {
      if (LaunchRank() == 0) fmt::print("{}", root.Help());
      return kExitOk;
    }
  } catch (const UsageError& e) {
    if (LaunchRank() > 0) throw QuietExit{kExitUsage};
    TellError(fmt::format("tributary: error: {}\nTry `{} --help`.\n", e.what(), e.command),
              kExitUsage);
    return kExitUsage;
  }
  const bool other_rank = LaunchRank() > 0 && LaunchSize() > 1;
  if (version) return other_rank ? kExitOk : commands.at("version").second();
  for (const auto& [name, command] : commands) {
    if (!command.first.chosen()) continue;
    if (other_rank && CommandRegistry().Get(name).rank_zero_only) {
      if (LaunchRank() == 1 && name == "predict") {  // each may have meant its own part
        LogWarning("[cli] of {} processes rank 0 alone does `{}`; to have each do it, unset "
                   "SLURM_PROCID or OMPI_COMM_WORLD_RANK in it", LaunchSize(), name);
      }
      return kExitOk;
    }
    return command.second();
  }
  if (LaunchRank() == 0) fmt::print("{}", root.Help());
  return kExitUsage;
}

int CodeOf(int argc, const char* const* argv) {
  try {
    WarnOfVariables();
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

}  // namespace

Registry<Command>& CommandRegistry() {
  static Registry<Command> registry("command");
  return registry;
}

int RunCommandLine(int argc, const char* const* argv) {
  StandardOutput out;
  SetLogFormat(AsksForJson(argc, argv) ? LogFormat::kJson : LogFormat::kText);
  SetLogOrigin("host", HostName());
  const int code = CodeOf(argc, argv);
  const int error = out.error();
  if (error == 0) return code;
  const int told = code == kExitOk || code == kExitInternal ? kExitIo : code;
  TellError(fmt::format("tributary: error: standard output can't be written: {}\n",
                        std::strerror(error)),
            told);
  return told;
}

}  // namespace tributary
