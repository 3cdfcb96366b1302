#pragma once
// The JSON Schema (draft 2020-12) of a job, from the tables that the validator
// reads: editors complete and check keys with it. It says less than the validator:
// checks across keys, missing files, duplicate keys and YAML's traps are not in it.

#include <string>

#include "core/base/options.h"

namespace tributary {

// Pretty-printed.
std::string JobJsonSchema();
std::string JsonSchemaOf(const OptionTable& table);

}  // namespace tributary
