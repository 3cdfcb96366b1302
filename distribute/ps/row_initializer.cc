#include "distribute/ps/row_initializer.h"

#include <algorithm>

#include "core/base/random_values.h"

namespace tributary::ps {

RowInitializerRegistry& RowInitializers() {
  static RowInitializerRegistry registry("row_initializer");
  return registry;
}

namespace {

RowInitializer Fill(double value) {
  return [value = static_cast<float>(value)](uint64_t, uint64_t, float* out, int64_t width) {
    std::fill(out, out + width, value);
  };
}

// fn(element of the whole table, its number the row's times the width) -> value.
template <typename Fn>
RowInitializer ByElement(Fn fn) {
  return [fn](uint64_t seed, uint64_t id, float* out, int64_t width) {
    const uint64_t first = id * static_cast<uint64_t>(width);
    for (int64_t i = 0; i < width; ++i) {
      out[i] = static_cast<float>(fn(seed, first + static_cast<uint64_t>(i)));
    }
  };
}

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
      const double low = o.Float("minval"), range = o.Float("maxval") - o.Float("minval");
      return [low, range](uint64_t seed, uint64_t id, float* out, int64_t width) {
        const uint64_t first = id * static_cast<uint64_t>(width);
        for (int64_t i = 0; i < width;) {  // four elements a block
          const uint64_t at = first + static_cast<uint64_t>(i);
          const PhiloxBlock block = PhiloxAt(seed, 0, at / 4);
          for (uint64_t lane = at % 4; lane < 4 && i < width; ++lane, ++i) {
            out[i] = static_cast<float>(low + range * double{UniformFloat(block[lane])});
          }
        }
      };
    });

using ValueAt = double (*)(uint64_t seed, uint64_t i);
RowInitializer MakeNormal(const Options& o, ValueAt at) {
  const double mean = o.Float("mean"), deviation = o.Float("stddev");
  return ByElement([=](uint64_t seed, uint64_t i) { return mean + deviation * at(seed, i); });
}

std::vector<OptionSpec> NormalOptions() {
  return {Opt("mean").Float().Default(0.0), Opt("stddev").Float().Min(0).Default(0.05)};
}

[[maybe_unused]] const RowInitializerRegistry::Registrar kNormal(
    RowInitializers(), OptionTable{"RandomNormal", "Normal.", NormalOptions(), {"normal"}},
    [](const Options& o) { return MakeNormal(o, NormalAt); });
[[maybe_unused]] const RowInitializerRegistry::Registrar kTruncated(
    RowInitializers(),
    OptionTable{"TruncatedNormal", "Normal, drawn again beyond two deviations.", NormalOptions()},
    [](const Options& o) { return MakeNormal(o, TruncatedNormalAt); });

}  // namespace
}  // namespace tributary::ps
