#pragma once
// Initial values of embedding rows. Element i of a row is a function of (seed, table,
// id, i) alone: the same whichever server creates the row, and when.

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/option_registry.h"

namespace tributary::ps {

// Writes the first `width` weights of row `id`.
using RowInitializer = std::function<void(uint64_t key, uint64_t id, float* out, int64_t width)>;

// By the names and options of keras.initializers: Zeros, Ones, Constant, RandomUniform,
// RandomNormal, TruncatedNormal.
using RowInitializerRegistry = OptionRegistry<RowInitializer(const Options&)>;
RowInitializerRegistry& RowInitializers();

// The key of a table's streams.
uint64_t RowKey(uint64_t seed, const std::string& table);

}  // namespace tributary::ps
