#pragma once
// The command line: `tributary COMMAND ...`. Each command is one file that
// registers itself.

#include <functional>
#include <string>

#include "core/base/registry.h"
#include "launch/cli/command_line.h"

namespace tributary {

struct Command {
  std::string doc;  // one line for --help
  int order = 0;    // place in --help
  // Adds its arguments and returns what runs after parsing, giving the exit code. Whatever
  // that throws becomes one (launch/cli/exit_codes.h).
  std::function<std::function<int()>(const CommandLine& line)> set_up;
  // Under a launcher rank 0 alone does the work; the others end at once, with 0.
  bool rank_zero_only = false;
};

Registry<Command>& CommandRegistry();

struct CommandRegistrar {
  CommandRegistrar(const char* name, Command command) {
    CommandRegistry().Add(name, std::move(command));
  }
};

// Thrown to leave with a code when another process has said why.
struct QuietExit {
  int code;
};

// Parses, runs and returns the exit code (launch/cli/exit_codes.h). Never throws.
// Only rank 0 of a job reports what is wrong with the command line or the job.
int RunCommandLine(int argc, const char* const* argv);

}  // namespace tributary
