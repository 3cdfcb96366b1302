#pragma once
// Windows of characters over a text, for models that predict the next one.

#include <string>
#include <string_view>

#include "trainer/data/column.h"

namespace tributary::data {

struct TextWindowOptions {
  int64_t length = 64;  // characters of the input
  int64_t stride = 1;   // from one window to the next
  // kNext: the character behind the window, a scalar. kSequence: the window one
  // character later.
  enum class Target { kNext, kSequence } target = Target::kNext;
};

// The distinct bytes of a text in ascending order; a character's number is its
// place among them. Bytes, not code points: UTF-8 takes several.
std::string CharacterVocabulary(std::string_view text);

// int32 inputs (length) and int32 targets. Throws InvalidArgumentError when the
// text is too short for one window, or has a character that is not in the
// vocabulary.
TablePtr TextWindows(std::string_view text, const std::string& vocabulary,
                     const TextWindowOptions& options);

}  // namespace tributary::data
