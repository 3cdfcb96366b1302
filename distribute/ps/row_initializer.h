#pragma once
// Initial values of embedding rows. Element i of a row is a function of (seed, id, i)
// alone: the same whichever server creates the row, and when, and the same that
// trainer/model/initializer.h gives row `id` of a whole table.

#include <cstdint>
#include <functional>

#include "core/base/option_registry.h"

namespace tributary::ps {

// Writes the first `width` weights of row `id`.
using RowInitializer = std::function<void(uint64_t seed, uint64_t id, float* out, int64_t width)>;

// By the names and options of keras.initializers: Zeros, Ones, Constant, RandomUniform,
// RandomNormal, TruncatedNormal.
using RowInitializerRegistry = OptionRegistry<RowInitializer(const Options&)>;
RowInitializerRegistry& RowInitializers();

}  // namespace tributary::ps
