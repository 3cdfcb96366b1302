#pragma once
// FlatUpdate: the optimizer's side of UpdateStep (strategy/update_step.h): clipping
// and one update op a slice.

#include "trainer/optimizers/optimizer.h"
#include "trainer/strategy/update_step.h"

namespace tributary {

class FlatUpdate final : public UpdateStep {
 public:
  // Buckets with symbolic gradients; used inside a trace.
  FlatUpdate(Optimizer* optimizer, std::vector<FlatBucket> buckets,
             std::vector<LookupGradient> rows = {});

  const std::vector<FlatBucket>& buckets() const override { return buckets_; }
  const std::vector<LookupGradient>& rows() const override { return rows_; }
  bool NeedsNorms() const override;
  Tensor SquaredNorms(int bucket, int64_t begin, int64_t end,
                      const Tensor& gradient) override;
  void Apply(int bucket, int64_t begin, int64_t end, const Tensor& gradient,
             const Tensor& norms) override;

 private:
  // Part of a member inside a slice: elements [begin, end) of the slice, and the
  // number of the member among those of all buckets.
  struct Piece {
    int64_t begin, end;
    int member;
  };
  std::vector<Piece> Pieces(int bucket, int64_t begin, int64_t end) const;
  void Update(const FlatBucket& bucket, int64_t begin, int64_t end, const Tensor& gradient);

  Optimizer* optimizer_;
  std::vector<FlatBucket> buckets_;
  std::vector<LookupGradient> rows_;
  int members_ = 0;  // of all buckets
};

}  // namespace tributary
