// The victim of tests/crash/run.
//
//   checkpoint_saver save DIR STEP   restores, saves STEP, says SAVED when it is durable
//   checkpoint_saver restore DIR     prints the step that is restored
//
// BEGIN and END on standard error mark the save in a trace of system calls.

#include <unistd.h>

#include <cstdio>

#include "trainer/checkpoint/checkpoint_manager.h"

namespace {

using tributary::CheckpointContent;
using tributary::CheckpointManager;
using tributary::Tensor;
using tributary::Trackable;

void Mark(const char* text) {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) _exit(4);
}

int Run(const std::string& mode, const std::string& dir, int64_t step) {
  const Tensor weights = Tensor::Full<float>({100000}, -1.0f);
  CheckpointContent content{Trackable::Container(), {}};
  content.root->Add("model/w", Trackable::Variable("w", weights));
  CheckpointManager manager({.directory = dir, .max_to_keep = 1, .asynchronous = false});
  manager.RestoreOrInitialize(content.root);
  if (mode == "restore") {
    // Every element: a mixture of two saves would show.
    const float first = weights.data<float>()[0];
    for (const float w : weights.values<float>()) {
      if (w != first) throw tributary::InternalError("a mixture of two checkpoints");
    }
    std::printf("%d\n", static_cast<int>(first));
    return 0;
  }
  std::fill_n(weights.mutable_data<float>(), weights.NumElements(), static_cast<float>(step));
  content.extras["step"] = Tensor(step);
  Mark("BEGIN\n");
  manager.Save(content, step);
  Mark("END\n");
  if (manager.failures() == 0) std::puts("SAVED");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 64;
  try {
    return Run(argv[1], argv[2], argc > 3 ? std::atoll(argv[3]) : 0);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 3;
  }
}
