#include "core/base/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/option_check.h"
#include "core/base/option_registry.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

struct Shape {
  std::string name;
  int64_t size;
};
using ShapeRegistry = OptionRegistry<Shape(const Options&)>;

ShapeRegistry& Shapes() {
  static ShapeRegistry registry("test_shape");
  return registry;
}

const ShapeRegistry::Registrar circle(
    Shapes(),
    {"RoundCircle", "A circle.", {Opt("radius").Int().Min(1).Default(1)}, {"disc"}},
    [](const Options& o) { return Shape{o.name(), o.Int("radius")}; });

OptionTable Table() {
  return {"Thing",
          "For tests.",
          {Opt("units").Int().Min(1).Required().Doc("size"),
           Opt("rate").Float().Above(0).Below(1).Default(0.5).OrOf("test_shape"),
           Opt("use_bias").Bool().Default(true),
           Opt("padding").OneOf({"valid", "same"}).Default("valid"),
           Opt("kernel").Int().Min(1).List(2).Default(3),
           Opt("shape").Of("test_shape").Default("disc"),
           Opt("every").Every().Default("never"),
           Opt("note").String(),
           Opt("data").Tagged("source", "test_shape",
                              {"", "", {Opt("batch").Int().Default(8)}}),
           Opt("model").MapOf("test_shape", {"", "", {Opt("inputs").String().List()}})
               .OrList()}};
}

TEST(Options, HoldEveryOptionOfTheTableWithItsDefault) {
  const OptionTable table = Table();
  const Options o = MakeOptions(table, {{"units", 128}, {"padding", "same"}});
  EXPECT_EQ(o.Int("units"), 128);
  EXPECT_EQ(o.Get<float>("rate"), 0.5f);
  EXPECT_TRUE(o.Bool("use_bias"));
  EXPECT_EQ(o.String("padding"), "same");
  EXPECT_THAT(o.Ints("kernel"), ElementsAre(3, 3));
  EXPECT_EQ(o.Child("shape").name(), "RoundCircle");
  EXPECT_TRUE(o.Every("every").never());
  EXPECT_FALSE(o.Has("note"));
  EXPECT_EQ(o.Origin("units"), "code");
  EXPECT_EQ(o.Origin("rate"), "default");
}

TEST(Options, ReadingWhatIsNotThereIsOurOwnBug) {
  const Options o = MakeOptions(Table(), {{"units", 1}});
  EXPECT_THROW(o.Int("nothing"), InternalError);
  EXPECT_THROW(o.Int("padding"), InternalError);
  EXPECT_THROW(o.String("note"), InternalError);
}

TEST(Options, EveryMistakeIsReportedAtOnce) {
  try {
    MakeOptions(Table(), {{"unit", 1}, {"rate", 1.5}, {"padding", "sme"}, {"kernel", "x"}});
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_THAT(e.what(), HasSubstr("did you mean 'units'?"));
    // A key under a wrong name is one mistake, not two.
    EXPECT_THAT(e.what(), Not(HasSubstr("is missing")));
    EXPECT_THAT(e.what(), HasSubstr("a number above 0 and below 1"));
    EXPECT_THAT(e.what(), HasSubstr("did you mean 'same'?"));
    EXPECT_THAT(e.what(), HasSubstr("kernel: expected an integer of at least 1"));
  }
}

TEST(Options, AThingIsANameOrANameWithOptions) {
  const Options o = MakeOptions(
      Table(), {{"units", 1},
                {"shape", {{"RoundCircle", {{"radius", 7}}}}},
                {"rate", {{"disc", OptionNode()}}},
                {"data", {{"source", "disc"}, {"radius", 4}, {"batch", 2}}},
                {"model", {{"a", {{"RoundCircle", {{"radius", 2}}},
                                  {"inputs", OptionNode::List{"x"}}}},
                           {"b", "disc"}}}});
  EXPECT_EQ(Shapes().Build(o.Child("shape")).size, 7);
  EXPECT_TRUE(o.IsObject("rate"));
  EXPECT_EQ(o.Child("data").Int("batch"), 2);
  EXPECT_EQ(Shapes().Build(o.Child("data")).size, 4);
  EXPECT_THAT(o.Keys("model"), ElementsAre("a", "b"));
  EXPECT_THAT(o.Children("model")[0].Strings("inputs"), ElementsAre("x"));
  EXPECT_EQ(o.Children("model")[1].name(), "RoundCircle");
}

TEST(Options, TheResolvedNodeReadsBackTheSame) {
  const Options o = MakeOptions(
      Table(), {{"units", 1},
                {"shape", {{"disc", {{"radius", 7}}}}},
                {"every", "2 epochs"},
                {"data", {{"source", "disc"}, {"batch", 2}}},
                {"model", {{"a", {{"disc", OptionNode()}, {"inputs", OptionNode::List{}}}}}}});
  EXPECT_EQ(MakeOptions(Table(), o.ToNode()).ToJson(), o.ToJson());
  EXPECT_THAT(o.ToJson(), HasSubstr(R"("shape":{"class_name":"RoundCircle","config":{"radius":7}})"));
}

TEST(Options, ARegistryBuildsFromCode) {
  EXPECT_EQ(Shapes().Make("disc", {{"radius", 3}}).size, 3);
  EXPECT_EQ(Shapes().Make("round_circle", {}).size, 1);
  EXPECT_THROW(Shapes().Make("disk", {}), NotFoundError);
  EXPECT_THROW(Shapes().Make("disc", {{"radius", 0}}), InvalidArgumentError);
}

TEST(Numbers, AreReadStrictly) {
  int64_t i = 0;
  for (const char* bad : {"", "010", "-012", "0x10", "1.5", "1e400", "abc", "1_000", "12 ",
                          "9223372036854775808", "inf", "--1", "1e"}) {
    EXPECT_NE(ParseInt(bad, &i), "") << bad;
  }
  EXPECT_EQ(ParseInt("1e6", &i), "");
  EXPECT_EQ(i, 1000000);
  EXPECT_EQ(ParseInt("-5", &i), "");
  EXPECT_EQ(i, -5);
  double d = 0;
  for (const char* bad : {"", "nan", "inf", "1e999", "010", "1.2.3", "e5", "+"}) {
    EXPECT_NE(ParseFloat(bad, &d), "") << bad;
  }
  EXPECT_EQ(ParseFloat("1e-3", &d), "");
  EXPECT_EQ(d, 1e-3);
}

TEST(Intervals, HaveUnits) {
  EXPECT_EQ(Interval::Parse("100").unit, Interval::Unit::kSteps);
  EXPECT_EQ(Interval::Parse("1 epoch").unit, Interval::Unit::kEpochs);
  EXPECT_EQ(Interval::Parse("10 min").count, 600);
  EXPECT_TRUE(Interval::Parse("never").never());
  for (const char* bad : {"", "-1", "0", "1.5 steps", "3 weeks", "epoch", "1e99 s"}) {
    EXPECT_THROW(Interval::Parse(bad), InvalidArgumentError) << bad;
  }
  for (const char* text : {"3 steps", "1 epoch", "90 s", "never"}) {
    EXPECT_EQ(Interval::Parse(text).ToString(), text);
  }
}

}  // namespace
}  // namespace tributary
