#include "trainer/optimizers/flat_update.h"

#include "ops/array_ops.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

// The handle of elements [begin, end): of the variable itself when that is all.
Tensor HandleOf(const VariablePtr& flat, int64_t begin, int64_t end) {
  if (begin == 0 && end == flat->shape().NumElements()) return flat->handle();
  return Variable::Alias(fmt::format("{}[{}:{}]", flat->name(), begin, end),
                         flat->storage().Slice(begin, end), flat->trainable())
      ->handle();
}

Tensor SquaredNorm(const Tensor& x) {
  return ops::Cast(ops::Sum(ops::Square(x)), DType::kFloat32);
}

// x scaled to the norm `limit` if it is longer; `squared` is the square of its norm.
Tensor ClipTo(const Tensor& x, const Tensor& squared, double limit) {
  const Tensor bound = Tensor(static_cast<float>(limit));
  const Tensor scale = ops::Div(bound, ops::Maximum(ops::Sqrt(squared), bound));
  return ops::Mul(x, ops::Cast(scale, x.dtype()));
}

}  // namespace

FlatUpdate::FlatUpdate(Optimizer* optimizer, std::vector<FlatBucket> buckets,
                       std::vector<LookupGradient> rows)
    : optimizer_(optimizer), buckets_(std::move(buckets)), rows_(std::move(rows)) {
  for (const FlatBucket& bucket : buckets_) {
    members_ += static_cast<int>(bucket.members.size());
  }
}

bool FlatUpdate::NeedsNorms() const {
  return optimizer_->clip().by_norm > 0 || optimizer_->clip().by_global_norm > 0;
}

std::vector<FlatUpdate::Piece> FlatUpdate::Pieces(int bucket, int64_t begin,
                                                  int64_t end) const {
  int number = 0;
  for (int b = 0; b < bucket; ++b) number += static_cast<int>(buckets_[b].members.size());
  std::vector<Piece> pieces;
  for (const FlatBucket::Member& member : buckets_[bucket].members) {
    const int64_t from = std::max(begin, member.begin), to = std::min(end, member.end);
    if (from < to) pieces.push_back({from - begin, to - begin, number});
    ++number;
  }
  return pieces;
}

Tensor FlatUpdate::SquaredNorms(int bucket, int64_t begin, int64_t end,
                                const Tensor& gradient) {
  if (optimizer_->clip().by_global_norm > 0) {
    return ops::Reshape(SquaredNorm(gradient), {1});
  }
  std::vector<Tensor> norms(members_, Tensor(0.0f));
  for (const Piece& piece : Pieces(bucket, begin, end)) {
    norms[piece.member] = SquaredNorm(
        ops::Slice(gradient, {piece.begin}, {piece.end - piece.begin}));
  }
  return ops::Pack(norms);
}

void FlatUpdate::Apply(int bucket, int64_t begin, int64_t end, const Tensor& gradient,
                       const Tensor& norms) {
  const Optimizer::Clip& clip = optimizer_->clip();
  const FlatBucket& target = buckets_[bucket];
  if (begin >= end) return;
  if (clip.by_norm > 0) {
    for (const Piece& piece : Pieces(bucket, begin, end)) {
      const Tensor part = ops::Slice(gradient, {piece.begin}, {piece.end - piece.begin});
      const Tensor squared = ops::StridedSlice(norms, {piece.member}, {piece.member + 1}, {1},
                                               {.shrink_axis = 1});
      Update(target, begin + piece.begin, begin + piece.end,
             ClipTo(part, squared, clip.by_norm));
    }
  } else if (clip.by_global_norm > 0) {
    Update(target, begin, end,
           ClipTo(gradient, ops::Reshape(norms, Shape{}), clip.by_global_norm));
  } else if (clip.by_value > 0) {
    Update(target, begin, end,
           ops::ClipByValue(gradient, ops::ScalarLike(gradient, -clip.by_value),
                            ops::ScalarLike(gradient, clip.by_value)));
  } else {
    Update(target, begin, end, gradient);
  }
}

void FlatUpdate::Update(const FlatBucket& bucket, int64_t begin, int64_t end,
                        const Tensor& gradient) {
  std::vector<Tensor> slots;
  for (const VariablePtr& slot : bucket.slots) slots.push_back(HandleOf(slot, begin, end));
  optimizer_->Update(HandleOf(bucket.variables, begin, end), slots, gradient);
}

}  // namespace tributary
