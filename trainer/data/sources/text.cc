// text: windows of characters.

#include "trainer/data/byte_reader.h"
#include "trainer/data/files.h"
#include "trainer/data/source.h"
#include "trainer/data/text_windows.h"

namespace tributary::data {
namespace {

constexpr int64_t kMaxTextBytes = int64_t{1} << 30;

Dataset MakeText(const Options& o) {
  const std::string path = FindInput(PosixEnv(), o.String("path"));
  ByteReader reader(PosixEnv(), path);
  const std::string text = reader.ReadRest(kMaxTextBytes);
  const std::string vocabulary = CharacterVocabulary(text);

  TextWindowOptions options;
  options.length = o.Int("length");
  options.stride = o.Int("stride");
  options.target = o.String("target") == "next" ? TextWindowOptions::Target::kNext
                                                : TextWindowOptions::Target::kSequence;
  // The text is cut, not the windows, so that those of two slices share nothing.
  TablePtr table;
  for (const SplitPart& part : ParseSplit(o.String("split"))) {
    if (!part.name.empty()) {
      throw InvalidArgumentError("[text] split '{}': expected a slice, e.g. [:90%]",
                                 o.String("split"));
    }
    const SplitPart::Range range = part.Resolve(static_cast<int64_t>(text.size()));
    const TablePtr windows = TextWindows(
        std::string_view(text).substr(range.begin, range.end - range.begin), vocabulary, options);
    table = table ? ConcatTables(table, windows) : windows;
  }
  return Dataset::FromTable(
      table, fmt::format("text {} {} length {} stride {} vocabulary {}", BaseName(path),
                         o.String("split"), options.length, options.stride, vocabulary.size()));
}

const SourceRegistrar kText(
    "text", "Windows of characters of a text; a character's number is its place in the vocabulary.",
    {Opt("path").Path().Required(),
     Opt("length").Int().Min(1).Max(1 << 20).Default(64).Doc("characters of an input"),
     Opt("stride").Int().Min(1).Default(1).Doc("from one window to the next"),
     Opt("target").OneOf({"next", "sequence"}).Default("next").Doc(
         "the character behind the window, or the window moved by one"),
     Opt("split").String().Default("[:]").Doc("slice of the text")},
    MakeText);

}  // namespace
}  // namespace tributary::data
