// csv: tables of text, such as UCI Adult.

#include "trainer/data/csv.h"

#include <optional>

#include "trainer/data/csv_features.h"
#include "trainer/data/files.h"
#include "trainer/data/source.h"

namespace tributary::data {
namespace {

std::string CheckCharacter(const OptionNode& node) {
  const std::string& text = node.AsPlain() ? node.AsPlain()->text : *node.AsString();
  return text.size() == 1 ? "" : "expected one character";
}

std::vector<OptionSpec> CsvOptionSpecs() {
  return {
      Opt("path").Path().Required(),
      Opt("fit").Path().Doc("file whose statistics and vocabularies are used; default: path"),
      Opt("columns").String().List().Default(OptionNode::List{}).Doc(
          "names, for files without a header"),
      Opt("header").Bool().Doc("names in the first line; default: unless columns are given"),
      Opt("label").String().Doc("column that is the target"),
      Opt("label_kind").OneOf({"auto", "class", "number"}).Default("auto"),
      Opt("classes").String().List().Default(OptionNode::List{}).Doc(
          "label values in order; default: those found, sorted"),
      Opt("label_strip").String().Default("").Doc("characters taken off the end of labels"),
      Opt("label_dtype").OneOf({"int64", "int32", "float32"}).Doc(
          "default: int64 for classes, float32 for numbers"),
      Opt("drop").String().List().Default(OptionNode::List{}).Doc("columns left out"),
      Opt("numeric").String().List().Default(OptionNode::List{}).Doc(
          "columns of numbers; default: those that hold nothing else"),
      Opt("categorical").String().List().Default(OptionNode::List{}).Doc("columns of words"),
      Opt("na").String().List().Default(DefaultMissing()).Doc("what stands for a missing value"),
      Opt("scale").OneOf({"standard", "minmax", "none"}).Default("standard").Doc("of numbers"),
      Opt("encode").OneOf({"one_hot", "index", "columns"}).Default("one_hot").Doc(
          "one row of floats; or categories apart, as numbers from 1; or each column as it "
          "stands, under its name"),
      Opt("delimiter").String().Default(",").Check(CheckCharacter),
      Opt("comment").String().Check(CheckCharacter).Doc("lines that start so are left out"),
      Opt("split").String().Default("[:]").Doc("slice of the rows"),
      MaxBadRecords(),
  };
}

CsvOptions FileOptions(const Options& o) {
  CsvOptions options;
  options.columns = o.Strings("columns");
  options.header = o.Has("header") ? o.Bool("header") : options.columns.empty();
  options.delimiter = o.String("delimiter")[0];
  if (o.Has("comment")) options.comment = o.String("comment")[0];
  options.max_bad_records = o.Int("max_bad_records");
  return options;
}

CsvFeatureOptions FeatureOptions(const Options& o) {
  using F = CsvFeatureOptions;
  F options;
  if (o.Has("label")) options.label = o.String("label");
  options.drop = o.Strings("drop");
  options.numeric = o.Strings("numeric");
  options.categorical = o.Strings("categorical");
  options.na = o.Strings("na");
  options.classes = o.Strings("classes");
  options.label_strip = o.String("label_strip");
  options.max_bad_records = o.Int("max_bad_records");
  const std::string& scale = o.String("scale");
  options.scale = scale == "standard" ? F::Scale::kStandard
                  : scale == "minmax" ? F::Scale::kMinMax
                                      : F::Scale::kNone;
  const std::string& encode = o.String("encode");
  options.encode = encode == "one_hot" ? F::Encode::kOneHot
                   : encode == "index" ? F::Encode::kIndex
                                       : F::Encode::kColumns;
  const std::string& kind = o.String("label_kind");
  options.label_kind = kind == "class"    ? F::Label::kClass
                       : kind == "number" ? F::Label::kNumber
                                          : F::Label::kAuto;
  if (o.Has("label_dtype")) options.label_dtype = ParseDType(o.String("label_dtype"));
  return options;
}

Dataset MakeCsv(const Options& o) {
  const std::string path = FindInput(PosixEnv(), o.String("path"));
  const std::string fit = o.Has("fit") ? FindInput(PosixEnv(), o.String("fit")) : path;
  const CsvFile file = ReadCsv(PosixEnv(), path, FileOptions(o));
  std::optional<CsvFile> other;
  if (fit != path) other = ReadCsv(PosixEnv(), fit, FileOptions(o));
  const CsvEncoder encoder(other ? *other : file, FeatureOptions(o));
  return Dataset::FromTable(SliceBySplit(encoder.Encode(file), o.String("split")),
                            fmt::format("csv {} {}", BaseName(path), o.String("split")));
}

const SourceRegistrar kCsv("csv", "CSV files (RFC 4180), plain or gzip.", CsvOptionSpecs(),
                           MakeCsv);

}  // namespace
}  // namespace tributary::data
