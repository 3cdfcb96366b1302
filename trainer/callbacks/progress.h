#pragma once
// Progress on standard output. On a terminal one line that is written over:
//
//   Epoch 3/10  42%  120/282  ETA 3s  84,021 examples/s  loss: 0.4213  accuracy: 0.8812
//
// elsewhere (a file, NO_COLOR or TERM=dumb does not matter: nothing is coloured) a
// plain line every so often and at each epoch's end, without control characters. Where
// log lines are JSON (core/base/logging.h) those lines are log lines with their figures
// as fields, and nothing goes to standard output.

#include <cstdio>
#include <functional>
#include <optional>

#include "trainer/callbacks/every.h"

namespace tributary {

struct ProgressOptions {
  Interval every{10, Interval::Unit::kSeconds};  // between plain lines
  std::FILE* out = stdout;
  std::optional<bool> terminal;   // asked of `out` and TERM unless set
  int width = 0;                  // of the terminal; 0: asked
  std::function<double()> clock;  // seconds; the steady clock when empty
};

CallbackPtr MakeProgress(ProgressOptions options);

}  // namespace tributary
