#include "ops/nn/conv_tiles.h"

#include "core/base/parallel.h"
#include "ops/linalg/gemm_tile.h"
#include "ops/nn/activation_loops.h"
#include "ops/nn/column_sums.h"

namespace tributary {
namespace {

constexpr int64_t kGrainFlops = 400'000;

int64_t GrainFor(int64_t flops) {
  return std::max<int64_t>(1, kGrainFlops / std::max<int64_t>(1, flops));
}

bool IsPadded(const WindowGeometry& g) {
  return g.pad_top || g.pad_left || g.pad_bottom || g.pad_right;
}

// The image with a border of zeros.
void PadImages(const WindowGeometry& g, const float* in, float* to) {
  const int64_t height = g.in_h + g.pad_top + g.pad_bottom;
  const int64_t width = g.in_w + g.pad_left + g.pad_right;
  const int64_t row = g.in_w * g.channels;
  ParallelFor(g.batch * height, 1 + (1 << 14) / (row + 1), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t y = r % height - g.pad_top;
      float* p = to + r * width * g.channels;
      if (y < 0 || y >= g.in_h) {
        std::fill_n(p, width * g.channels, 0.0f);
        continue;
      }
      p = std::fill_n(p, g.pad_left * g.channels, 0.0f);
      p = std::copy_n(in + (r / height * g.in_h + y) * row, row, p);
      std::fill_n(p, g.pad_right * g.channels, 0.0f);
    }
  });
}

size_t PaddedBytes(const WindowGeometry& g) {
  return g.batch * (g.in_h + g.pad_top + g.pad_bottom) * (g.in_w + g.pad_left + g.pad_right) *
         g.channels * sizeof(float);
}

struct Block {
  int64_t first, size;
};
// Block i of `count` balanced blocks of `total`.
Block BlockOf(int64_t total, int64_t count, int64_t i) {
  const int64_t base = total / count, extra = total % count;
  return {i * base + std::min(i, extra), base + (i < extra)};
}
int64_t BlocksOf(int64_t total, int64_t largest) { return (total + largest - 1) / largest; }

}  // namespace

ConvForward::ConvForward(const ConvSpec& spec, bool relu) : s_(spec), relu_(relu) {
  const WindowGeometry& g = s_.window;
  padded_ = IsPadded(g);
  dilated_ = g.dilation_w > 1 && g.k_w > 1;
  image_h_ = g.in_h + g.pad_top + g.pad_bottom;
  image_w_ = g.in_w + g.pad_left + g.pad_right;
  // A 1x1 filter sees one long row of pixels.
  const bool pointwise =
      g.k_h == 1 && g.k_w == 1 && g.stride_h == 1 && g.stride_w == 1 && !padded_;
  rows_ = pointwise ? 1 : g.batch * g.out_h;
  row_pixels_ = pointwise ? g.batch * g.out_h * g.out_w : g.out_w;
  blocks_ = std::max<int64_t>(1, BlocksOf(row_pixels_, BestGemmTiles().max_rows));
}

size_t ConvForward::scratch_bytes() const { return padded_ ? PaddedBytes(s_.window) : 0; }

