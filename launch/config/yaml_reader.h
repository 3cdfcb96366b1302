#pragma once
// A strict YAML reader: what yaml-cpp lets pass and a job must not hold is refused
// here, with its place: duplicate keys, tags, several documents, merge keys,
// complex keys, bytes that are not UTF-8, deep nesting, aliases that multiply.
// Quoted scalars are texts; what an unquoted one means is for the table to say.

#include <string>
#include <string_view>
#include <vector>

#include "core/base/option_check.h"

namespace tributary {

struct YamlLimits {
  size_t bytes = 1 << 20;
  int depth = 32;
  int nodes = 20000;  // after aliases are expanded
};

// The document in `text`, whose marks carry `source`. Mistakes are appended to
// *problems; the result is what could be read.
OptionNode ReadYaml(const std::string& text, int source, std::vector<OptionProblem>* problems,
                    const YamlLimits& limits = {});

// Byte offset of the first byte that is not UTF-8 text (or is a control character
// other than tab and line ends); npos when there is none.
size_t FirstBadByte(std::string_view text);

}  // namespace tributary
