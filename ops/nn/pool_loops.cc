#include "ops/nn/pool_loops.h"

#include "core/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/nn/pool_loops.cc"
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

// The part of a window that lies inside of the image.
struct Clip {
  int64_t y0, x0, height, width;
};
HWY_INLINE Clip ClipWindow(const WindowGeometry& g, int64_t oy, int64_t ox) {
  const int64_t y = oy * g.stride_h - g.pad_top, x = ox * g.stride_w - g.pad_left;
  const int64_t y0 = std::max<int64_t>(y, 0), x0 = std::max<int64_t>(x, 0);
  return {y0, x0, std::min(y + g.k_h, g.in_h) - y0, std::min(x + g.k_w, g.in_w) - x0};
}

// Calls body(full vector?, channel, count) over the channels.
template <typename Body>
HWY_INLINE void OverChannels(int64_t channels, const Body& body) {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) body(std::true_type(), c, kLanes);
  if (c < channels) body(std::false_type(), c, channels - c);
}

void MaxRows(const WindowGeometry& g, const float* in, float* out, int64_t begin, int64_t end) {
  const int64_t row = g.in_w * g.channels;
  for (int64_t r = begin; r < end; ++r) {
    const float* image = in + r / g.out_h * g.in_h * row;
    float* to = out + r * g.out_w * g.channels;
    for (int64_t ox = 0; ox < g.out_w; ++ox, to += g.channels) {
      const Clip w = ClipWindow(g, r % g.out_h, ox);
      const float* first = image + w.y0 * row + w.x0 * g.channels;
      OverChannels(g.channels, [&](auto full, int64_t c, int64_t count) {
        V max = hn::Set(D(), -std::numeric_limits<float>::infinity());
        for (int64_t y = 0; y < w.height; ++y) {
          const float* p = first + y * row + c;
          for (int64_t x = 0; x < w.width; ++x, p += g.channels) {
            max = hn::Max(max, Load<full.value>(p, count));
          }
        }
        Store<full.value>(max, to + c, count);
      });
    }
  }
}

// kDirect: windows tile the image, each element is written once. Else the gradient is
// added to what is there.
template <bool kDirect>
HWY_INLINE void MaxWindow(const WindowGeometry& g, const Clip& w, const float* in,
                          const float* out, const float* grad, float* in_grad, bool relu) {
  const int64_t row = g.in_w * g.channels;
  OverChannels(g.channels, [&](auto full, int64_t c, int64_t count) {
    const D d;
    const V max = Load<full.value>(out + c, count);
    V left = Load<full.value>(grad + c, count);  // zero once it was given away
    if (relu) left = hn::IfThenElseZero(hn::Gt(max, hn::Zero(d)), left);
    for (int64_t y = 0; y < w.height; ++y) {
      const float* p = in + y * row + c;
      float* q = in_grad + y * row + c;
      for (int64_t x = 0; x < w.width; ++x, p += g.channels, q += g.channels) {
        const auto here = hn::Eq(Load<full.value>(p, count), max);
        V value = hn::IfThenElseZero(here, left);
        left = hn::IfThenZeroElse(here, left);
        if (!kDirect) value = hn::Add(value, Load<full.value>(q, count));
        Store<full.value>(value, q, count);
      }
    }
  });
}

// Rows of outputs whose windows tile the image.
void MaxGradRows(const WindowGeometry& g, const float* in, const float* out, const float* grad,
                 float* in_grad, bool relu, int64_t begin, int64_t end) {
  const int64_t row = g.in_w * g.channels;
  for (int64_t r = begin; r < end; ++r) {
    const int64_t oy = r % g.out_h, image = r / g.out_h * g.in_h * row;
    int64_t covered = 0, y = 0, height = 0;
    for (int64_t ox = 0; ox < g.out_w; ++ox) {
      const Clip w = ClipWindow(g, oy, ox);
      const int64_t from = image + w.y0 * row + w.x0 * g.channels;
      const int64_t at = (r * g.out_w + ox) * g.channels;
      MaxWindow<true>(g, w, in + from, out + at, grad + at, in_grad + from, relu);
      covered = w.x0 + w.width;
      y = w.y0;
      height = w.height;
    }
    if (covered < g.in_w) {
      for (int64_t i = y; i < y + height; ++i) {
        std::fill(in_grad + image + i * row + covered * g.channels,
                  in_grad + image + (i + 1) * row, 0.0f);
      }
    }
    if (oy == g.out_h - 1) {
      std::fill(in_grad + image + (y + height) * row, in_grad + image + g.in_h * row, 0.0f);
    }
  }
}

// Images whose windows overlap or leave gaps.
void MaxGradImages(const WindowGeometry& g, const float* in, const float* out,
                   const float* grad, float* in_grad, bool relu, int64_t begin, int64_t end) {
  const int64_t size = g.in_h * g.in_w * g.channels;
  std::fill(in_grad + begin * size, in_grad + end * size, 0.0f);
  for (int64_t n = begin; n < end; ++n) {
    for (int64_t o = 0; o < g.out_h * g.out_w; ++o) {
      const Clip w = ClipWindow(g, o / g.out_w, o % g.out_w);
      const int64_t from = n * size + (w.y0 * g.in_w + w.x0) * g.channels;
      const int64_t at = (n * g.out_h * g.out_w + o) * g.channels;
      MaxWindow<false>(g, w, in + from, out + at, grad + at, in_grad + from, relu);
    }
  }
}