void ConvForward::RunRows(const float* image, const float* filter, const float* bias,
                          float* out, int64_t begin, int64_t end) const {
  const WindowGeometry& g = s_.window;
  const GemmTiles& tiles = BestGemmTiles();
  GemmTile t;
  t.lda = g.stride_w * g.channels;
  t.ldb = t.ldc = s_.filters;
  const int64_t image_row = image_w_ * g.channels, filter_row = g.k_w * g.channels * s_.filters;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t r = unit / blocks_, n = r / g.out_h, oy = r % g.out_h;
    const Block block = BlockOf(row_pixels_, blocks_, unit % blocks_);
    const float* a = image + (n * image_h_ + oy * g.stride_h) * image_row + block.first * t.lda;
    float* c = out + (r * row_pixels_ + block.first) * s_.filters;
    for (int64_t o = 0; o < s_.filters; o += tiles.max_columns) {
      const int columns =
          static_cast<int>(std::min<int64_t>(tiles.max_columns, s_.filters - o));
      t.c = c + o;
      const auto finish = [&] {
        t.bias = bias ? bias + o : nullptr;
        t.relu = relu_;
      };
      if (!dilated_) {
        t.k = g.k_w * g.channels;
        t.segments = g.k_h;
        t.a = a;
        t.a_segment = g.dilation_h * image_row;
        t.b = filter + o;
        t.b_segment = filter_row;
        finish();
        tiles.run(t, static_cast<int>(block.size), columns, false);
        continue;
      }
      // A filter row is not contiguous: its pixels are the segments.
      t.k = g.channels;
      t.segments = g.k_w;
      t.a_segment = g.dilation_w * g.channels;
      t.b_segment = g.channels * s_.filters;
      t.bias = nullptr;
      t.relu = false;
      for (int64_t ky = 0; ky < g.k_h; ++ky) {
        t.a = a + ky * g.dilation_h * image_row;
        t.b = filter + ky * filter_row + o;
        t.accumulate = ky > 0;
        if (ky == g.k_h - 1) finish();
        tiles.run(t, static_cast<int>(block.size), columns, false);
      }
    }
  }
}

void ConvForward::Run(const float* in, const float* filter, const float* bias, float* out,
                      void* scratch) const {
  const WindowGeometry& g = s_.window;
  if (padded_) PadImages(g, in, static_cast<float*>(scratch));
  const float* image = padded_ ? static_cast<const float*>(scratch) : in;
  const int64_t flops = 2 * g.k_h * g.k_w * g.channels * s_.filters * row_pixels_ / blocks_;
  ParallelFor(row_pixels_ ? rows_ * blocks_ : 0, GrainFor(flops),
              [&](int64_t begin, int64_t end) {
                RunRows(image, filter, bias, out, begin, end);
              });
}

size_t ConvBackpropInput::scratch_bytes() const {
  const WindowGeometry& g = s_.window;
  return g.k_h * g.k_w * g.channels * s_.filters * sizeof(float);
}

// For each row of the image and each filter column kx: a row of output gradients times
// the filter's column, added to the pixels that column reaches. Filter rows are
// segments of one tile where consecutive ones read consecutive gradient rows.
void ConvBackpropInput::RunImage(const float* transposed, const float* out_grad,
                                 float* in_grad) const {
  const WindowGeometry& g = s_.window;
  const GemmTiles& tiles = BestGemmTiles();
  std::fill_n(in_grad, g.in_h * g.in_w * g.channels, 0.0f);
  const bool contiguous = g.stride_h == 1 && g.dilation_h == 1;
  const int64_t filter_pixel = s_.filters * g.channels;
  GemmTile t;
  t.accumulate = true;
  t.k = s_.filters;
  t.lda = s_.filters;
  t.ldb = g.channels;
  t.ldc = g.stride_w * g.channels;
  t.a_segment = -g.out_w * s_.filters;
  t.b_segment = g.k_w * filter_pixel;
  for (int64_t iy = 0; iy < g.in_h; ++iy) {
    for (int64_t ky = 0; ky < g.k_h; ++ky) {
      const int64_t y = iy + g.pad_top - ky * g.dilation_h;
      if (y < 0 || y % g.stride_h || y / g.stride_h >= g.out_h) continue;
      const int64_t oy = y / g.stride_h;
      t.segments = contiguous ? std::min(g.k_h - ky, oy + 1) : 1;
      for (int64_t kx = 0; kx < g.k_w; ++kx) {
        // ix = ox * stride - shift must lie inside of the image.
        const int64_t shift = g.pad_left - kx * g.dilation_w;
        const int64_t low = shift > 0 ? (shift + g.stride_w - 1) / g.stride_w : 0;
        const int64_t high =
            std::min(g.out_w, (g.in_w - 1 + shift) >= 0
                                  ? (g.in_w - 1 + shift) / g.stride_w + 1
                                  : int64_t{0});
        if (low >= high) continue;
        const int64_t blocks = BlocksOf(high - low, tiles.max_rows);
        for (int64_t b = 0; b < blocks; ++b) {
          const Block block = BlockOf(high - low, blocks, b);
          const int64_t ox = low + block.first;
          t.a = out_grad + (oy * g.out_w + ox) * s_.filters;
          for (int64_t c = 0; c < g.channels; c += tiles.max_columns) {
            t.b = transposed + (ky * g.k_w + kx) * filter_pixel + c;
            t.c = in_grad + (iy * g.in_w + ox * g.stride_w - shift) * g.channels + c;
            tiles.run(t, static_cast<int>(block.size),
                      static_cast<int>(std::min<int64_t>(tiles.max_columns, g.channels - c)),
                      false);
          }
        }
      }
      if (contiguous) break;
    }
  }
}

