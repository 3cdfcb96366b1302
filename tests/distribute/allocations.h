#pragma once
// Counts heap allocations of the whole test program (operator new of any form;
// oneDNN's and the C library's own are not seen).

#include <cstdint>

namespace tributary {

int64_t HeapAllocations();

}  // namespace tributary
