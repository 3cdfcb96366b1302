// tfrecord: TFRecord files of tf.Example.

#include "trainer/data/tfrecord.h"

#include "core/base/option_check.h"
#include "core/base/strings.h"
#include "trainer/data/files.h"
#include "trainer/data/source.h"

namespace tributary::data {
namespace {

// A feature of an example, by name: {Fixed: {dtype: int64, shape: [3]}}.
using FeatureKinds = OptionRegistry<ExampleFeature(const Options&)>;
FeatureKinds& ExampleFeatures() {
  static FeatureKinds registry("example_feature");
  return registry;
}

Tensor DefaultOf(const Options& o, DType dtype) {
  const std::vector<std::string> texts = o.Strings("default");
  const int64_t count = static_cast<int64_t>(texts.size());
  if (dtype == DType::kString) return Tensor::FromVector(texts);
  Tensor values = Tensor::Empty(dtype, Shape{count});
  for (int64_t i = 0; i < count; ++i) {
    std::string error;
    if (dtype == DType::kInt64) {
      error = ParseInt(texts[i], &values.mutable_data<int64_t>()[i]);
    } else {
      double number = 0;
      error = ParseFloat(texts[i], &number);
      values.mutable_data<float>()[i] = static_cast<float>(number);
    }
    if (!error.empty()) throw InvalidArgumentError("[tfrecord] default '{}': {}", texts[i], error);
  }
  return values;
}

const FeatureKinds::Registrar kFixed(
    ExampleFeatures(),
    OptionTable{"Fixed", "So many values in each example (tf.io.FixedLenFeature).",
                {Opt("dtype").OneOf({"float32", "int64", "string"}).Default("float32"),
                 Opt("shape").Int().Min(1).List(0, 8).Default(OptionNode::List{}),
                 Opt("default").String().List(1, OptionSpec::kMaxListLength).Doc(
                     "values of examples without it; else such a record is bad")}},
    [](const Options& o) {
      ExampleFeature feature;
      feature.dtype = ParseDType(o.String("dtype"));
      feature.shape = Shape(o.Ints("shape"));
      if (o.Has("default")) feature.default_value = DefaultOf(o, feature.dtype);
      return feature;
    });

Dataset MakeTfRecord(const Options& o) {
  TfRecordOptions options;
  const std::vector<std::string> names = o.Keys("features");
  const std::vector<Options> features = o.Children("features");
  for (size_t i = 0; i < names.size(); ++i) {
    options.features.push_back(ExampleFeatures().Build(features[i]));
    options.features.back().name = names[i];
  }
  // The target comes last.
  if (o.Has("label")) {
    const auto label = std::ranges::find(options.features, o.String("label"),
                                         &ExampleFeature::name);
    if (label == options.features.end()) {
      throw InvalidArgumentError("[tfrecord] label '{}' is none of the features{}",
                                 o.String("label"), DidYouMean(o.String("label"), names));
    }
    std::rotate(label, label + 1, options.features.end());
  }
  const std::string& compression = o.String("compression");
  options.compression = compression == "none"   ? RecordCompression::kNone
                        : compression == "gzip" ? RecordCompression::kGzip
                        : compression == "zlib" ? RecordCompression::kZlib
                                                : RecordCompression::kAuto;
  options.max_bad_records = o.Int("max_bad_records");
  std::vector<std::string> paths, bases;
  for (const std::string& path : o.Strings("path")) {
    paths.push_back(FindInput(PosixEnv(), path));
    bases.push_back(BaseName(path));
  }
  return Dataset::FromTable(
      SliceBySplit(ReadTfRecords(PosixEnv(), paths, options), o.String("split")),
      fmt::format("tfrecord {} {}", Join(bases, ", "), o.String("split")));
}

const SourceRegistrar kTfRecord(
    "tfrecord", "TFRecord files of tf.Example, checksums verified.",
    {Opt("path").Path().List(1).Required().Doc("a file, or a list read one after the other"),
     Opt("features").MapOf("example_feature", OptionTable{"", "", {}}).Required().Doc(
         "what is read of an example, by name"),
     Opt("label").String().Doc("the feature that is the target; the last one unless set"),
     Opt("compression").OneOf({"auto", "none", "gzip", "zlib"}).Default("auto").Doc(
         "auto: gzip where a file begins so, else none"),
     Opt("split").String().Default("[:]").Doc("slice of the rows"), MaxBadRecords()},
    MakeTfRecord);

}  // namespace
}  // namespace tributary::data
