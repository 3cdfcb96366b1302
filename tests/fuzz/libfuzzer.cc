// Entry point for libFuzzer; TRIBUTARY_FUZZ_TARGET names the parser.

#include <cstdlib>
#include <cstring>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tributary::fuzz::Target;
  static const Target* const target = [] {
    const char* name = std::getenv("TRIBUTARY_FUZZ_TARGET");
    for (const Target& t : tributary::fuzz::Targets()) {
      if (name && std::strcmp(t.name, name) == 0) return &t;
    }
    std::abort();
  }();
  tributary::fuzz::RunOne(*target, {reinterpret_cast<const char*>(data), size});
  return 0;
}
