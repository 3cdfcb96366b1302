// digits: generated, handwritten-like.

#include "trainer/data/digits.h"

#include "trainer/data/source.h"
#include "trainer/data/sources/images.h"

namespace tributary::data {
namespace {

Dataset MakeDigits(const Options& o) {
  const SplitPart::Range range = [&] {
    const std::vector<SplitPart> parts = ParseSplit(o.String("split"));
    if (parts.size() != 1 || !parts[0].name.empty()) {
      throw InvalidArgumentError("[digits] split '{}': expected one slice, e.g. [:9000]",
                                 o.String("split"));
    }
    return parts[0].Resolve(o.Int("count"));
  }();
  const Digits digits = GenerateDigits(range.begin, range.end - range.begin,
                                       static_cast<uint64_t>(o.Int("seed")));
  return Dataset::FromTable(ImageTable({digits.images, digits.labels}, ReadImageOptions(o)),
                            fmt::format("digits {} of {} seed {}", o.String("split"),
                                        o.Int("count"), o.Int("seed")));
}

std::vector<OptionSpec> DigitsOptionSpecs() {
  std::vector<OptionSpec> specs = ImageOptionSpecs();
  specs.insert(specs.begin(), Opt("seed").Int().Min(0).Default(0).Doc("of the generator"));
  specs.insert(specs.begin(), Opt("split").String().Default("[:]").Doc("slice of the digits"));
  specs.insert(specs.begin(),
               Opt("count").Int().Min(1).Max(10000000).Default(10000).Doc("how many there are"));
  return specs;
}

const SourceRegistrar kDigits("digits", "Generated digits of 28 x 28, for where MNIST is not.",
                              DigitsOptionSpecs(), MakeDigits);

}  // namespace
}  // namespace tributary::data
