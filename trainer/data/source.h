#pragma once
// Data sources by name, as `data.train.source` of a job names them. A source is
// one file in sources/ with a registrar:
//
//   static const SourceRegistrar npy("npy", "Arrays of NumPy files.",
//       {Opt("x").Path().Required()},
//       [](const Options& o) { return Dataset::FromTensorSlices({...}); });
//
// Every source also takes `map` (a list of data_transform), `select` (which tensors
// make an element) and `cache`, which the registrar applies.

#include <functional>
#include <string>
#include <vector>

#include "core/base/option_registry.h"
#include "trainer/data/dataset.h"
#include "trainer/data/split.h"

namespace tributary::data {

using DataSourceRegistry = OptionRegistry<Dataset(const Options&)>;
DataSourceRegistry& DataSources();

struct SourceRegistrar {
  SourceRegistrar(const std::string& name, const std::string& doc,
                  std::vector<OptionSpec> options,
                  std::function<Dataset(const Options&)> make);
};

// The rows that `split` asks for ("[:90%]", "[100:]"), of a source without named
// splits. Throws InvalidArgumentError for a split with a name.
TablePtr SliceBySplit(const TablePtr& table, const std::string& split);

// Option shared by sources with records: how many bad ones are left out.
OptionSpec MaxBadRecords();

}  // namespace tributary::data
