// mnist: the MNIST files where they are found.

#include <map>
#include <mutex>

#include "core/base/logging.h"
#include "core/base/strings.h"
#include "trainer/data/digits.h"
#include "trainer/data/files.h"
#include "trainer/data/idx.h"
#include "trainer/data/source.h"
#include "trainer/data/sources/images.h"

namespace tributary::data {
namespace {

struct Origin {
  const char* split;
  const char* prefix;
  int64_t rows;
  uint64_t digits_seed;  // of the stand-in
};
constexpr Origin kOrigins[] = {{"train", "train", 60000, 1}, {"test", "t10k", 10000, 2}};

const Origin& FindOrigin(const SplitPart& part, const std::string& split) {
  for (const Origin& origin : kOrigins) {
    if (part.name == origin.split) return origin;
  }
  throw InvalidArgumentError("[mnist] split '{}': there is no split '{}'{}; expected train or test",
                             split, part.name, DidYouMean(part.name, {"train", "test"}));
}

std::string Find(const std::string& name) {
  // Yann LeCun's names, and those of some mirrors.
  std::string dotted = name;
  dotted[dotted.find("-idx")] = '.';
  return FindDataFile(PosixEnv(), "mnist", {name + ".gz", name, dotted});
}

struct Files {
  std::string images, labels;
  bool found() const { return !images.empty() && !labels.empty(); }
};

Files FindFiles(const Origin& origin) {
  return {Find(fmt::format("{}-images-idx3-ubyte", origin.prefix)),
          Find(fmt::format("{}-labels-idx1-ubyte", origin.prefix))};
}

void CheckImages(const ImageSet& set, const Files& files) {
  if (set.images.dtype() != DType::kUint8 || set.images.rank() != 3 ||
      set.images.dim(1) != 28 || set.images.dim(2) != 28 || set.labels.rank() != 1) {
    throw DataLossError("[mnist] {}: expected uint8 images of 28 x 28, got {}", files.images,
                        set.images.spec().ToString());
  }
}

// A job's train and test slices are often of one file: it is unpacked once as long
// as somebody holds it.
Tensor ReadShared(const std::string& path, const IdxOptions& options) {
  struct Held {
    std::weak_ptr<Buffer> buffer;
    TensorSpec spec;
  };
  static std::mutex mutex;
  static std::map<std::string, Held> held;
  const std::lock_guard lock(mutex);
  Held& entry = held[path];
  if (const auto buffer = entry.buffer.lock()) {
    return Tensor(entry.spec.dtype, entry.spec.shape, buffer);
  }
  const Tensor read = ReadIdx(PosixEnv(), path, options);
  entry.buffer = read.buffer();
  entry.spec = read.spec();
  return read;
}

TablePtr ReadSlice(const Origin& origin, const SplitPart& part, const Files& files,
                   const Options& o) {
  const IdxOptions options{o.Int("max_bad_records")};
  ImageSet set{ReadShared(files.images, options), ReadShared(files.labels, options)};
  CheckImages(set, files);
  MatchRows(&set, files.images, files.labels, options.max_bad_records);
  const SplitPart::Range range = part.Resolve(set.images.dim(0));
  return ImageTable({set.images.Slice(range.begin, range.end),
                     set.labels.Slice(range.begin, range.end)},
                    ReadImageOptions(o));
}

TablePtr GenerateSlice(const Origin& origin, const SplitPart& part, const Options& o) {
  const SplitPart::Range range = part.Resolve(origin.rows);
  const Digits digits =
      GenerateDigits(range.begin, range.end - range.begin, origin.digits_seed);
  return ImageTable({digits.images, digits.labels}, ReadImageOptions(o));
}

[[noreturn]] void NotFound(const Origin& origin) {
  const std::vector<std::string> dirs = DataDirs(PosixEnv());
  throw NotFoundError(
      "[mnist] {}-images-idx3-ubyte[.gz] and {}-labels-idx1-ubyte[.gz] were not found in {}; set "
      "TRIBUTARY_DATA_DIR, run launch/scripts/fetch_data mnist, or say `fallback: digits`",
      origin.prefix, origin.prefix, dirs.empty() ? "any data folder" : Join(dirs, ", "));
}

Dataset MakeMnist(const Options& o) {
  const std::string& split = o.String("split");
  TablePtr table;
  bool generated = false;
  for (const SplitPart& part : ParseSplit(split)) {
    const Origin& origin = FindOrigin(part, split);
    const Files files = FindFiles(origin);
    if (!files.found() && o.String("fallback") != "digits") NotFound(origin);
    generated |= !files.found();
    const TablePtr slice = files.found() ? ReadSlice(origin, part, files, o)
                                         : GenerateSlice(origin, part, o);
    table = table ? ConcatTables(table, slice) : slice;
    if (files.found()) {
      LogInfo("[mnist] {}: {} images of {}", split, slice->rows, files.images);
    } else {
      LogWarning("[mnist] {}: MNIST is not here, so {} generated digits stand in; "
                 "launch/scripts/fetch_data mnist gets the real ones",
                 split, slice->rows);
    }
  }
  return Dataset::FromTable(table,
                            fmt::format("{} {}", generated ? "mnist-like digits" : "mnist", split));
}

std::vector<OptionSpec> MnistOptionSpecs() {
  std::vector<OptionSpec> specs = ImageOptionSpecs();
  specs.insert(specs.begin(), Opt("fallback").OneOf({"none", "digits"}).Default("none").Doc(
                                  "generated digits when the files are not found"));
  specs.insert(specs.begin(), Opt("split").String().Default("train").Doc(
                                  "train or test, with a slice: test[:9000]"));
  specs.push_back(MaxBadRecords());
  return specs;
}

const SourceRegistrar kMnist("mnist", "Handwritten digits, 60,000 to train and 10,000 to test.",
                             MnistOptionSpecs(), MakeMnist);

}  // namespace
}  // namespace tributary::data
