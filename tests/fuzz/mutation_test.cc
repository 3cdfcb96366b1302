// Random edits of well-formed files, a fixed number with a fixed seed: the same
// inputs in every run.

#include <gtest/gtest.h>

#include "core/base/philox.h"
#include "tests/fuzz/targets.h"

namespace tributary::fuzz {
namespace {

constexpr int kRounds = 4000;

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : seed_(seed) {}

  std::string operator()(std::string bytes) {
    const int edits = 1 + static_cast<int>(Draw(4));
    for (int i = 0; i < edits; ++i) Edit(&bytes);
    return bytes;
  }

 private:
  uint64_t Draw(uint64_t bound) { return PhiloxAt(seed_, 1, count_++)[0] % bound; }

  void Edit(std::string* bytes) {
    // Ends of varints, signs, lengths near powers of two.
    static constexpr char kSpecial[] = {'\0', '\x01', '\x7f', '\x80', '\xff', '\x40', '\x0f'};
    if (bytes->empty()) bytes->push_back('x');
    const size_t at = Draw(bytes->size());
    switch (Draw(7)) {
      case 0: (*bytes)[at] = static_cast<char>(Draw(256)); break;
      case 1: (*bytes)[at] = kSpecial[Draw(sizeof(kSpecial))]; break;
      case 2: (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << Draw(8))); break;
      case 3: bytes->resize(at); break;
      case 4: bytes->insert(at, 1 + Draw(9), kSpecial[Draw(sizeof(kSpecial))]); break;
      case 5: bytes->erase(at, 1 + Draw(8)); break;
      case 6: bytes->insert(Draw(bytes->size()), bytes->substr(at, Draw(64))); break;
    }
  }

  uint64_t seed_;
  uint64_t count_ = 0;
};

class Mutations : public testing::TestWithParam<Target> {};

TEST_P(Mutations, EndInAResultOrATypedError) {
  const Target& target = GetParam();
  uint64_t seed = 1;
  for (const std::string& start : target.seeds()) {
    // A seed that is not accepted would test nothing.
    EXPECT_NO_THROW(target.parse(start)) << target.name;
    Mutator mutate(seed++);
    for (int round = 0; round < kRounds; ++round) {
      const std::string bytes = mutate(start);
      EXPECT_NO_THROW(RunOne(target, bytes)) << target.name << " round " << round;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Parsers, Mutations, testing::ValuesIn(Targets()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace tributary::fuzz
