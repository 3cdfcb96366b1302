#include "launch/config/yaml_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Read {
  explicit Read(const std::string& text) : node(ReadYaml(text, 0, &problems)) {}
  std::vector<OptionProblem> problems;
  OptionNode node;
};

// The only problem, as "line:column message".
std::string Only(const std::string& text) {
  const Read read(text);
  if (read.problems.size() != 1) return std::to_string(read.problems.size()) + " problems";
  const OptionProblem& p = read.problems[0];
  return fmt::format("{}:{} {}", p.mark.line, p.mark.column, p.message);
}

TEST(YamlReader, KeepsOrderPlacesAndWhetherAScalarWasQuoted) {
  const Read read("b: 1\na:\n  - '2'\n  - {c: null, d: ~, e: }\n");
  ASSERT_THAT(read.problems, IsEmpty());
  const OptionNode::Map& map = *read.node.AsMap();
  EXPECT_EQ(map[0].key, "b");
  EXPECT_EQ(map[0].value.AsPlain()->text, "1");
  const OptionNode::List& list = *map[1].value.AsList();
  EXPECT_EQ(*list[0].AsString(), "2");
  EXPECT_EQ(list[0].mark.line, 3);
  EXPECT_EQ(list[0].mark.column, 5);
  for (const char* key : {"c", "d", "e"}) EXPECT_TRUE(list[1].Find(key)->IsNull()) << key;
}

TEST(YamlReader, RefusesWhatYamlCppLetsPass) {
  EXPECT_THAT(Only("a: 1\nb: 2\na: 3\n"), HasSubstr("3:1 the key 'a' is given twice; the first is in line 1"));
  EXPECT_THAT(Only("a: !!python/object/apply:os.system [ls]\n"), HasSubstr("1:4 the tag"));
  EXPECT_THAT(Only("a: !!str 1\n"), HasSubstr("tag"));
  EXPECT_THAT(Only("a: 1\n---\nb: 2\n"), HasSubstr("a second document starts here"));
  EXPECT_THAT(Only("x: &x {a: 1}\ny: {<<: *x}\n"), HasSubstr("merge keys"));
  EXPECT_THAT(Only("? [1, 2]\n: 3\n"), HasSubstr("a key must be a word"));
  EXPECT_THAT(Only("a: [1, 2\n"), HasSubstr("this is not YAML"));
  EXPECT_THAT(Only("a:\n\t- 1\n"), HasSubstr("this is not YAML"));
  EXPECT_THAT(Only("a: \xff\n"), HasSubstr("1:4 byte 0xff is no UTF-8 text"));
  EXPECT_THAT(Only("x: 1\na: \xc3(\n"), HasSubstr("2:4 byte 0xc3"));
  EXPECT_THAT(Only(std::string("a: \0b\n", 6)), HasSubstr("byte 0x00"));
  EXPECT_THAT(Only("a: \x1b[31mred\n"), HasSubstr("byte 0x1b"));
}

TEST(YamlReader, AliasesAreCopiesUntilTheyMultiply) {
  const Read read("x: &x {a: 1}\ny: *x\n");
  ASSERT_THAT(read.problems, IsEmpty());
  EXPECT_EQ(read.node.Find("y")->Find("a")->AsPlain()->text, "1");

  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  }
  EXPECT_THAT(Only(bomb), HasSubstr("more than 20000 values"));
  EXPECT_THAT(Only("a: &a [1, *a]\n"), HasSubstr("inside what it names"));
}

TEST(YamlReader, DepthIsBoundedThroughAliasesToo) {
  EXPECT_THAT(Only(std::string(100000, '[')), HasSubstr("nested more than"));
  EXPECT_THAT(Only("a: " + std::string(40, '[') + std::string(40, ']')), HasSubstr("nested more than"));
  std::string chain = "a0: &a0 [x]\n";
  for (int i = 1; i < 40; ++i) chain += fmt::format("a{0}: &a{0} [*a{1}]\n", i, i - 1);
  EXPECT_THAT(Only(chain), HasSubstr("nested more than"));
}

TEST(YamlReader, AnEmptyFileIsNothing) {
  EXPECT_TRUE(Read("").node.IsNull());
  EXPECT_TRUE(Read("# nothing\n").node.IsNull());
  EXPECT_THAT(Read("").problems, IsEmpty());
}

TEST(YamlReader, SeveralMistakesAreReportedTogether) {
  EXPECT_THAT(Read("a: !x 1\nb: 1\nb: 2\nc: {<<: 1}\n").problems, SizeIs(3));
}

TEST(Utf8, IsCheckedByteByByte) {
  EXPECT_EQ(FirstBadByte("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\t\r\n"), std::string::npos);
  for (const char* bad : {"\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x7f"}) {
    EXPECT_EQ(FirstBadByte(bad), 0u);
  }
}

}  // namespace
}  // namespace tributary
