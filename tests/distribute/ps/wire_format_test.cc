// Values on the wire: what comes back, what is lost, and that it is not lost for good.

#include "distribute/ps/wire_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace tributary::ps {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kMax = std::numeric_limits<float>::max();
constexpr WireFormat kFormats[] = {WireFormat::kFloat32, WireFormat::kBfloat16, WireFormat::kInt8};

// Aligned as payloads are, with a mark behind the end.
class Encoded {
 public:
  explicit Encoded(const WireValues& part) : bytes_(part.bytes()), words_(bytes_ / 4 + 2) {
    std::memset(words_.data(), 0x5a, words_.size() * 4);
  }
  std::byte* data() { return reinterpret_cast<std::byte*>(words_.data()); }
  bool intact() {
    return std::all_of(data() + bytes_, data() + words_.size() * 4,
                       [](std::byte b) { return b == std::byte{0x5a}; });
  }

 private:
  size_t bytes_;
  std::vector<uint32_t> words_;
};

std::vector<float> RoundTrip(const WireValues& part, const std::vector<float>& values) {
  Encoded encoded(part);
  Encode(part, values.data(), encoded.data());
  EXPECT_TRUE(encoded.intact());
  std::vector<float> out(values.size() + 1, 77);
  Decode(part, encoded.data(), out.data());
  EXPECT_EQ(out.back(), 77);
  out.pop_back();
  return out;
}

bool SurvivesAsFinite(const WireValues& part, const std::vector<float>& values) {
  Encoded encoded(part);
  Encode(part, values.data(), encoded.data());
  return WireFinite(part, encoded.data());
}

std::vector<float> Random(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& v : values) v = normal(random) * std::exp2(static_cast<float>(random() % 12) - 6);
  return values;
}

TEST(WireFormat, SizesAreThoseOfTheLayout) {
  EXPECT_EQ(WireValues::Dense(WireFormat::kFloat32, 257).bytes(), 1028u);
  EXPECT_EQ(WireValues::Dense(WireFormat::kBfloat16, 257).bytes(), 514u);
  EXPECT_EQ(WireValues::Dense(WireFormat::kInt8, 257).bytes(), 257u + 8u);
  EXPECT_EQ(WireValues::Dense(WireFormat::kInt8, 256).bytes(), 256u + 4u);
  EXPECT_EQ(WireValues::Dense(WireFormat::kInt8, 0).bytes(), 0u);
  EXPECT_EQ(WireValues::Rows(WireFormat::kInt8, 3, 16).bytes(), 3u * 20u);
  EXPECT_EQ(WireValues::Rows(WireFormat::kBfloat16, 3, 16).bytes(), 3u * 32u);
}

// Against the definition, for every upper half and what can lie below it.
TEST(WireFormat, Bfloat16IsRoundedToNearestEven) {
  std::vector<float> values;
  for (uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (const uint32_t lower : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      values.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
  }
  const std::vector<float> back =
      RoundTrip(WireValues::Dense(WireFormat::kBfloat16, values.size()), values);
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(values[i]), lower = bits & 0xffff;
    uint32_t expected = bits >> 16;
    if (std::isnan(values[i])) {
      ASSERT_TRUE(std::isnan(back[i]));
      continue;
    }
    if (lower > 0x8000 || (lower == 0x8000 && (expected & 1))) ++expected;
    if ((expected & 0x7fff) == 0x7f80 && std::isfinite(values[i])) --expected;
    ASSERT_EQ(std::bit_cast<uint32_t>(back[i]), expected << 16) << std::hex << bits;
  }
}

TEST(WireFormat, Int8IsWithinHalfAStepOfTheRowsScale) {
  for (uint64_t width = 1; width <= 70; ++width) {
    for (const uint64_t rows : {1, 2, 7}) {
      const WireValues part = WireValues::Rows(WireFormat::kInt8, rows, width);
      const std::vector<float> values = Random(rows * width, width);
      const std::vector<float> back = RoundTrip(part, values);
      for (uint64_t r = 0; r < rows; ++r) {
        float peak = 0;
        for (uint64_t j = 0; j < width; ++j) peak = std::max(peak, std::abs(values[r * width + j]));
        for (uint64_t j = 0; j < width; ++j) {
          const uint64_t i = r * width + j;
          ASSERT_LE(std::abs(back[i] - values[i]), peak / 254 * 1.0001f) << width << " " << i;
          if (std::abs(values[i]) == peak) { ASSERT_NEAR(back[i] / values[i], 1, 1e-6); }
        }
      }
    }
  }
}

TEST(WireFormat, AnyLengthComesBackAndPiecesAreLikeTheWhole) {
  for (const WireFormat format : kFormats) {
    for (uint64_t n = 0; n < 600; n = n < 80 ? n + 1 : n + 37) {
      const std::vector<float> values = Random(n, n);
      const WireValues dense = WireValues::Dense(format, n);
      const std::vector<float> back = RoundTrip(dense, values);
      for (uint64_t i = 0; i < n; ++i) {
        const float peak = *std::max_element(
            values.begin() + static_cast<std::ptrdiff_t>(i / 256 * 256),
            values.begin() + static_cast<std::ptrdiff_t>(std::min(n, i / 256 * 256 + 256)),
            [](float a, float b) { return std::abs(a) < std::abs(b); });
        const float bound = format == WireFormat::kFloat32    ? 0
                            : format == WireFormat::kBfloat16 ? std::abs(values[i]) / 256
                                                              : std::abs(peak) / 253;
        ASSERT_LE(std::abs(back[i] - values[i]), bound) << n << " " << i;
      }
    }
    const WireValues rows = WireValues::Rows(format, 23, 9);
    const std::vector<float> values = Random(23 * 9, 5);
    Encoded whole(rows), pieces(rows);
    Encode(rows, values.data(), whole.data());
    std::vector<float> decoded(values.size());
    for (const auto& [first, last] : {std::pair{0, 1}, {1, 1}, {1, 20}, {20, 23}}) {
      EncodeGroups(rows, first, last, values.data() + first * 9, pieces.data());
      DecodeGroups(rows, first, last, whole.data(), decoded.data() + first * 9);
    }
    EXPECT_EQ(std::memcmp(whole.data(), pieces.data(), rows.bytes()), 0);
    EXPECT_EQ(decoded, RoundTrip(rows, values));
  }
}

