// StringLookup and IntegerLookup: places in a vocabulary (keras.layers.StringLookup).

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "core/base/option_check.h"
#include "core/base/strings.h"
#include "core/io/env.h"
#include "ops/array_ops.h"
#include "ops/feature_ops.h"
#include "trainer/layers/categorical.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

// Most frequent first, of equal ones the greater first: Keras's order.
template <typename T>
std::vector<T> ByFrequency(std::span<const T> values) {
  std::map<T, int64_t> counts;
  for (const T& value : values) ++counts[value];
  std::vector<std::pair<T, int64_t>> sorted(counts.begin(), counts.end());
  std::reverse(sorted.begin(), sorted.end());
  std::ranges::stable_sort(sorted, std::greater<>(), [](const auto& e) { return e.second; });
  std::vector<T> words;
  for (auto& [word, count] : sorted) words.push_back(std::move(word));
  return words;
}

// One word a line, as vocabulary files of Keras are.
std::vector<std::string> ReadVocabulary(const std::string& path) {
  std::vector<std::string> words = Split(ReadFile(PosixEnv(), path), '\n');
  for (std::string& word : words) {
    if (!word.empty() && word.back() == '\r') word.pop_back();
  }
  if (!words.empty() && words.back().empty()) words.pop_back();
  return words;
}

template <typename T>
class Lookup final : public Layer, public Categorical {
 public:
  explicit Lookup(const Options& o)
      : Layer(o), oov_(o.Int("num_oov_indices")),
        max_tokens_(o.Has("max_tokens") ? o.Int("max_tokens") : 0) {
    if (o.Has("vocabulary") && o.Has("vocabulary_file")) {
      throw InvalidArgumentError("[{}] layer '{}': give vocabulary or vocabulary_file, not both",
                                 class_name(), name());
    }
    if (max_tokens_ > 0 && max_tokens_ <= oov_) {
      throw InvalidArgumentError("[{}] layer '{}': max_tokens {} leaves no room behind {} "
                                 "num_oov_indices",
                                 class_name(), name(), max_tokens_, oov_);
    }
    if (o.Has("vocabulary")) Set(Given(o));
    if (o.Has("vocabulary_file")) Set(Parse(ReadVocabulary(o.String("vocabulary_file"))));
  }

  bool IsRowFunction() const override { return true; }
  bool NeedsAdapt() const override { return !vocabulary_.defined(); }
  void Adapt(const std::vector<Tensor>& inputs) override {
    std::vector<T> words = ByFrequency(Typed(inputs[0]).template values<T>());
    if (max_tokens_ > 0) {
      words.resize(std::min<size_t>(words.size(), static_cast<size_t>(max_tokens_ - oov_)));
    }
    Set(words);
  }
  int64_t num_ids() const override {
    if (max_tokens_ > 0) return max_tokens_;
    return NeedsAdapt() ? -1 : oov_ + vocabulary_.NumElements();
  }
  DType ComputeOutputDType(const std::vector<DType>&) const override { return DType::kInt64; }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    if (NeedsAdapt()) {
      throw FailedPreconditionError("[{}] layer '{}' has no vocabulary: set `vocabulary` or "
                                    "`vocabulary_file`, or let it adapt to training data",
                                    class_name(), name());
    }
    return ops::VocabularyLookup(Typed(inputs[0]), vocabulary_, oov_);
  }

 private:
  Tensor Typed(const Tensor& input) const {
    if constexpr (std::is_same_v<T, int64_t>) {
      if (input.dtype() == DType::kInt32) return ops::Cast(input, DType::kInt64);
    }
    if (input.dtype() != kDTypeOf<T>) {
      throw InvalidArgumentError("[{}] layer '{}' takes {}, got {}", class_name(), name(),
                                 DTypeName(kDTypeOf<T>), DTypeName(input.dtype()));
    }
    return input;
  }
  static std::vector<T> Given(const Options& o) {
    if constexpr (std::is_same_v<T, int64_t>) {
      return o.Ints("vocabulary");
    } else {
      return o.Strings("vocabulary");
    }
  }
  std::vector<T> Parse(std::vector<std::string> words) const {
    if constexpr (std::is_same_v<T, int64_t>) {
      std::vector<int64_t> numbers;
      for (const std::string& word : words) {
        const std::string error = ParseInt(word, &numbers.emplace_back());
        if (!error.empty()) {
          throw InvalidArgumentError("[{}] layer '{}': line {} of the vocabulary: {}",
                                     class_name(), name(), numbers.size(), error);
        }
      }
      return numbers;
    } else {
      return words;
    }
  }
  void Set(const std::vector<T>& words) {
    if (words.empty()) {
      throw InvalidArgumentError("[{}] layer '{}': the vocabulary is empty", class_name(), name());
    }
    std::set<T> seen;
    for (const T& word : words) {
      if (!seen.insert(word).second) {
        throw InvalidArgumentError("[{}] layer '{}': '{}' stands twice in the vocabulary",
                                   class_name(), name(), word);
      }
    }
    vocabulary_ = Tensor::FromVector<T>(words);
  }

  int64_t oov_, max_tokens_;
  Tensor vocabulary_;
};

std::vector<OptionSpec> LookupOptions(OptionSpec vocabulary) {
  return {std::move(vocabulary).Doc("the values in order; learnt from data.train unless set"),
          Opt("vocabulary_file").Path().Doc("the same, one a line"),
          Opt("num_oov_indices").Int().Min(0).Default(1).Doc(
              "ids in front for values that are not in it, which share them by a hash"),
          Opt("max_tokens").Int().Min(1).Doc(
              "learn only the most frequent, so many ids with num_oov_indices")};
}

REGISTER_LAYER(LayerTable("StringLookup", "Words to their places in a vocabulary.",
                          LookupOptions(Opt("vocabulary").String().List(1, 100000))),
               [](const Options& o) { return std::make_shared<Lookup<std::string>>(o); });
REGISTER_LAYER(LayerTable("IntegerLookup", "Integers to their places in a vocabulary.",
                          LookupOptions(Opt("vocabulary").Int().List(1, 100000))),
               [](const Options& o) { return std::make_shared<Lookup<int64_t>>(o); });

}  // namespace
}  // namespace tributary
