#pragma once
// TensorFlow's fingerprints (FarmHash's Fingerprint64, tsl/platform/fingerprint.h): the
// same 64 bits on every machine and for ever, so hashed features keep their buckets.

#include <cstdint>
#include <string_view>

namespace tributary {

// farmhash: util::Fingerprint64 (farmhashna::Hash64).
uint64_t Fingerprint64(std::string_view text);

// Fingerprint64 of the decimal digits of `number`: what tf.as_string and then a
// string hash give. Allocates nothing.
uint64_t Fingerprint64OfInteger(int64_t number);

// An order-dependent combination of two fingerprints.
uint64_t FingerprintCat64(uint64_t a, uint64_t b);

}  // namespace tributary
