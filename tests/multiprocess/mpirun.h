#pragma once
// Runs programs under mpirun and tells how they ended.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace tributary {

struct Outcome {
  int exit_code = -1;
  double seconds = 0;
  std::string output;  // stdout and stderr

  // From the moment that the output gives as "FAULT ... at <steady seconds>" to the
  // end of everything; -1 when it gives none.
  double seconds_after_fault = -1;
};

// A command line of the shell.
inline Outcome RunShell(const std::string& command) {
  const auto start = std::chrono::steady_clock::now();
  Outcome outcome;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return outcome;
  char buffer[4096];
  while (const size_t got = fread(buffer, 1, sizeof(buffer), pipe)) {
    outcome.output.append(buffer, got);
  }
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const auto end = std::chrono::steady_clock::now();
  outcome.seconds = std::chrono::duration<double>(end - start).count();
  const size_t fault = outcome.output.find("FAULT ");
  const size_t at = fault == std::string::npos ? fault : outcome.output.find(" at ", fault);
  if (at != std::string::npos) {
    outcome.seconds_after_fault =
        std::chrono::duration<double>(end.time_since_epoch()).count() -
        std::strtod(outcome.output.c_str() + at + 4, nullptr);
  }
  return outcome;
}

struct MpirunOptions {
  std::string flags;                    // more flags of mpirun
  std::vector<std::string> environment; // NAME=value, for every rank
  int seconds = 60;                     // killed after that: exit code 124 or 137
};

// `program` and its arguments, quoted for the shell where need be.
inline Outcome Mpirun(int ranks, const std::string& program, const MpirunOptions& options = {}) {
  std::string command = "timeout -k 5 " + std::to_string(options.seconds) + " mpirun";
  if (geteuid() == 0) command += " --allow-run-as-root";
  // More ranks than cores is normal here.
  command += " --oversubscribe --bind-to none " + options.flags;
  for (const std::string& variable : options.environment) command += " -x " + variable;
  return RunShell(command + " -n " + std::to_string(ranks) + " " + program);
}

}  // namespace tributary