TEST(WireFormat, WhatIsNotFiniteIsSeenWhereverItIs) {
  for (const WireFormat format : kFormats) {
    for (const uint64_t n : {1, 5, 8, 64, 70, 300, 517}) {
      for (const WireValues& part :
           {WireValues::Dense(format, n), WireValues::Rows(format, n, 1)}) {
        std::vector<float> values = Random(n, n);
        EXPECT_TRUE(SurvivesAsFinite(part, values));
        for (uint64_t at = 0; at < n; at = at < 40 ? at + 1 : at + 29) {
          const float before = values[at];
          for (const float bad : {kNaN, -kNaN, kInfinity, -kInfinity}) {
            values[at] = bad;
            EXPECT_FALSE(SurvivesAsFinite(part, values)) << n << " " << at;
          }
          values[at] = before;
        }
      }
    }
  }
}

TEST(WireFormat, WhatIsFiniteStaysFinite) {
  const std::vector<float> values = {kMax, -kMax, 0.0f, -0.0f, std::nextafter(kMax, 0.0f), 1.0f};
  for (const WireFormat format : kFormats) {
    const WireValues part = WireValues::Dense(format, values.size());
    EXPECT_TRUE(SurvivesAsFinite(part, values));
    const std::vector<float> back = RoundTrip(part, values);
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_TRUE(std::isfinite(back[i]));
      EXPECT_LE(std::abs(back[i] - values[i]), kMax / 100);
    }
    const std::vector<float> small = {1e-40f, -1e-39f, 1e-37f, 0};
    for (const float v : RoundTrip(WireValues::Dense(format, 4), small)) EXPECT_LE(v, 1.01e-37f);
    EXPECT_EQ(RoundTrip(WireValues::Dense(format, 3), {0, 0, 0}), std::vector<float>(3));
  }
}

// A peer may send any bytes.
TEST(WireFormat, ScalesThatWouldOverflowAreNotFinite) {
  const WireValues part = WireValues::Rows(WireFormat::kInt8, 3, 2);
  for (const float scale : {kMax / 127, kMax, -kMax, kInfinity, kNaN}) {
    Encoded encoded(part);
    const float scales[] = {1, scale, 1};
    std::memcpy(encoded.data(), scales, sizeof(scales));
    EXPECT_FALSE(WireFinite(part, encoded.data())) << scale;
  }
  Encoded encoded(part);
  const float scales[] = {kMax / 128, -kMax / 128, 0};
  std::memcpy(encoded.data(), scales, sizeof(scales));
  std::memset(encoded.data() + sizeof(scales), 0x80, 6);  // -128, which no encoder writes
  EXPECT_TRUE(WireFinite(part, encoded.data()));
  float values[6];
  Decode(part, encoded.data(), values);
  for (const float v : values) EXPECT_TRUE(std::isfinite(v));
}

// --- Feedback ----------------------------------------------------------------------------

TEST(WireFormat, FeedbackKeepsWhatRoundingLost) {
  for (const WireFormat format : kFormats) {
    for (const uint64_t n : {1, 7, 256, 300}) {
      const WireValues part = WireValues::Dense(format, n);
      std::vector<float> residual(n), decoded(n);
      std::vector<double> exact(n), received(n);
      for (int step = 0; step < 300; ++step) {
        std::vector<float> values = Random(n, static_cast<uint64_t>(step));
        values[0] = 1000;  // next to which the others are below a step of int8
        Encoded encoded(part);
        EncodeWithFeedback(part, values.data(), residual.data(), encoded.data());
        EXPECT_TRUE(encoded.intact());
        Decode(part, encoded.data(), decoded.data());
        for (uint64_t i = 0; i < n; ++i) {
          exact[i] += static_cast<double>(values[i]);
          received[i] += static_cast<double>(decoded[i]);
          // What has not come yet is here, and no more than a rounding.
          ASSERT_NEAR(exact[i], received[i] + static_cast<double>(residual[i]), 2e-2);
          ASSERT_LE(std::abs(residual[i]), 1000.0f / 127);
        }
      }
    }
  }
}

TEST(WireFormat, FeedbackForgetsWhatIsNotFinite) {
  for (const WireFormat format : kFormats) {
    const WireValues part = WireValues::Dense(format, 300);
    std::vector<float> values(300, 0.3f), residual(300, 0.1f);
    values[270] = kInfinity;
    values[271] = kNaN;
    Encoded encoded(part);
    EncodeWithFeedback(part, values.data(), residual.data(), encoded.data());
    EXPECT_FALSE(WireFinite(part, encoded.data()));
    for (const float r : residual) EXPECT_LE(std::abs(r), 0.01f);
  }
}

}  // namespace
}  // namespace tributary::ps
