// With a multiplier the image is repeated for each filter first, so that all loops see
// one filter a channel.

#include "ops/nn/depthwise_loops.h"

#include <numeric>

#include "core/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/nn/depthwise_loops.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "ops/linalg/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

template <bool kFull>
HWY_INLINE V Load(const float* p, int64_t count) {
  if constexpr (kFull) return hn::LoadU(D(), p);
  return LoadPartial(D(), p, count);
}
template <bool kFull>
HWY_INLINE void Store(V v, float* p, int64_t count) {
  if constexpr (kFull) {
    hn::StoreU(v, D(), p);
  } else {
    StorePartial(v, D(), p, count);
  }
}

// Calls body(full vector?, channel, count) over the channels.
template <typename Body>
HWY_INLINE void OverChannels(int64_t channels, const Body& body) {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) body(std::true_type(), c, kLanes);
  if (c < channels) body(std::false_type(), c, channels - c);
}

// The taps of one axis of a window that starts at `start` and lie in [0, size).
struct Taps {
  int64_t begin, end;
};
HWY_INLINE Taps TapsInside(int64_t start, int64_t dilation, int64_t taps, int64_t size) {
  const int64_t begin = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
  const int64_t last = start >= size ? -1 : (size - 1 - start) / dilation;
  return {begin, std::min(taps, last + 1)};
}

// Rows of outputs; here and below g.channels counts the repeated ones.
void ForwardRows(const WindowGeometry& g, const float* image, const float* filter, float* out,
                 int64_t begin, int64_t end) {
  const int64_t k = g.channels, row = g.in_w * k;
  for (int64_t r = begin; r < end; ++r) {
    const int64_t y0 = r % g.out_h * g.stride_h - g.pad_top;
    const Taps ys = TapsInside(y0, g.dilation_h, g.k_h, g.in_h);
    const float* from = image + r / g.out_h * g.in_h * row;
    float* to = out + r * g.out_w * k;
    for (int64_t ox = 0; ox < g.out_w; ++ox, to += k) {
      const int64_t x0 = ox * g.stride_w - g.pad_left;
      const Taps xs = TapsInside(x0, g.dilation_w, g.k_w, g.in_w);
      OverChannels(k, [&](auto full, int64_t c, int64_t count) {
        V sum = hn::Zero(D());
        for (int64_t i = ys.begin; i < ys.end; ++i) {
          const float* p = from + (y0 + i * g.dilation_h) * row + x0 * k + c;
          const float* w = filter + i * g.k_w * k + c;
          for (int64_t j = xs.begin; j < xs.end; ++j) {
            sum = hn::MulAdd(Load<full.value>(p + j * g.dilation_w * k, count),
                             Load<full.value>(w + j * k, count), sum);
          }
        }
        Store<full.value>(sum, to + c, count);
      });
    }
  }
}

// The output that reads input `at` by tap `tap`, or -1.
HWY_INLINE int64_t OutputAt(int64_t at, int64_t tap, int64_t pad, int64_t dilation,
                            int64_t stride, int64_t size) {
  const int64_t start = at + pad - tap * dilation;
  if (start < 0 || start % stride != 0 || start / stride >= size) return -1;
  return start / stride;
}

// Rows of the image's gradient.
void BackpropInputRows(const WindowGeometry& g, const float* filter, const float* out_grad,
                       float* image_grad, int64_t begin, int64_t end) {
  const int64_t k = g.channels;
  for (int64_t r = begin; r < end; ++r) {
    const float* from = out_grad + r / g.in_h * g.out_h * g.out_w * k;
    float* to = image_grad + r * g.in_w * k;
    for (int64_t x = 0; x < g.in_w; ++x, to += k) {
      OverChannels(k, [&](auto full, int64_t c, int64_t count) {
        V sum = hn::Zero(D());
        for (int64_t i = 0; i < g.k_h; ++i) {
          const int64_t oy = OutputAt(r % g.in_h, i, g.pad_top, g.dilation_h, g.stride_h, g.out_h);
          if (oy < 0) continue;
          for (int64_t j = 0; j < g.k_w; ++j) {
            const int64_t ox = OutputAt(x, j, g.pad_left, g.dilation_w, g.stride_w, g.out_w);
            if (ox < 0) continue;
            sum = hn::MulAdd(Load<full.value>(from + (oy * g.out_w + ox) * k + c, count),
                             Load<full.value>(filter + (i * g.k_w + j) * k + c, count), sum);
          }
        }
        Store<full.value>(sum, to + c, count);
      });
    }
  }
}

