// idx: images and labels in the format of the MNIST files.

#include "trainer/data/files.h"
#include "trainer/data/idx.h"
#include "trainer/data/source.h"
#include "trainer/data/sources/images.h"

namespace tributary::data {
namespace {

Dataset MakeIdx(const Options& o) {
  const IdxOptions options{o.Int("max_bad_records")};
  ImageSet set;
  const std::string images = FindInput(PosixEnv(), o.String("images"));
  set.images = ReadIdx(PosixEnv(), images, options);
  std::string labels;
  if (o.Has("labels")) {
    labels = FindInput(PosixEnv(), o.String("labels"));
    set.labels = ReadIdx(PosixEnv(), labels, options);
    MatchRows(&set, images, labels, options.max_bad_records);
  }
  const TablePtr table = ImageTable(set, ReadImageOptions(o));
  return Dataset::FromTable(SliceBySplit(table, o.String("split")), "idx " + BaseName(o.String("images")));
}

std::vector<OptionSpec> IdxOptionSpecs() {
  std::vector<OptionSpec> specs = ImageOptionSpecs();
  specs.insert(specs.begin(), Opt("split").String().Default("[:]").Doc("slice of the rows"));
  specs.insert(specs.begin(), Opt("labels").Path().Doc("file of one number for each image"));
  specs.insert(specs.begin(), Opt("images").Path().Required().Doc("file of rank 2 or more"));
  specs.push_back(MaxBadRecords());
  return specs;
}

const SourceRegistrar kIdx("idx", "IDX files, plain or gzip.", IdxOptionSpecs(), MakeIdx);

}  // namespace
}  // namespace tributary::data
