// Mutated jobs and overrides: they are accepted or refused with a ConfigError,
// nothing else. Run it longer under ASan with TRIBUTARY_FUZZ_SECONDS.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>

#include "core/base/strings.h"
#include "launch/config/job.h"
#include "launch/config/yaml_writer.h"

namespace tributary {
namespace {

constexpr const char* kSeeds[] = {
    R"(job: a
data: {train: {source: mnist, split: "test[:9]", batch: 3}, test: {source: mnist}}
model:
  - Flatten
  - Dense: {units: 128, activation: relu}
loss: SparseCategoricalCrossentropy
metrics: [accuracy]
optimizer: {Adam: {learning_rate: 1.0e-3}}
train: {epochs: 10}
checkpoint: {every: 1 epoch, keep: 5}
)",
    R"(data:
  train: &t {source: csv, path: /etc/passwd}
  test: *t
model:
  image: {Input: {shape: [28, 28]}}
  a: {Dense: {units: 3}, inputs: [image]}
  b: {Add: , inputs: [a, a]}
loss: mse
optimizer: {SGD: {learning_rate: {CosineDecay: {initial_learning_rate: 1, decay_steps: 3}}}}
)",
    "train.epochs=3", "model[1].Dense.units=[1, {a: b}]", "optimizer.SGD.momentum=0.5",
    "data.train.source=csv"};

constexpr const char* kTokens[] = {
    "{", "}", "[", "]", ": ", "- ", "\n", "\n  ", ",", "&a ", "*a", "!x ", "\"", "'", "|", ">", "? ",
    "---\n", "...\n", "<<: ", "~", "null", "1e999", "-1", "010", ".nan", "9999999999999999999",
    "Dense", "units", "inputs", "source", "\xff", "\xc3\xa9", "\t", "%YAML 1.2\n", "#", "\\x00", "@", "`",
    ".", "=", "[0]", "\r\n", "\xef\xbb\xbf"};

std::string Mutate(std::string text, std::mt19937* random) {
  const auto pick = [&](size_t n) { return static_cast<size_t>((*random)() % n); };
  for (size_t n = 1 + pick(6); n > 0; --n) {
    const size_t at = pick(text.size() + 1);
    switch (pick(5)) {
      case 0: text.insert(at, kTokens[pick(std::size(kTokens))]); break;
      case 1: text.erase(at, 1 + pick(12)); break;
      case 2: text.insert(at, text.substr(pick(text.size() + 1), pick(40))); break;
      case 3: if (at < text.size()) text[at] = static_cast<char>(pick(256)); break;
      case 4: text.insert(at, std::string(1 + pick(60), "[{- &*"[pick(6)])); break;
    }
  }
  return text;
}

TEST(Fuzz, AnythingIsAJobOrAConfigError) {
  const char* wanted = std::getenv("TRIBUTARY_FUZZ_SECONDS");
  const double seconds = wanted ? std::atof(wanted) : 2.0;
  std::mt19937 random(wanted ? std::random_device{}() : 1);
  const auto start = std::chrono::steady_clock::now();
  int64_t accepted = 0, refused = 0;
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds) {
    JobSources sources;
    sources.environment = false;
    const std::string text = random() % 4 ? Mutate(kSeeds[random() % 2], &random) : kSeeds[random() % 2];
    if (random() % 2) sources.overrides.push_back(Mutate(kSeeds[2 + random() % 4], &random));
    try {
      const JobConfig job = ParseJob(text, "fuzz.yaml", sources);
      ++accepted;
      JobSources plain;
      plain.environment = false;
      const std::string written = WriteYaml(job.options, random() % 2 == 0);
      ASSERT_EQ(ParseJob(written, "fuzz.yaml", plain).CanonicalJson(), job.CanonicalJson()) << written;
    } catch (const ConfigError& e) {
      ++refused;
      ASSERT_NE(std::string(e.what()).find("error: "), std::string::npos);
    } catch (const std::exception& e) {
      std::ofstream("fuzz_failure.yaml") << text;
      FAIL() << e.what() << "\n" << text << "\n" << Join(sources.overrides, "\n");
    }
  }
  RecordProperty("accepted", static_cast<int>(accepted));
  RecordProperty("refused", static_cast<int>(refused));
  EXPECT_GT(accepted, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace tributary