void AvgRows(const WindowGeometry& g, const float* in, float* out, int64_t begin, int64_t end) {
  const int64_t row = g.in_w * g.channels;
  for (int64_t r = begin; r < end; ++r) {
    const float* image = in + r / g.out_h * g.in_h * row;
    float* to = out + r * g.out_w * g.channels;
    for (int64_t ox = 0; ox < g.out_w; ++ox, to += g.channels) {
      const Clip w = ClipWindow(g, r % g.out_h, ox);
      const float* first = image + w.y0 * row + w.x0 * g.channels;
      const V factor = hn::Set(D(), 1.0f / static_cast<float>(w.height * w.width));
      OverChannels(g.channels, [&](auto full, int64_t c, int64_t count) {
        V sum = hn::Zero(D());
        for (int64_t y = 0; y < w.height; ++y) {
          const float* p = first + y * row + c;
          for (int64_t x = 0; x < w.width; ++x, p += g.channels) {
            sum = hn::Add(sum, Load<full.value>(p, count));
          }
        }
        Store<full.value>(hn::Mul(sum, factor), to + c, count);
      });
    }
  }
}

void AvgGradImages(const WindowGeometry& g, const float* grad, float* in_grad, int64_t begin,
                   int64_t end) {
  const int64_t row = g.in_w * g.channels, size = g.in_h * row;
  std::fill(in_grad + begin * size, in_grad + end * size, 0.0f);
  for (int64_t n = begin; n < end; ++n) {
    for (int64_t o = 0; o < g.out_h * g.out_w; ++o) {
      const Clip w = ClipWindow(g, o / g.out_w, o % g.out_w);
      const float* from = grad + (n * g.out_h * g.out_w + o) * g.channels;
      float* first = in_grad + n * size + w.y0 * row + w.x0 * g.channels;
      const V factor = hn::Set(D(), 1.0f / static_cast<float>(w.height * w.width));
      OverChannels(g.channels, [&](auto full, int64_t c, int64_t count) {
        const V value = hn::Mul(Load<full.value>(from + c, count), factor);
        for (int64_t y = 0; y < w.height; ++y) {
          float* q = first + y * row + c;
          for (int64_t x = 0; x < w.width; ++x, q += g.channels) {
            Store<full.value>(hn::Add(value, Load<full.value>(q, count)), q, count);
          }
        }
      });
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(MaxRows);
HWY_EXPORT(MaxGradRows);
HWY_EXPORT(MaxGradImages);
HWY_EXPORT(AvgRows);
HWY_EXPORT(AvgGradImages);

namespace {

constexpr int64_t kGrainElements = 1 << 14;
int64_t RowGrain(const WindowGeometry& g) {
  return 1 + kGrainElements / (g.k_h * g.in_w * g.channels + 1);
}
int64_t ImageGrain(const WindowGeometry& g) {
  return 1 + kGrainElements / (g.in_h * g.in_w * g.channels + 1);
}

}  // namespace

void MaxPoolForward(const WindowGeometry& g, const float* in, float* out) {
  ParallelFor(g.batch * g.out_h, RowGrain(g), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(MaxRows)(g, in, out, begin, end);
  });
}

void MaxPoolBackward(const WindowGeometry& g, const float* in, const float* out,
                     const float* grad, float* in_grad, bool relu) {
  if (g.k_h == g.stride_h && g.k_w == g.stride_w && g.out_w > 0) {
    ParallelFor(g.batch * g.out_h, RowGrain(g), [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(MaxGradRows)(g, in, out, grad, in_grad, relu, begin, end);
    });
    return;
  }
  ParallelFor(g.batch, ImageGrain(g), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(MaxGradImages)(g, in, out, grad, in_grad, relu, begin, end);
  });
}

void MaxPoolPick(const WindowGeometry& g, const float* in, const float* out,
                 const float* values, float* picked) {
  const int64_t row = g.in_w * g.channels;
  for (int64_t o = 0; o < g.batch * g.out_h * g.out_w; ++o) {
    const int64_t top = o / g.out_w % g.out_h * g.stride_h - g.pad_top;
    const int64_t left = o % g.out_w * g.stride_w - g.pad_left;
    const int64_t image = o / (g.out_h * g.out_w) * g.in_h * row;
    for (int64_t c = 0; c < g.channels; ++c) {
      picked[o * g.channels + c] = 0;
      for (int64_t k = 0; k < g.k_h * g.k_w; ++k) {
        const int64_t y = top + k / g.k_w, x = left + k % g.k_w;
        if (y < 0 || y >= g.in_h || x < 0 || x >= g.in_w) continue;
        const int64_t at = image + y * row + x * g.channels + c;
        if (in[at] != out[o * g.channels + c]) continue;
        picked[o * g.channels + c] = values[at];
        break;
      }
    }
  }
}

void AvgPoolForward(const WindowGeometry& g, const float* in, float* out) {
  ParallelFor(g.batch * g.out_h, RowGrain(g), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(AvgRows)(g, in, out, begin, end);
  });
}

void AvgPoolBackward(const WindowGeometry& g, const float* grad, float* in_grad) {
  ParallelFor(g.batch, ImageGrain(g), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(AvgGradImages)(g, grad, in_grad, begin, end);
  });
}

}  // namespace tributary
#endif