void ConvBackpropInput::Run(const float* filter, const float* out_grad, const float* mask,
                            float* in_grad, void* scratch) const {
  const WindowGeometry& g = s_.window;
  float* transposed = static_cast<float*>(scratch);
  const int64_t filter_pixel = s_.filters * g.channels;
  for (int64_t p = 0; p < g.k_h * g.k_w; ++p) {
    BestGemmTiles().transpose(filter + p * filter_pixel, s_.filters, g.channels, s_.filters,
                              transposed + p * filter_pixel, g.channels, g.channels);
  }
  const int64_t in_size = g.in_h * g.in_w * g.channels;
  const int64_t flops = 2 * g.k_h * g.k_w * filter_pixel * g.out_h * g.out_w;
  ParallelFor(g.batch, GrainFor(flops), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      float* to = in_grad + n * in_size;
      RunImage(transposed, out_grad + n * g.out_h * g.out_w * s_.filters, to);
      if (mask) {
        RunActivation(ActivationLoop::kReluGrad, to, mask + n * in_size, to, in_size, 0);
      }
    }
  });
}

ConvBackpropFilter::ConvBackpropFilter(const ConvSpec& spec) : s_(spec) {
  const WindowGeometry& g = s_.window;
  padded_ = IsPadded(g);
  image_h_ = g.in_h + g.pad_top + g.pad_bottom;
  image_w_ = g.in_w + g.pad_left + g.pad_right;
  const bool split = g.dilation_w > 1 && g.k_w > 1;
  row_size_ = split ? g.channels : g.k_w * g.channels;
  runs_ = split ? g.k_w : 1;
  const GemmTiles& best = BestGemmTiles();
  columns_ = s_.filters <= best.lanes ? best.lanes : best.max_columns;
  blocks_ = std::max<int64_t>(1, BlocksOf(row_size_, best.max_rows));
  panels_ = std::max<int64_t>(1, BlocksOf(s_.filters, columns_));
  // With few tiles, images are summed in groups to give every thread work.
  groups_ = std::clamp<int64_t>(16 / tiles(), 1, std::clamp<int64_t>(g.batch, 1, 8));
}

size_t ConvBackpropFilter::scratch_bytes() const {
  const size_t padded = padded_ ? (PaddedBytes(s_.window) + 63) / 64 * 64 : 0;
  const size_t partial = groups_ > 1 ? filter_size() + s_.filters : 0;
  return padded + groups_ * (s_.filters + partial) * sizeof(float);
}

ConvBackpropFilter::Group ConvBackpropFilter::GroupOf(int64_t i, float* filter_grad,
                                                      float* bias_grad, float* scratch) const {
  const Block images = BlockOf(s_.window.batch, groups_, i);
  Group group{filter_grad, bias_grad, scratch + i * s_.filters, images.first,
              images.first + images.size};
  if (groups_ > 1) {
    // All partial filters, then all partial biases: rows of two matrices.
    float* partial = scratch + groups_ * s_.filters;
    group.filter_grad = partial + i * filter_size();
    if (bias_grad) group.bias_grad = partial + groups_ * filter_size() + i * s_.filters;
  }
  return group;
}

