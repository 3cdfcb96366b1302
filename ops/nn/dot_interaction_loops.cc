#include "ops/nn/dot_interaction_loops.h"

#include <algorithm>

#include "core/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/nn/dot_interaction_loops.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Lanes of at most 16: the sum's order is that of the machine's vectors, whatever the
// number of threads.
float Dot(const float* a, const float* b, int64_t width) {
  const hn::CappedTag<float, 16> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  int64_t k = 0;
  for (; k + lanes <= width; k += lanes) {
    sum = hn::MulAdd(hn::LoadU(d, a + k), hn::LoadU(d, b + k), sum);
  }
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; k < width; ++k) total += a[k] * b[k];
  return total;
}

// y += factor * x
void Axpy(float factor, const float* x, float* y, int64_t width) {
  const hn::CappedTag<float, 16> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto f = hn::Set(d, factor);
  int64_t k = 0;
  for (; k + lanes <= width; k += lanes) {
    hn::StoreU(hn::MulAdd(f, hn::LoadU(d, x + k), hn::LoadU(d, y + k)), d, y + k);
  }
  for (; k < width; ++k) y[k] += factor * x[k];
}

void Example(const DotShapes& s, const float* x, float* out) {
  for (int64_t i = 1; i < s.features; ++i) {
    for (int64_t j = 0; j < i; ++j) *out++ = Dot(x + i * s.width, x + j * s.width, s.width);
  }
}

void ExampleGrad(const DotShapes& s, const float* grad, const float* x, float* out) {
  std::fill_n(out, s.features * s.width, 0.0f);
  for (int64_t i = 1; i < s.features; ++i) {
    for (int64_t j = 0; j < i; ++j, ++grad) {
      Axpy(*grad, x + j * s.width, out + i * s.width, s.width);
      Axpy(*grad, x + i * s.width, out + j * s.width, s.width);
    }
  }
}

void Examples(const DotShapes& s, int64_t begin, int64_t end, const float* x, float* out) {
  const int64_t pairs = s.features * (s.features - 1) / 2, size = s.features * s.width;
  for (int64_t b = begin; b < end; ++b) Example(s, x + b * size, out + b * pairs);
}

void ExamplesGrad(const DotShapes& s, int64_t begin, int64_t end, const float* grad,
                  const float* x, float* out) {
  const int64_t pairs = s.features * (s.features - 1) / 2, size = s.features * s.width;
  for (int64_t b = begin; b < end; ++b) {
    ExampleGrad(s, grad + b * pairs, x + b * size, out + b * size);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(Examples);
HWY_EXPORT(ExamplesGrad);

namespace {
int64_t Grain(const DotShapes& s) {
  return 1 + (1 << 15) / (1 + s.features * s.features * s.width / 2);
}
}  // namespace

void DotInteraction(const DotShapes& s, const float* x, float* out) {
  ParallelFor(s.batch, Grain(s), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(Examples)(s, begin, end, x, out);
  });
}

void DotInteractionGrad(const DotShapes& s, const float* grad, const float* x, float* out) {
  ParallelFor(s.batch, Grain(s), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ExamplesGrad)(s, begin, end, grad, x, out);
  });
}

}  // namespace tributary
#endif
