// criteo: click logs in Criteo's format.

#include "trainer/data/criteo.h"

#include "core/base/strings.h"
#include "trainer/data/files.h"
#include "trainer/data/source.h"

namespace tributary::data {
namespace {

Dataset MakeCriteo(const Options& o) {
  std::vector<std::string> paths, names;
  for (const std::string& path : o.Strings("path")) {
    paths.push_back(FindInput(PosixEnv(), path));
    names.push_back(BaseName(path));
  }
  CriteoOptions options;
  options.max_bad_records = o.Int("max_bad_records");
  if (o.Has("max_rows")) options.max_rows = o.Int("max_rows");
  return Dataset::FromTable(
      SliceBySplit(ReadCriteo(PosixEnv(), paths, options), o.String("split")),
      fmt::format("criteo {} {}", Join(names, ", "), o.String("split")));
}

const SourceRegistrar kCriteo(
    "criteo", "Criteo's click logs: tab-separated label, I1 to I13, C1 to C26; plain or gzip.",
    {Opt("path").Path().List(1).Required().Doc("a file, or a list read one after the other"),
     Opt("max_rows").Int().Min(1).Doc("read only so many lines"),
     Opt("split").String().Default("[:]").Doc("slice of the rows"), MaxBadRecords()},
    MakeCriteo);

}  // namespace
}  // namespace tributary::data
