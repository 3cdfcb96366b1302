#pragma once
// What is fuzzed: parsers of bytes that may come from anywhere. A parser either
// returns or throws a typed error; an InternalError or a crash is a bug.

#include <string>
#include <string_view>
#include <vector>

namespace tributary::fuzz {

struct Target {
  const char* name;
  void (*parse)(std::string_view bytes);
  std::vector<std::string> (*seeds)();  // well-formed inputs to start from
};

const std::vector<Target>& Targets();

// Runs `target` on `bytes` and swallows the errors that input may cause.
void RunOne(const Target& target, std::string_view bytes);

}  // namespace tributary::fuzz
