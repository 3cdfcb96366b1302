#include "launch/cli/build_info.h"

#include <fmt/format.h>

#include "core/base/parallel.h"

namespace tributary {

std::vector<std::pair<std::string, std::string>> BuildFacts() {
  std::string build = TRIBUTARY_BUILD;
#ifdef TRIBUTARY_SANITIZER
  build += " with the " TRIBUTARY_SANITIZER " sanitizer";
#endif
  std::vector<std::pair<std::string, std::string>> facts = {{"tributary", TRIBUTARY_VERSION}};
#ifdef TRIBUTARY_COMMIT
  facts.push_back({"commit", TRIBUTARY_COMMIT});
#endif
  facts.push_back({"compiler", "GCC " __VERSION__});
  facts.push_back({"build", build});
  facts.push_back({"threads", fmt::format("{}", NumThreads())});
  return facts;
}

}  // namespace tributary
