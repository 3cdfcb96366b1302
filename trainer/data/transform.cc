#include "trainer/data/transform.h"

#include <cstring>

#include "trainer/data/gather.h"
#include "trainer/data/scratch.h"

namespace tributary::data {
namespace {

void RequirePlain(const Column& column, const char* what) {
  if (!IsPlain(column.spec().dtype)) {
    throw InvalidArgumentError("[data] {} needs numbers; got {}", what,
                               column.spec().ToString());
  }
}

template <typename To, typename From>
To Convert(From value) {
  if constexpr (std::is_same_v<From, Half> || std::is_same_v<From, BFloat16>) {
    return Convert<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, BFloat16>) {
    return To(static_cast<float>(value));
  } else {
    return static_cast<To>(value);
  }
}

class Cast final : public Column {
 public:
  Cast(ColumnPtr source, DType dtype)
      : Column({dtype, source->spec().shape}), source_(std::move(source)) {}

  void Gather(std::span<const int64_t> rows, void* out) const override {
    const size_t count = rows.size() * spec().shape.NumElements();
    ScratchLease scratch(rows.size() * source_->row_bytes());
    source_->Gather(rows, scratch.data());
    DispatchPlain(source_->spec().dtype, "cast", [&](auto from) {
      using From = decltype(from);
      DispatchPlain(spec().dtype, "cast", [&](auto to) {
        using To = decltype(to);
        const From* in = reinterpret_cast<const From*>(scratch.data());
        std::transform(in, in + count, static_cast<To*>(out),
                       [](From v) { return Convert<To>(v); });
      });
    });
  }

 private:
  ColumnPtr source_;
};

class Normalize final : public Column {
 public:
  Normalize(ColumnPtr source, std::vector<float> mean, std::vector<float> scale)
      : Column(source->spec()),
        source_(std::move(source)),
        mean_(std::move(mean)),
        scale_(std::move(scale)) {}

  void Gather(std::span<const int64_t> rows, void* out) const override {
    source_->Gather(rows, out);
    float* values = static_cast<float*>(out);
    ShiftScale(values, mean_.data(), scale_.data(), mean_.size(), values,
               rows.size() * spec().shape.NumElements());
  }

 private:
  ColumnPtr source_;
  std::vector<float> mean_, scale_;
};

Shape WithLast(const Shape& shape, int64_t depth) {
  Shape longer = shape;
  longer.AddDim(depth);
  return longer;
}

class OneHot final : public Column {
 public:
  OneHot(ColumnPtr source, int64_t depth)
      : Column({DType::kFloat32, WithLast(source->spec().shape, depth)}),
        source_(CastColumn(std::move(source), DType::kInt64)),
        depth_(depth) {}

  void Gather(std::span<const int64_t> rows, void* out) const override {
    const int64_t per_row = source_->spec().shape.NumElements();
    ScratchLease scratch(rows.size() * source_->row_bytes());
    source_->Gather(rows, scratch.data());
    const auto* index = reinterpret_cast<const int64_t*>(scratch.data());
    float* to = static_cast<float*>(out);
    std::fill_n(to, rows.size() * per_row * depth_, 0.0f);
    for (size_t i = 0; i < rows.size() * per_row; ++i, to += depth_) {
      if (index[i] < 0 || index[i] >= depth_) {
        throw InvalidArgumentError(
            "[data] one_hot: expected values in [0, {}), got {} in row {}", depth_, index[i],
            rows[i / per_row]);
      }
      to[index[i]] = 1.0f;
    }
  }

 private:
  ColumnPtr source_;
  int64_t depth_;
};

class Reshape final : public Column {
 public:
  Reshape(ColumnPtr source, Shape shape)
      : Column({source->spec().dtype, std::move(shape)}), source_(std::move(source)) {}
  void Gather(std::span<const int64_t> rows, void* out) const override {
    source_->Gather(rows, out);
  }

