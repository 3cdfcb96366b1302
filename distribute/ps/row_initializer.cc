#include "distribute/ps/row_initializer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/philox.h"

namespace tributary::ps {

RowInitializerRegistry& RowInitializers() {
  static RowInitializerRegistry registry("row_initializer");
  return registry;
}

uint64_t RowKey(uint64_t seed, const std::string& table) {
  uint64_t key = MixSeed(seed, table.size());
  for (const char c : table) key = MixSeed(key, static_cast<unsigned char>(c));
  return key;
}

namespace {

// Block `block` of row `id`: the counter's halves.
PhiloxBlock BlockOf(uint64_t key, uint64_t id, uint64_t block) { return PhiloxAt(key, id, block); }

// Box and Muller, as trainer/model/initializer.cc.
double Normal(uint32_t a, uint32_t b) {
  const double u = std::max<double>(UniformFloat(a), 1e-7);
  return std::sin(2 * std::numbers::pi * UniformFloat(b)) * std::sqrt(-2 * std::log(u));
}

RowInitializer Fill(double value) {
  return [value = static_cast<float>(value)](uint64_t, uint64_t, float* out, int64_t width) {
    std::fill(out, out + width, value);
  };
}

// A truncated value may need further blocks; they follow those of all elements.
constexpr uint64_t kRetryStride = uint64_t{1} << 32;

[[maybe_unused]] const RowInitializerRegistry::Registrar kZeros(
    RowInitializers(), OptionTable{"Zeros", "All zero.", {}}, [](const Options&) { return Fill(0); });
[[maybe_unused]] const RowInitializerRegistry::Registrar kOnes(
    RowInitializers(), OptionTable{"Ones", "All one.", {}}, [](const Options&) { return Fill(1); });
[[maybe_unused]] const RowInitializerRegistry::Registrar kConstant(
    RowInitializers(),
    OptionTable{"Constant", "One number everywhere.", {Opt("value").Float().Default(0.0)}},
    [](const Options& o) { return Fill(o.Float("value")); });

[[maybe_unused]] const RowInitializerRegistry::Registrar kUniform(
    RowInitializers(),
    OptionTable{"RandomUniform", "Uniform in [minval, maxval).",
                {Opt("minval").Float().Default(-0.05), Opt("maxval").Float().Default(0.05)},
                {"uniform"}},
    [](const Options& o) -> RowInitializer {
      const auto low = static_cast<float>(o.Float("minval"));
      const auto range = static_cast<float>(o.Float("maxval") - o.Float("minval"));
      return [low, range](uint64_t key, uint64_t id, float* out, int64_t width) {
        for (int64_t i = 0; i < width; i += 4) {
          const PhiloxBlock block = BlockOf(key, id, static_cast<uint64_t>(i / 4));
          for (int64_t j = 0; j < std::min<int64_t>(4, width - i); ++j) {
            out[i + j] = low + range * UniformFloat(block[j]);
          }
        }
      };
    });

RowInitializer MakeNormal(const Options& o, double limit) {
  const double mean = o.Float("mean"), deviation = o.Float("stddev");
  return [=](uint64_t key, uint64_t id, float* out, int64_t width) {
    for (int64_t i = 0; i < width; ++i) {
      auto block_number = static_cast<uint64_t>(i / 2);
      PhiloxBlock block = BlockOf(key, id, block_number);
      double x = Normal(block[2 * (i % 2)], block[2 * (i % 2) + 1]);
      for (uint64_t attempt = 1; std::abs(x) >= limit; ++attempt) {
        block = BlockOf(key, id, static_cast<uint64_t>(i) + attempt * kRetryStride);
        x = Normal(block[0], block[1]);
      }
      out[i] = static_cast<float>(mean + deviation * x);
    }
  };
}

std::vector<OptionSpec> NormalOptions() {
  return {Opt("mean").Float().Default(0.0), Opt("stddev").Float().Min(0).Default(0.05)};
}

[[maybe_unused]] const RowInitializerRegistry::Registrar kNormal(
    RowInitializers(), OptionTable{"RandomNormal", "Normal.", NormalOptions(), {"normal"}},
    [](const Options& o) { return MakeNormal(o, 1e30); });
[[maybe_unused]] const RowInitializerRegistry::Registrar kTruncated(
    RowInitializers(),
    OptionTable{"TruncatedNormal", "Normal, drawn again beyond two deviations.", NormalOptions()},
    [](const Options& o) { return MakeNormal(o, 2); });

}  // namespace
}  // namespace tributary::ps
