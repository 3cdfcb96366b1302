#pragma once

#include <string>

#include "core/base/options.h"

namespace tributary {

// Options as the YAML that reads back to them. With `origins` each line says in a
// comment where its value came from. Values that are not set are left out.
std::string WriteYaml(const Options& options, bool origins = false);

}  // namespace tributary
