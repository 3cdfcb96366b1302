#pragma once
// A worker's steps with an embedding table on a server: tell the ids of a batch apart,
// pull their rows, sum the gradients of all positions, push.

#include <array>
#include <cstdint>
#include <vector>

#include "distribute/ps/key_set.h"
#include "distribute/ps/ps_client.h"
#include "distribute/ps/table_spec.h"

namespace tributary {

// Batches of 26 columns of 4096 ids below `rows`, id k with probability ~ (k + 1)^-1.05.
struct ZipfBatches {
  static constexpr int64_t kIds = 4096 * 26;
  static constexpr size_t kCount = 8;

  explicit ZipfBatches(int64_t rows);

  int64_t rows;
  std::vector<std::vector<int64_t>> ids;
  int64_t unique = 0;  // ids of a batch without repetition, on average
};

class RowsWorker {
 public:
  // Creates the table with a row for every id. `client` and `batches` outlive it.
  RowsWorker(ps::PsClient* client, const ps::TableSpec& spec, const ZipfBatches* batches);

  // Microseconds a step, one number for every ZipfBatches::kCount steps, until `seconds`
  // are over (after at least one) or `max_steps` done.
  //
  // Together: rows are asked for a step ahead and pushes are not waited for, so that
  // worker and server work at the same time. A pull misses the push of the step before it.
  std::vector<double> RunTogether(double seconds, int64_t max_steps = INT64_MAX);
  // Strictly one after another.
  std::vector<double> RunInTurns(double seconds, int64_t max_steps = INT64_MAX);

 private:
  // What a batch needs while its exchanges are under way.
  struct Batch {
    ps::KeySet keys;
    std::vector<float> rows, sums;
    std::vector<ps::StepExchange> pulls;
    size_t pulling = 0;  // of them
    ps::StepExchange push{1};
    bool pushing = false;
  };
  Batch& At(int64_t step) { return batches_[static_cast<size_t>(step) % batches_.size()]; }
  void CreateRows();
  void BuildKeys(int64_t step);
  void StartPull(int64_t step);
  void FinishPull(int64_t step);
  void Combine(int64_t step);
  void StartPush(int64_t step);
  void FinishPush(int64_t step);
  template <typename Step>
  std::vector<double> Measure(double seconds, int64_t max_steps, const Step& step);

  ps::PsClient* client_;
  const uint32_t table_;
  const int64_t width_;
  const ZipfBatches* ids_;
  std::vector<float> grads_;  // of all positions of a batch
  std::array<Batch, 3> batches_;
  int64_t step_ = 0;
};

}  // namespace tributary
