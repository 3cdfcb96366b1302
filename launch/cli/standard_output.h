#pragma once

#include <cstdio>
#include <memory>

namespace tributary {

// While it lives, a standard output that can't be written (a full disk, a reader that has
// gone) does not end the program: what is printed to stdout is dropped from then on, and
// error() tells why. SIGPIPE is ignored. A terminal is left as it is. One at a time;
// made before other threads print.
class StandardOutput {
 public:
  StandardOutput();
  ~StandardOutput();  // prints what is buffered
  StandardOutput(const StandardOutput&) = delete;

  // Prints what is buffered. The errno of the first write that failed, or 0. That nobody
  // reads any more (`train | head`) is no error.
  int error();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tributary
