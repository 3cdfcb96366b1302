#include "trainer/data/source.h"

#include "trainer/data/transform.h"

namespace tributary::data {
namespace {

std::vector<OptionSpec> WithCommon(std::vector<OptionSpec> options) {
  options.push_back(Opt("map").Of("data_transform").List().Default(OptionNode::List{}).Doc(
      "transformations of the tensors of an element, in order"));
  options.push_back(Opt("select").Int().List(1, 64).Doc(
      "which tensors make an element; [0, 0]: the input is the target"));
  options.push_back(Opt("cache").Bool().Default(false).Doc(
      "compute transformed rows once and keep them in memory"));
  return options;
}

Dataset ApplyCommon(Dataset dataset, const Options& options) {
  for (const Options& step : options.Children("map")) {
    const int column = step.Has("feature")
                           ? ColumnIndex(*dataset.table(), step.String("feature"))
                           : static_cast<int>(step.Int("column"));
    dataset = dataset.Map(column, *DataTransforms().Build(step));
  }
  if (options.Has("select")) {
    const std::vector<int64_t> columns = options.Ints("select");
    dataset = dataset.Select({columns.begin(), columns.end()});
  }
  return options.Bool("cache") ? dataset.Cache() : dataset;
}

}  // namespace

DataSourceRegistry& DataSources() {
  static DataSourceRegistry registry("data_source");
  return registry;
}

SourceRegistrar::SourceRegistrar(const std::string& name, const std::string& doc,
                                 std::vector<OptionSpec> options,
                                 std::function<Dataset(const Options&)> make) {
  DataSources().Add(OptionTable{name, doc, WithCommon(std::move(options))},
                    [make = std::move(make)](const Options& o) {
                      return ApplyCommon(make(o), o);
                    });
}

TablePtr SliceBySplit(const TablePtr& table, const std::string& split) {
  TablePtr joined;
  for (const SplitPart& part : ParseSplit(split)) {
    if (!part.name.empty()) {
      throw InvalidArgumentError("[data] split '{}': this source has no split '{}'; expected "
                                 "a slice alone, e.g. [:90%]",
                                 split, part.name);
    }
    const SplitPart::Range range = part.Resolve(table->rows);
    const TablePtr slice = SliceTable(table, range.begin, range.end);
    joined = joined ? ConcatTables(joined, slice) : slice;
  }
  return joined;
}

OptionSpec MaxBadRecords() {
  return Opt("max_bad_records").Int().Min(0).Default(0).Doc(
      "damaged records that are left out with a warning before it is an error");
}

}  // namespace tributary::data
