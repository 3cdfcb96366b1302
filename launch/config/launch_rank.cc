#include "launch/config/launch_rank.h"

#include <chrono>
#include <cstdlib>
#include <initializer_list>
#include <thread>

namespace tributary {
namespace {

int FirstNumber(std::initializer_list<const char*> variables, int otherwise) {
  for (const char* name : variables) {
    const char* text = std::getenv(name);
    if (!text || !*text) continue;
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    if (*end == '\0' && value >= 0 && value < 1 << 24) return static_cast<int>(value);
  }
  return otherwise;
}

}  // namespace

// SLURM_PROCID is set in a batch script's own shell too, as 0 of 1 task there.
int LaunchRank() {
  return FirstNumber({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"}, 0);
}

void LetRankZeroSpeak() {
  // Its end ends this process too, long before this is over.
  if (LaunchRank() > 0 && LaunchSize() > 1) std::this_thread::sleep_for(std::chrono::seconds(1));
}

int LaunchSize() {
  return FirstNumber({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}, 1);
}

}  // namespace tributary
