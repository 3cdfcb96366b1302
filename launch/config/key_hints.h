#pragma once

#include <string>
#include <vector>

namespace tributary {

// For a key that is unknown at `path` ("optimizer.Adam"), where there are the keys
// `known`: "it is called `learning_rate` here"; or "only `digits` has it"
// when another kind of thing may stand there that does; or "`learning_rate` belongs under
// `optimizer`" when the job has such a key elsewhere, perhaps by another name
// (`lr`); or "".
std::string WhereKeyBelongs(const std::string& path, const std::string& key,
                            const std::vector<std::string>& known);

}  // namespace tributary
