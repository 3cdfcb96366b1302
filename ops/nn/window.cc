#include "ops/nn/window.h"

namespace tributary {

int64_t WindowedSize(const std::string& op, const char* what, int64_t in, int64_t window,
                     int64_t stride, int64_t dilation, const std::string& padding,
                     int64_t* before, int64_t* after) {
  if (in < 0 || window < 0) return Shape::kUnknownDim;
  if (window == 0) throw InvalidArgumentError("[{}] the window has no {}", op, what);
  const int64_t span = (window - 1) * dilation + 1;
  if (padding == "SAME") {
    const int64_t out = (in + stride - 1) / stride;
    const int64_t pad = std::max<int64_t>(0, (out - 1) * stride + span - in);
    if (before) *before = pad / 2;
    if (after) *after = pad - pad / 2;
    return out;
  }
  if (span > in) {
    throw InvalidArgumentError(
        "[{}] the window is larger than the input: {} {} against {}; use padding SAME or a "
        "smaller window",
        op, what, span, in);
  }
  return (in - span) / stride + 1;
}

namespace {

std::pair<int64_t, int64_t> HeightWidth(const std::string& op, const AttrMap& attrs,
                                        const char* name) {
  if (!attrs.Has(name)) return {1, 1};
  const auto& v = attrs.Get<std::vector<int64_t>>(name);
  const bool good = v.size() == 4 && v[0] == 1 && v[3] == 1 && v[1] > 0 && v[2] > 0;
  if (!good) {
    throw InvalidArgumentError("[{}] {} must be [1, height, width, 1] with positive numbers, "
                               "got {}",
                               op, name, attrs.Find(name)->ToString());
  }
  return {v[1], v[2]};
}

}  // namespace

WindowGeometry MakeWindow(const std::string& op, const AttrMap& attrs, const Shape& image,
                          int64_t k_h, int64_t k_w) {
  if (!image.unknown_rank() && image.rank() != 4) {
    throw InvalidArgumentError("[{}] expected an NHWC image of rank 4, got shape {}", op,
                               image.ToString());
  }
  const auto dim = [&](int i) { return image.unknown_rank() ? Shape::kUnknownDim : image[i]; };
  WindowGeometry g;
  g.batch = dim(0);
  g.in_h = dim(1);
  g.in_w = dim(2);
  g.channels = dim(3);
  g.k_h = k_h;
  g.k_w = k_w;
  std::tie(g.stride_h, g.stride_w) = HeightWidth(op, attrs, "strides");
  std::tie(g.dilation_h, g.dilation_w) = HeightWidth(op, attrs, "dilations");
  const auto& padding = attrs.Get<std::string>("padding");
  g.out_h = WindowedSize(op, "height", g.in_h, k_h, g.stride_h, g.dilation_h, padding,
                         &g.pad_top, &g.pad_bottom);
  g.out_w = WindowedSize(op, "width", g.in_w, k_w, g.stride_w, g.dilation_w, padding,
                         &g.pad_left, &g.pad_right);
  return g;
}

WindowGeometry MakePoolWindow(const std::string& op, const AttrMap& attrs, const Shape& image) {
  const auto [k_h, k_w] = HeightWidth(op, attrs, "ksize");
  return MakeWindow(op, attrs, image, k_h, k_w);
}

std::vector<int64_t> FourOf(const std::string& op, const char* what,
                            const std::vector<int64_t>& height_width) {
  if (height_width.size() != 2) {
    throw InvalidArgumentError("[{}] {} must have two numbers (height, width), got {}", op, what,
                               height_width.size());
  }
  return {1, height_width[0], height_width[1], 1};
}

}  // namespace tributary
