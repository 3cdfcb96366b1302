#pragma once
// The drill's chief: hands out windows of batches, evicts, saves, and judges in the end.

#include <memory>

#include "distribute/coordinator/coordinator.h"
#include "tests/multiprocess/drill/drill.h"
#include "tests/multiprocess/drill/faults.h"

namespace tributary::drill {

// The parent of all others; one thread. Throws what their loss can throw.
class DrillChief {
 public:
  explicit DrillChief(const Drill& drill);

  // Windows until the injector is through; false when the job stood still.
  bool Train(const Injector& injector);

  // How many elements and rows are wrong.
  int Judge();

  void End() { coordinator_->End(""); }
  int64_t batches() const { return batches_; }
  int saves() const { return saves_; }
  uint64_t bases();  // that the servers' present lives have made
  uint32_t losses() const {
    uint32_t n = 0;
    for (const auto& w : coordinator_->WorkerStates()) n += w.losses;
    return n;
  }

 private:
  bool Hangs();  // false, and who waits for whom
  int JudgeRows(int64_t batch, int wrong_before);
  std::vector<int64_t> Evict(uint32_t worker, uint64_t generation);
  // In the middle of a window: what a server comes back from is its own part.
  void Save();

  const Drill& drill_;
  Parameters parameters_;
  std::unique_ptr<coordinator::Coordinator> coordinator_;
  int64_t batches_ = 0;
  int saves_ = 0;
};

}  // namespace tributary::drill
