#pragma once
// Row kernels of the batch producer (Highway, dispatched at run time). They are
// called from background threads and never use the compute team.

#include <cstddef>
#include <cstdint>

namespace tributary::data {

// out[i] = in[i] / 255, bit-equal to the division of floats, for every byte.
void BytesToUnit(const uint8_t* in, float* out, size_t count);

// out[i] = (in[i] - mean[i % period]) * scale[i % period]; in may be out.
void ShiftScale(const float* in, const float* mean, const float* scale, size_t period,
                float* out, size_t count);

}  // namespace tributary::data
