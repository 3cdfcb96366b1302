#include "trainer/data/digits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/base/parallel.h"
#include "core/base/philox.h"

namespace tributary::data {
namespace {

constexpr int kSide = 28;
constexpr int kPixels = kSide * kSide;
constexpr int kStepsPerSpan = 5;
constexpr float kJitter = 0.11f;  // of control points, in units of the digit

struct Point {
  float x, y;
};

struct Stroke {
  bool smooth;  // a spline through the points, or straight lines
  std::vector<Point> points;
};

// In the unit square, y downwards.
const std::vector<Stroke>& StrokesOf(int digit) {
  static const std::array<std::vector<Stroke>, 10> kStrokes = {{
      {{true, {{.50f, .08f}, {.27f, .25f}, {.22f, .55f}, {.35f, .88f}, {.58f, .90f},
               {.77f, .65f}, {.75f, .30f}, {.50f, .08f}}}},
      {{false, {{.36f, .26f}, {.53f, .08f}, {.51f, .92f}}}},
      {{true, {{.25f, .28f}, {.38f, .10f}, {.62f, .09f}, {.73f, .28f}, {.60f, .52f},
               {.40f, .72f}, {.24f, .89f}}},
       {false, {{.24f, .89f}, {.78f, .87f}}}},
      {{true, {{.26f, .18f}, {.48f, .08f}, {.70f, .22f}, {.62f, .42f}, {.44f, .48f}}},
       {true, {{.44f, .48f}, {.70f, .56f}, {.74f, .76f}, {.50f, .92f}, {.25f, .80f}}}},
      {{false, {{.58f, .09f}, {.22f, .60f}, {.82f, .58f}}},
       {false, {{.64f, .30f}, {.60f, .92f}}}},
      {{false, {{.74f, .10f}, {.34f, .11f}, {.30f, .46f}}},
       {true, {{.30f, .46f}, {.54f, .42f}, {.74f, .60f}, {.66f, .84f}, {.42f, .92f},
               {.24f, .80f}}}},
      {{true, {{.66f, .09f}, {.42f, .26f}, {.28f, .58f}, {.36f, .86f}, {.60f, .89f},
               {.72f, .70f}, {.58f, .54f}, {.34f, .62f}}}},
      {{false, {{.22f, .12f}, {.78f, .11f}, {.44f, .92f}}}},
      {{true, {{.52f, .47f}, {.30f, .32f}, {.36f, .12f}, {.62f, .10f}, {.70f, .30f},
               {.52f, .47f}, {.28f, .66f}, {.34f, .90f}, {.64f, .91f}, {.74f, .68f},
               {.52f, .47f}}}},
      {{true, {{.70f, .32f}, {.54f, .48f}, {.32f, .38f}, {.34f, .16f}, {.56f, .08f},
               {.70f, .24f}, {.68f, .56f}, {.56f, .92f}}}},
  }};
  return kStrokes[digit];
}

// The numbers of one digit, in order.
class Random {
 public:
  Random(uint64_t seed, int64_t digit) : seed_(seed), stream_(static_cast<uint64_t>(digit)) {}
  uint32_t Bits() {
    if (next_ % 4 == 0) block_ = PhiloxAt(seed_, stream_, next_ / 4);
    return block_[next_++ % 4];
  }
  // [-1, 1), peaked at 0.
  float Around() { return UniformFloat(Bits()) + UniformFloat(Bits()) - 1.0f; }

 private:
  uint64_t seed_, stream_;
  uint64_t next_ = 0;
  PhiloxBlock block_{};
};

struct Affine {
  float xx, xy, yx, yy, dx, dy;
  Point operator()(Point p) const {
    const float x = p.x - 0.5f, y = p.y - 0.5f;
    return {xx * x + xy * y + dx, yx * x + yy * y + dy};
  }
};

// Rotation, scale, slant and shift; maps the unit square to pixels.
Affine RandomAffine(Random* random) {
  const float angle = 0.4f * random->Around();
  const float slant = 0.4f * random->Around();
  const float width = 20.0f * (1.0f + 0.25f * random->Around());
  const float height = 20.0f * (1.0f + 0.18f * random->Around());
  const float c = std::cos(angle), s = std::sin(angle);
  return {width * c,
          height * (-s - slant * c),
          width * s,
          height * (c - slant * s),
          13.5f + 2.0f * random->Around(),
          13.5f + 2.0f * random->Around()};
}

Point CatmullRom(Point a, Point b, Point c, Point d, float t) {
  const auto at = [t](float p0, float p1, float p2, float p3) {
    return 0.5f * (2 * p1 + t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 +
                                                t * (3 * (p1 - p2) + p3 - p0))));
  };
  return {at(a.x, b.x, c.x, d.x), at(a.y, b.y, c.y, d.y)};
}