// One tile of the filter's gradient from one image.
void ConvBackpropFilter::RunTile(const float* image, const float* out_grad,
                                 float* filter_grad, int64_t tile, bool accumulate) const {
  const WindowGeometry& g = s_.window;
  const int64_t image_row = image_w_ * g.channels;
  const int64_t column = tile % panels_ * columns_;
  const Block rows = BlockOf(row_size_, blocks_, tile / panels_ % blocks_);
  const int64_t run = tile / panels_ / blocks_;
  const int64_t ky = run / runs_, kx = run % runs_;
  GemmTile t;
  t.a = image + ky * g.dilation_h * image_row + kx * g.dilation_w * g.channels + rows.first;
  t.b = out_grad + column;
  t.c = filter_grad + (run * row_size_ + rows.first) * s_.filters + column;
  t.lda = g.stride_w * g.channels;
  t.ldb = t.ldc = s_.filters;
  t.k = g.out_w;
  t.segments = g.out_h;
  t.a_segment = g.stride_h * image_row;
  t.b_segment = g.out_w * s_.filters;
  t.accumulate = accumulate;
  BestGemmTiles().run(t, static_cast<int>(rows.size),
                      static_cast<int>(std::min<int64_t>(columns_, s_.filters - column)), true);
}

// Image by image, so that it stays in the cache while all tiles read it.
void ConvBackpropFilter::RunTiles(const float* image, const float* out_grad,
                                  const Group& group, int64_t first_tile,
                                  int64_t last_tile) const {
  const WindowGeometry& g = s_.window;
  const int64_t image_size = image_h_ * image_w_ * g.channels;
  const int64_t pixels = g.out_h * g.out_w;
  for (int64_t n = group.first_image; n < group.last_image; ++n) {
    const bool first = n == group.first_image;
    const float* grad = out_grad + n * pixels * s_.filters;
    for (int64_t tile = first_tile; tile < last_tile; ++tile) {
      RunTile(image + n * image_size, grad, group.filter_grad, tile, !first);
    }
    if (first_tile > 0 || !group.bias_grad) continue;
    SumColumns(grad, pixels, s_.filters, first ? group.bias_grad : group.image_bias);
    for (int64_t j = 0; !first && j < s_.filters; ++j) {
      group.bias_grad[j] += group.image_bias[j];
    }
  }
}

void ConvBackpropFilter::Run(const float* in, const float* out_grad, float* filter_grad,
                             float* bias_grad, void* scratch) const {
  const WindowGeometry& g = s_.window;
  if (g.batch == 0) {
    std::fill_n(filter_grad, filter_size(), 0.0f);
    if (bias_grad) std::fill_n(bias_grad, s_.filters, 0.0f);
    return;
  }
  float* free_scratch = static_cast<float*>(scratch);
  const float* image = in;
  if (padded_) {
    PadImages(g, in, free_scratch);
    image = free_scratch;
    free_scratch += (PaddedBytes(g) + 63) / 64 * 64 / sizeof(float);
  }
  const int64_t count = tiles();
  const int64_t flops = 2 * filter_size() * g.out_h * g.out_w * g.batch / (groups_ * count);
  ParallelFor(groups_ * count, GrainFor(flops), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end;) {
      const int64_t i = unit / count;
      const int64_t last = std::min(end, (i + 1) * count);
      RunTiles(image, out_grad, GroupOf(i, filter_grad, bias_grad, free_scratch),
               unit - i * count, last - i * count);
      unit = last;
    }
  });
  if (groups_ == 1) return;
  const Group partial = GroupOf(0, filter_grad, bias_grad, free_scratch);
  SumColumns(partial.filter_grad, groups_, filter_size(), filter_grad);
  if (bias_grad) SumColumns(partial.bias_grad, groups_, s_.filters, bias_grad);
}

}  // namespace tributary
