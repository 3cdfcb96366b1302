#include "trainer/model/random_seed.h"

#include <atomic>

#include "core/base/philox.h"

namespace tributary {
namespace {

std::atomic<uint64_t> job_seed{0};

uint64_t Fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3ull;
  return hash;
}

}  // namespace

void SetRandomSeed(uint64_t seed) { job_seed = seed; }
uint64_t RandomSeed() { return job_seed; }

uint64_t SeedFor(uint64_t seed, std::string_view path) {
  return MixSeed(MixSeed(seed, 0x7472696275746172ull), Fnv1a(path));
}
uint64_t SeedFor(std::string_view path) { return SeedFor(RandomSeed(), path); }

}  // namespace tributary