std::vector<Point> Polyline(const Stroke& stroke, const std::vector<Point>& points) {
  if (!stroke.smooth) return points;
  std::vector<Point> line = {points.front()};
  const int last = static_cast<int>(points.size()) - 1;
  for (int i = 0; i < last; ++i) {
    for (int step = 1; step <= kStepsPerSpan; ++step) {
      line.push_back(CatmullRom(points[std::max(i - 1, 0)], points[i], points[i + 1],
                                points[std::min(i + 2, last)],
                                static_cast<float>(step) / kStepsPerSpan));
    }
  }
  return line;
}

// Ink falls off over one pixel at the edge of the pen.
void DrawSegment(Point a, Point b, float radius, float* ink) {
  const float reach = radius + 1.0f;
  const auto low = [](float v) { return std::max(0, static_cast<int>(std::floor(v))); };
  const auto high = [](float v) { return std::min(kSide - 1, static_cast<int>(std::ceil(v))); };
  const float vx = b.x - a.x, vy = b.y - a.y;
  const float length2 = std::max(vx * vx + vy * vy, 1e-6f);
  for (int y = low(std::min(a.y, b.y) - reach); y <= high(std::max(a.y, b.y) + reach); ++y) {
    for (int x = low(std::min(a.x, b.x) - reach); x <= high(std::max(a.x, b.x) + reach); ++x) {
      const float px = static_cast<float>(x) - a.x, py = static_cast<float>(y) - a.y;
      const float t = std::clamp((px * vx + py * vy) / length2, 0.0f, 1.0f);
      const float ex = px - t * vx, ey = py - t * vy;
      const float value = std::clamp(radius + 0.5f - std::sqrt(ex * ex + ey * ey), 0.0f, 1.0f);
      float& pixel = ink[y * kSide + x];
      pixel = std::max(pixel, value);
    }
  }
}

void DrawDigit(int digit, Random* random, uint8_t* image) {
  std::array<float, kPixels> ink{};
  const Affine affine = RandomAffine(random);
  const float radius = 1.1f + 0.45f * random->Around();
  for (const Stroke& stroke : StrokesOf(digit)) {
    std::vector<Point> points;
    for (Point p : stroke.points) {
      p.x += kJitter * random->Around();
      p.y += kJitter * random->Around();
      points.push_back(affine(p));
    }
    const std::vector<Point> line = Polyline(stroke, points);
    for (size_t i = 0; i + 1 < line.size(); ++i) {
      DrawSegment(line[i], line[i + 1], radius, ink.data());
    }
  }
  const float brightness = 235.0f + 20.0f * random->Around();
  for (int i = 0; i < kPixels; ++i) {
    const float noise = ink[i] > 0 ? 16.0f * random->Around() : 0.0f;
    image[i] = static_cast<uint8_t>(std::clamp(ink[i] * brightness + noise, 0.0f, 255.0f));
  }
}

}  // namespace

Digits GenerateDigits(int64_t first, int64_t count, uint64_t seed) {
  Digits digits{Tensor::Empty(DType::kUint8, Shape{count, kSide, kSide}),
                Tensor::Empty(DType::kInt64, Shape{count})};
  uint8_t* images = digits.images.mutable_data<uint8_t>();
  int64_t* labels = digits.labels.mutable_data<int64_t>();
  ParallelFor(count, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Random random(seed, first + i);
      labels[i] = static_cast<int64_t>(random.Bits() % 10);
      DrawDigit(static_cast<int>(labels[i]), &random, images + i * kPixels);
    }
  });
  return digits;
}

}  // namespace tributary::data
