#pragma once

#include <string>

namespace tributary {

// For a key that is unknown at `path` ("optimizer.Adam"): "`learning_rate` belongs
// under `optimizer`" when the job has such a key elsewhere, perhaps by another
// name (`lr`), or "".
std::string WhereKeyBelongs(const std::string& path, const std::string& key);

}  // namespace tributary
