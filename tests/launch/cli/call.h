#pragma once
// The command line as a user calls it, in this process.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "launch/cli/cli.h"

namespace tributary {

struct Outcome {
  int code = 0;
  std::string out, err;
};

// `words` without the program's name.
inline Outcome Call(std::vector<std::string> words) {
  words.insert(words.begin(), "tributary");
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = RunCommandLine(static_cast<int>(argv.size()), argv.data());
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

}  // namespace tributary