// Taps of the filter's gradient.
void BackpropFilterTaps(const WindowGeometry& g, const float* image, const float* out_grad,
                        float* filter_grad, int64_t begin, int64_t end) {
  const int64_t k = g.channels, row = g.in_w * k;
  for (int64_t tap = begin; tap < end; ++tap) {
    const int64_t dy = tap / g.k_w * g.dilation_h - g.pad_top;
    const int64_t dx = tap % g.k_w * g.dilation_w - g.pad_left;
    OverChannels(k, [&](auto full, int64_t c, int64_t count) {
      V sum = hn::Zero(D());
      for (int64_t o = 0; o < g.batch * g.out_h; ++o) {
        const int64_t y = o % g.out_h * g.stride_h + dy;
        if (y < 0 || y >= g.in_h) continue;
        const float* p = image + (o / g.out_h * g.in_h + y) * row + c;
        const float* q = out_grad + o * g.out_w * k + c;
        V line = hn::Zero(D());  // a sum a row: long images keep their small parts
        for (int64_t ox = 0; ox < g.out_w; ++ox) {
          const int64_t x = ox * g.stride_w + dx;
          if (x < 0 || x >= g.in_w) continue;
          line = hn::MulAdd(Load<full.value>(p + x * k, count),
                            Load<full.value>(q + ox * k, count), line);
        }
        sum = hn::Add(sum, line);
      }
      Store<full.value>(sum, filter_grad + tap * k + c, count);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(ForwardRows);
HWY_EXPORT(BackpropInputRows);
HWY_EXPORT(BackpropFilterTaps);

namespace {

constexpr int64_t kGrainProducts = 1 << 14;

int64_t Pixels(const WindowGeometry& g) { return g.batch * g.in_h * g.in_w; }

// The geometry with the image's channels repeated.
WindowGeometry Wide(const DepthwiseSpec& s) {
  WindowGeometry g = s.window;
  g.channels *= s.multiplier;
  return g;
}

int64_t RowGrain(const WindowGeometry& g, int64_t width) {
  return 1 + kGrainProducts / (g.k_h * g.k_w * width * g.channels + 1);
}

// Each channel `multiplier` times in a row, in scratch unless it is 1.
const float* Repeated(const DepthwiseSpec& s, const float* image, void* scratch) {
  if (s.multiplier == 1) return image;
  float* wide = static_cast<float*>(scratch);
  const int64_t m = s.multiplier;
  ParallelFor(Pixels(s.window) * s.window.channels, kGrainProducts,
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) std::fill_n(wide + i * m, m, image[i]);
              });
  return wide;
}

}  // namespace

size_t DepthwiseScratch(const DepthwiseSpec& s) {
  if (s.multiplier == 1) return 0;
  return Pixels(s.window) * s.window.channels * s.multiplier * sizeof(float);
}

void DepthwiseForward(const DepthwiseSpec& s, const float* image, const float* filter,
                      float* out, void* scratch) {
  const WindowGeometry g = Wide(s);
  const float* wide = Repeated(s, image, scratch);
  ParallelFor(g.batch * g.out_h, RowGrain(g, g.out_w), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ForwardRows)(g, wide, filter, out, begin, end);
  });
}

void DepthwiseBackpropInput(const DepthwiseSpec& s, const float* filter, const float* out_grad,
                            float* image_grad, void* scratch) {
  const WindowGeometry g = Wide(s);
  const int64_t m = s.multiplier;
  float* wide = m == 1 ? image_grad : static_cast<float*>(scratch);
  ParallelFor(g.batch * g.in_h, RowGrain(g, g.in_w), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackpropInputRows)(g, filter, out_grad, wide, begin, end);
  });
  if (m == 1) return;
  ParallelFor(Pixels(g) * s.window.channels, kGrainProducts, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      image_grad[i] = std::accumulate(wide + i * m, wide + (i + 1) * m, 0.0f);
    }
  });
}

void DepthwiseBackpropFilter(const DepthwiseSpec& s, const float* image, const float* out_grad,
                             float* filter_grad, void* scratch) {
  const WindowGeometry g = Wide(s);
  const float* wide = Repeated(s, image, scratch);
  const int64_t grain = 1 + kGrainProducts / (g.batch * g.out_h * g.out_w * g.channels + 1);
  ParallelFor(g.k_h * g.k_w, grain, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackpropFilterTaps)(g, wide, out_grad, filter_grad, begin, end);
  });
}

}  // namespace tributary
#endif
