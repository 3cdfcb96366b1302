#pragma once
// The keys of a job. What a layer, optimizer, data source, ... takes is described
// where it registers; here stand only the blocks that put them together.

#include "core/base/options.h"

namespace tributary {

// Built on first use, from the registries linked in.
const OptionTable& JobTable();

}  // namespace tributary
