#pragma once
// result.json of a run.

#include <string>

#include "trainer/loop/trainer.h"

namespace tributary {

struct RunResult {
  std::string job, hash, status = "running";  // done, stopped, failed
  std::string error;
  int exit_code = 0;
  int64_t steps = 0, epochs = 0, processes = 1;
  double wall_seconds = 0;
  double examples_per_second = 0;  // of this launch, validation included
  History history;
  Logs test;
};

// One object: "job", "status", "exit_code", "steps", "epochs", "wall_seconds",
// "examples_per_second", "final" and "best" (each figure of the epochs), "test".
// `before` is the text of the file that an earlier launch of the run has left, or "":
// its best figures count on, and its last ones stay when no epoch has ended since.
std::string ResultJson(const RunResult& result, const std::string& before = "");

// Whether more is better, by the figure's name: not of losses and errors.
bool MoreIsBetter(const std::string& figure);

// "loss 0.2231  accuracy 0.9350".
std::string FormatLogs(const Logs& logs);

}  // namespace tributary
