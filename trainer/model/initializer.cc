#include "trainer/model/initializer.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/base/random_values.h"

namespace tributary {

InitializerRegistry& Initializers() {
  static InitializerRegistry registry("initializer");
  return registry;
}

namespace {

template <typename Fn>
Tensor Floating(const Shape& shape, DType dtype, Fn fn) {
  Tensor t = Tensor::Empty(dtype, shape);
  const int64_t n = t.NumElements();
  const auto fill = [&]<typename T>(T) {
    T* data = t.mutable_data<T>();
    for (int64_t i = 0; i < n; ++i) data[i] = T(static_cast<float>(fn(i)));
  };
  switch (dtype) {
    case DType::kFloat32: fill(float{}); break;
    case DType::kHalf: fill(Half{}); break;
    case DType::kBFloat16: fill(BFloat16{}); break;
    case DType::kFloat64: {
      double* data = t.mutable_data<double>();
      for (int64_t i = 0; i < n; ++i) data[i] = fn(i);
      break;
    }
    default:
      throw InvalidArgumentError("[initializer] random values are floating, not {}",
                                 DTypeName(dtype));
  }
  return t;
}

Tensor Filled(const Shape& shape, DType dtype, double value) {
  if (IsFloating(dtype)) return Floating(shape, dtype, [&](int64_t) { return value; });
  Tensor t = Tensor::Empty(dtype, shape);
  DispatchPlain(dtype, "initializer", [&]<typename T>(T) {
    if constexpr (std::is_arithmetic_v<T>) {
      std::fill_n(t.mutable_data<T>(), t.NumElements(), static_cast<T>(value));
    }
  });
  return t;
}

struct Fans {
  double in = 1, out = 1;
};

Fans FansOf(const Shape& shape) {
  const int rank = shape.rank();
  if (rank == 0) return {1, 1};
  if (rank == 1) return {double(shape[0]), double(shape[0])};
  double window = 1;
  for (int i = 0; i < rank - 2; ++i) window *= shape[i];
  return {window * shape[rank - 2], window * shape[rank - 1]};
}

// One class for all: fn(shape, dtype, seed).
using MakeFn = std::function<Tensor(const Shape&, DType, uint64_t)>;
class FnInitializer final : public Initializer {
 public:
  FnInitializer(MakeFn fn, const Options& options) : fn_(std::move(fn)), config_(options) {
    const auto names = options.Names();
    if (std::find(names.begin(), names.end(), "seed") != names.end() && options.Has("seed")) {
      seed_ = options.Int("seed");
    }
  }
  const Options& get_config() const override { return config_; }
  Tensor Make(const Shape& shape, DType dtype, uint64_t seed) const override {
    return fn_(shape, dtype, seed_.value_or(seed));
  }

 private:
  MakeFn fn_;
  Options config_;
  std::optional<uint64_t> seed_;
};

std::shared_ptr<Initializer> With(MakeFn fn, const Options& options) {
  return std::make_shared<FnInitializer>(std::move(fn), options);
}

std::shared_ptr<Initializer> Constant(double value, const Options& options) {
  return With([value](const Shape& s, DType d, uint64_t) { return Filled(s, d, value); }, options);
}

OptionSpec Seed() {
  return Opt("seed").Int().Min(0).Doc("instead of the one derived from the job's");
}

using ScaleFn = double (*)(const Fans&);

InitializerRegistry::Factory ScaledUniform(ScaleFn limit) {
  return [limit](const Options& options) {
    return With([limit](const Shape& s, DType d, uint64_t seed) {
      const double a = limit(FansOf(s));
      return Floating(s, d, [&](int64_t i) { return (2 * UniformAt(seed, i) - 1) * a; });
    }, options);
  };
}

// The constant is the deviation of a normal that was truncated at two.
InitializerRegistry::Factory ScaledNormal(ScaleFn variance) {
  return [variance](const Options& options) {
    return With([variance](const Shape& s, DType d, uint64_t seed) {
      const double deviation = std::sqrt(variance(FansOf(s))) / .87962566103423978;
      return Floating(s, d, [&](int64_t i) { return TruncatedNormalAt(seed, i) * deviation; });
    }, options);
  };
}

REGISTER_INITIALIZER(OptionTable{"Zeros", "All zero.", {}},
                     [](const Options& o) { return Constant(0, o); });
REGISTER_INITIALIZER(OptionTable{"Ones", "All one.", {}},
                     [](const Options& o) { return Constant(1, o); });
REGISTER_INITIALIZER(OptionTable{"Constant", "One number everywhere.",
                                 {Opt("value").Float().Default(0.0)}},
                     [](const Options& o) { return Constant(o.Float("value"), o); });
REGISTER_INITIALIZER(
    OptionTable{"GlorotUniform", "Uniform within sqrt(6 / (fan_in + fan_out)).", {Seed()}},
    ScaledUniform([](const Fans& f) { return std::sqrt(6 / (f.in + f.out)); }));
REGISTER_INITIALIZER(
    OptionTable{"GlorotNormal", "Truncated normal of variance 2 / (fan_in + fan_out).",
                {Seed()}},
    ScaledNormal([](const Fans& f) { return 2 / (f.in + f.out); }));
REGISTER_INITIALIZER(
    OptionTable{"HeUniform", "Uniform within sqrt(6 / fan_in).", {Seed()}},
    ScaledUniform([](const Fans& f) { return std::sqrt(6 / f.in); }));
REGISTER_INITIALIZER(
    OptionTable{"HeNormal", "Truncated normal of variance 2 / fan_in.", {Seed()}},
    ScaledNormal([](const Fans& f) { return 2 / f.in; }));
REGISTER_INITIALIZER(
    OptionTable{"RandomUniform", "Uniform in [minval, maxval).",
                {Opt("minval").Float().Default(-0.05), Opt("maxval").Float().Default(0.05),
                 Seed()},
                {"uniform"}},
    [](const Options& o) {
      const double low = o.Float("minval"), high = o.Float("maxval");
      return With([=](const Shape& s, DType d, uint64_t seed) {
        return Floating(s, d,
                        [&](int64_t i) { return low + (high - low) * UniformAt(seed, i); });
      }, o);
    });
REGISTER_INITIALIZER(
    OptionTable{"RandomNormal", "Normal.",
                {Opt("mean").Float().Default(0.0),
                 Opt("stddev").Float().Min(0).Default(0.05), Seed()},
                {"normal"}},
    [](const Options& o) {
      const double mean = o.Float("mean"), deviation = o.Float("stddev");
      return With([=](const Shape& s, DType d, uint64_t seed) {
        return Floating(s, d, [&](int64_t i) { return mean + deviation * NormalAt(seed, i); });
      }, o);
    });
REGISTER_INITIALIZER(
    OptionTable{"TruncatedNormal", "Normal, drawn again beyond two deviations.",
                {Opt("mean").Float().Default(0.0),
                 Opt("stddev").Float().Min(0).Default(0.05), Seed()}},
    [](const Options& o) {
      const double mean = o.Float("mean"), deviation = o.Float("stddev");
      return With([=](const Shape& s, DType d, uint64_t seed) {
        return Floating(s, d,
                        [&](int64_t i) { return mean + deviation * TruncatedNormalAt(seed, i); });
      }, o);
    });

}  // namespace
}  // namespace tributary
