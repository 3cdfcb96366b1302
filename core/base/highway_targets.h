// Include before <hwy/foreach_target.h> (no include guard needed: one macro).
// Leaves out instruction sets that cost compile time and run nowhere we care for,
// and those whose vectors have no size at compile time.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif
