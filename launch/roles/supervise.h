#pragma once

#include <functional>

namespace tributary {

// Runs `body` in a child process and waits for it; starts it again, at most `restarts`
// times in a row, when a signal has killed it (not one that told it to stop). SIGTERM, SIGINT and
// SIGUSR1 are passed on; a child without handlers of its own lives on after the first. It
// is a group of its own, and dies with this process. Returns the exit code: the child's,
// or 128 + the signal. Before this process has threads. `body` gets the number of the
// child's life, from 1.
//
// `over` is asked from time to time while the child is stopped (SIGSTOP): once it says true
// nobody needs the child any more; it is killed, and the exit code is 0.
int RunSupervised(const char* what, int restarts, const std::function<int(int life)>& body,
                  const std::function<bool()>& over = nullptr);

}  // namespace tributary
