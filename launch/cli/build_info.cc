#include "launch/cli/build_info.h"

#include <fmt/format.h>

#include "core/base/parallel.h"

namespace tributary {

#ifndef TRIBUTARY_VERSION
#define TRIBUTARY_VERSION "0.1.0"
#endif
#ifndef TRIBUTARY_COMMIT
#define TRIBUTARY_COMMIT "unknown"
#endif

std::vector<std::pair<std::string, std::string>> BuildFacts() {
#ifdef NDEBUG
  const char* build = "release";
#else
  const char* build = "debug";
#endif
  return {{"tributary", TRIBUTARY_VERSION},
          {"commit", TRIBUTARY_COMMIT},
          {"compiler", "GCC " __VERSION__},
          {"build", build},
          {"threads", fmt::format("{}", NumThreads())}};
}

}  // namespace tributary
