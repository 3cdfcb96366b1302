// Progress lines, on a terminal and off it.

#include "tests/trainer/golden.h"
#include "tests/trainer/loop/toy.h"
#include "trainer/callbacks/progress.h"

namespace tributary {
namespace {

using namespace testing;

// What a run of two epochs prints; every look at the clock is a tenth of a second
// later than the last.
std::string Output(bool terminal, Interval every, int width = 120) {
  std::FILE* file = std::tmpfile();
  double now = 0;
  Trainer trainer(ToyModel(), ToyOptions());
  trainer.Fit(ToyData(), {.epochs = 2,
                          .callbacks = {MakeProgress({.every = every,
                                                      .out = file,
                                                      .terminal = terminal,
                                                      .width = width,
                                                      .clock = [&] { return now += 0.1; }})}});
  std::string text(std::ftell(file), ' ');
  std::rewind(file);
  EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
  std::fclose(file);
  return text;
}

TEST(Progress, OffATerminalThereAreNoControlCharacters) {
  const std::string text = Output(false, {2, Interval::Unit::kSteps});
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  const std::vector<std::string> lines = Split(text, '\n');
  ASSERT_EQ(lines.size(), 10u) << text;  // steps 2 to 14, two ends, a last ""
  EXPECT_TRUE(StartsWith(lines[0], "Epoch 1/2  28%  2/7  ETA ")) << lines[0];
  EXPECT_NE(lines[0].find("examples/s  loss: "), std::string::npos) << lines[0];
  EXPECT_TRUE(StartsWith(lines[3], "Epoch 1/2  7 steps  ")) << lines[3];
  EXPECT_NE(lines[3].find("  accuracy: 0."), std::string::npos) << lines[3];
}

TEST(Progress, OnATerminalOneLineIsWrittenOver) {
  const std::string text = Output(true, {1, Interval::Unit::kSeconds});
  EXPECT_EQ(std::ranges::count(text, '\n'), 2) << text;
  EXPECT_GT(std::ranges::count(text, '\r'), 2) << text;
  EXPECT_EQ(text.back(), '\n');
}

TEST(Progress, FitsANarrowTerminal) {
  const std::string text = Output(true, {1, Interval::Unit::kSeconds}, 30);
  for (const std::string& part : Split(text, '\r')) {
    if (part.find('\n') != std::string::npos) continue;
    EXPECT_LT(part.size(), 30u + 3) << part;  // the erasing sequence counts three
  }
}

}  // namespace
}  // namespace tributary
