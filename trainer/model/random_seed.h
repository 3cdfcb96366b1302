#pragma once
// One seed a job (keras.utils.set_random_seed). Every initial value and every
// dropout mask is a function of this seed and of the path of its layer, so it
// does not depend on the order of construction, on threads or on the rank.

#include <cstdint>
#include <string_view>

namespace tributary {

// Set it before models are built. 0 unless set.
void SetRandomSeed(uint64_t seed);
uint64_t RandomSeed();

// The job's seed mixed with a path such as "dense/kernel".
uint64_t SeedFor(std::string_view path);
uint64_t SeedFor(uint64_t seed, std::string_view path);

}  // namespace tributary
