#include "core/base/registry.h"

namespace tributary {
namespace {

TEST(Registry, NamesTheNearestEntryWhenMissing) {
  Registry<int> registry("optimizer");
  registry.Add("Adam", 1);
  registry.Add("SGD", 2);
  EXPECT_EQ(registry.Get("SGD"), 2);
  try {
    registry.Get("Adm");
    FAIL() << "expected NotFoundError";
  } catch (const NotFoundError& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("optimizer 'Adm'; did you mean 'Adam'?"));
    EXPECT_THAT(e.what(), testing::HasSubstr("Adam, SGD"));
  }
}

TEST(Registry, RefusesASecondEntryOfOneName) {
  Registry<int> registry("op");
  registry.Add("MatMul", 1);
  EXPECT_THROW(registry.Add("MatMul", 2), AlreadyExistsError);
}

TEST(Errors, CarryTensorFlowsCodesAcross) {
  try {
    ThrowError(Code::kDataLoss, "file x at 12");
  } catch (const DataLossError& e) {
    EXPECT_EQ(e.code(), Code::kDataLoss);
    EXPECT_STREQ(e.what(), "file x at 12");
  }
  EXPECT_STREQ(CodeName(Code::kUnavailable), "UNAVAILABLE");
}

}  // namespace
}  // namespace tributary
