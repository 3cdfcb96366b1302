// Convolution and depthwise convolution in double precision: plain loops, for numeric
// checks.

#include "core/base/strings.h"
#include "core/graph/kernel.h"
#include "ops/nn/conv2d.h"

namespace tributary {
namespace {

// Calls body(image pixel, filter pixel, output pixel) for all that meet.
template <typename Body>
void OverTaps(const WindowGeometry& g, const Body& body) {
  for (int64_t out = 0; out < g.batch * g.out_h * g.out_w; ++out) {
    const int64_t n = out / (g.out_h * g.out_w);
    const int64_t oy = out / g.out_w % g.out_h, ox = out % g.out_w;
    for (int64_t tap = 0; tap < g.k_h * g.k_w; ++tap) {
      const int64_t y = oy * g.stride_h - g.pad_top + tap / g.k_w * g.dilation_h;
      const int64_t x = ox * g.stride_w - g.pad_left + tap % g.k_w * g.dilation_w;
      if (y < 0 || y >= g.in_h || x < 0 || x >= g.in_w) continue;
      body((n * g.in_h + y) * g.in_w + x, tap, out);
    }
  }
}

// which: 0 the output, 1 the image's gradient, 2 the filter's; the operand of that
// place is written, the others are read.
std::unique_ptr<Kernel> MakeDouble(PrepareContext& c, const Shape& image, const Shape& filter,
                                   int which, std::array<int, 2> inputs) {
  const ConvSpec s = ConvSpecOf(c, image, filter);
  const bool depthwise = StartsWith(c.op(), "Depthwise");
  const int64_t count = c.out_shape(0).NumElements();
  return MakeKernel([s, depthwise, which, inputs, count](const LaunchArgs& args) {
    double* out = static_cast<double*>(args.out[0]);
    const double* p = static_cast<const double*>(args.in[inputs[0]]);
    const double* q = static_cast<const double*>(args.in[inputs[1]]);
    std::fill_n(out, count, 0.0);
    const int64_t channels = s.window.channels;
    const int64_t width = depthwise ? channels * s.filters : s.filters;  // of the output
    OverTaps(s.window, [&](int64_t pixel, int64_t tap, int64_t to) {
      for (int64_t i = 0; i < channels; ++i) {
        for (int64_t o = 0; o < s.filters; ++o) {
          const int64_t x = pixel * channels + i;
          const int64_t y = to * width + (depthwise ? i * s.filters + o : o);
          const int64_t w = (tap * channels + i) * s.filters + o;
          if (which == 0) out[y] += p[x] * q[w];
          if (which == 1) out[x] += p[w] * q[y];
          if (which == 2) out[w] += p[x] * q[y];
        }
      }
    });
  });
}

std::unique_ptr<Kernel> MakeForward(PrepareContext& c) {
  return MakeDouble(c, c.in_shape(0), c.in_shape(1), 0, {0, 1});
}
std::unique_ptr<Kernel> MakeBackpropInput(PrepareContext& c) {
  return MakeDouble(c, c.out_shape(0), c.in_shape(1), 1, {1, 2});
}
std::unique_ptr<Kernel> MakeBackpropFilter(PrepareContext& c) {
  return MakeDouble(c, c.in_shape(0), c.out_shape(0), 2, {0, 2});
}

#define TRB_DOUBLE_CONV(Name)                                                              \
  REGISTER_KERNEL(Name, DeviceType::kCpu, {DType::kFloat64}, MakeForward);                 \
  REGISTER_KERNEL(Name "BackpropInput", DeviceType::kCpu, {DType::kFloat64},               \
                  MakeBackpropInput);                                                      \
  REGISTER_KERNEL(Name "BackpropFilter", DeviceType::kCpu, {DType::kFloat64},              \
                  MakeBackpropFilter)

TRB_DOUBLE_CONV("Conv2D");
TRB_DOUBLE_CONV("DepthwiseConv2dNative");

}  // namespace
}  // namespace tributary