 private:
  ColumnPtr source_;
};

}  // namespace

ColumnPtr CastColumn(ColumnPtr source, DType dtype) {
  if (source->spec().dtype == dtype) return source;
  RequirePlain(*source, "cast");
  if (!IsPlain(dtype)) {
    throw InvalidArgumentError("[data] cast: can't make {} of {}", DTypeName(dtype),
                               source->spec().ToString());
  }
  return std::make_shared<Cast>(std::move(source), dtype);
}

ColumnPtr NormalizeColumn(ColumnPtr source, std::vector<float> mean,
                          std::vector<float> deviation) {
  RequirePlain(*source, "normalize");
  const Shape& shape = source->spec().shape;
  const size_t last = shape.rank() > 0 ? static_cast<size_t>(shape.dim(-1)) : 1;
  if (mean.size() == 1) mean.assign(last, mean[0]);
  if (deviation.size() == 1) deviation.assign(last, deviation[0]);
  if (mean.size() != last || deviation.size() != last) {
    throw InvalidArgumentError(
        "[data] normalize: expected 1 or {} means and deviations, got {} and {}", last,
        mean.size(), deviation.size());
  }
  for (float& d : deviation) {
    if (!(d > 0)) {
      throw InvalidArgumentError("[data] normalize: expected deviations above 0, got {}", d);
    }
    d = 1.0f / d;
  }
  return std::make_shared<Normalize>(CastColumn(std::move(source), DType::kFloat32),
                                     std::move(mean), std::move(deviation));
}

ColumnPtr OneHotColumn(ColumnPtr source, int64_t depth) {
  if (!IsInteger(source->spec().dtype) || depth < 1) {
    throw InvalidArgumentError(
        "[data] one_hot needs integers and a depth of 1 or more; got {} and {}",
        source->spec().ToString(), depth);
  }
  return std::make_shared<OneHot>(std::move(source), depth);
}

ColumnPtr ReshapeColumn(ColumnPtr source, const Shape& shape) {
  const int64_t elements = source->spec().shape.NumElements();
  std::vector<int64_t> dims = shape.dims();
  int64_t known = 1;
  int open = -1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] >= 0) {
      known *= dims[i];
    } else if (open < 0) {
      open = static_cast<int>(i);
    } else {
      known = -1;
    }
  }
  if (open >= 0 && known > 0 && elements % known == 0) {
    dims[open] = elements / known;
    known = elements;
  }
  if (known != elements || (open >= 0 && dims[open] < 0)) {
    throw InvalidArgumentError("[data] reshape: rows of shape {} don't fit {}",
                               source->spec().shape.ToString(), shape.ToString());
  }
  return std::make_shared<Reshape>(std::move(source), Shape(dims));
}

TransformRegistry& DataTransforms() {
  static TransformRegistry registry("data_transform");
  return registry;
}

namespace {

// A registered transformation from a function of options and column.
class Registered final : public ColumnTransform {
 public:
  using Fn = ColumnPtr (*)(const Options&, ColumnPtr);
  Registered(Options options, Fn fn) : options_(std::move(options)), fn_(fn) {}
  ColumnPtr Apply(ColumnPtr source) const override {
    return fn_(options_, std::move(source));
  }

 private:
  Options options_;
  Fn fn_;
};

TransformRegistry::Factory From(Registered::Fn fn) {
  return [fn](const Options& options) -> std::unique_ptr<ColumnTransform> {
    return std::make_unique<Registered>(options, fn);
  };
}

OptionSpec WhichColumn(int column) {
  return Opt("column").Int().Default(column).Doc("which tensor of the element; -1: last");
}
OptionSpec WhichFeature() { return Opt("feature").String().Doc("the same by its name"); }

std::vector<float> AsFloats(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

const TransformRegistry::Registrar kCast(
    DataTransforms(),
    OptionTable{"cast", "Converts numbers to another dtype.",
                {WhichColumn(0), WhichFeature(),
                 Opt("dtype").String().Required().Doc("e.g. float32")}},
    From([](const Options& o, ColumnPtr source) {
      return CastColumn(std::move(source), ParseDType(o.String("dtype")));
    }));

const TransformRegistry::Registrar kNormalize(
    DataTransforms(),
    OptionTable{"normalize", "Subtracts a mean and divides by a standard deviation.",
                {WhichColumn(0), WhichFeature(),
                 Opt("mean").Float().List(1, OptionSpec::kMaxListLength).Required(),
                 Opt("stddev").Float().Above(0).List(1, OptionSpec::kMaxListLength).Required()}},
    From([](const Options& o, ColumnPtr source) {
      return NormalizeColumn(std::move(source), AsFloats(o.Floats("mean")),
                             AsFloats(o.Floats("stddev")));
    }));

const TransformRegistry::Registrar kOneHot(
    DataTransforms(),
    OptionTable{"one_hot", "Turns class numbers into vectors with a single 1.",
                {WhichColumn(-1), WhichFeature(),
                 Opt("depth").Int().Min(1).Required().Doc("number of classes")}},
    From([](const Options& o, ColumnPtr source) {
      return OneHotColumn(std::move(source), o.Int("depth"));
    }));

const TransformRegistry::Registrar kReshape(
    DataTransforms(),
    OptionTable{"reshape", "Gives each row another shape.",
                {WhichColumn(0), WhichFeature(), Opt("shape").Int().Min(-1).List().Required()}},
    From([](const Options& o, ColumnPtr source) {
      return ReshapeColumn(std::move(source), Shape(o.Ints("shape")));
    }));

}  // namespace
}  // namespace tributary::data
