#pragma once
#include <cstdint>

namespace tributary::ps {

// No infinity and no NaN among them. One pass, vectorised.
bool AllFinite(const float* values, int64_t count);

}  // namespace tributary::ps
