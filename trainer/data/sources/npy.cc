// npy: arrays of NumPy files.

#include "core/tensor/npy.h"

#include "core/base/strings.h"
#include "trainer/data/files.h"
#include "trainer/data/source.h"

namespace tributary::data {
namespace {

Dataset MakeNpy(const Options& o) {
  std::vector<std::string> paths = o.Strings("x");
  if (o.Has("y")) paths.push_back(o.String("y"));
  std::vector<std::string> names;
  std::vector<Tensor> tensors;
  for (const std::string& path : paths) {
    const std::string found = FindInput(PosixEnv(), path);
    names.push_back(BaseName(found));
    tensors.push_back(ReadNpy(PosixEnv(), found));
    if (tensors.back().rank() == 0) {
      throw InvalidArgumentError("[npy] {} holds a scalar; expected rows along axis 0", found);
    }
    if (tensors.back().dim(0) != tensors.front().dim(0)) {
      throw InvalidArgumentError("[npy] {} has {} rows, but {} has {}", found,
                                 tensors.back().dim(0), paths.front(), tensors.front().dim(0));
    }
  }
  return Dataset::FromTable(SliceBySplit(TableOf(tensors), o.String("split")),
                            "npy " + Join(names, ", "));
}

const SourceRegistrar kNpy(
    "npy", "Arrays of NumPy files (.npy), rows along axis 0.",
    {Opt("x").Path().List(1).Required().Doc("the input, or a list of inputs"),
     Opt("y").Path().Doc("the target"),
     Opt("split").String().Default("[:]").Doc("slice of the rows")},
    MakeNpy);

}  // namespace
}  // namespace tributary::data
