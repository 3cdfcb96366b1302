#pragma once
// Small text helpers.

#include <string>
#include <string_view>
#include <vector>

namespace tributary {

std::vector<std::string> Split(std::string_view text, char separator);
std::string_view Trim(std::string_view text);
bool StartsWith(std::string_view text, std::string_view prefix);
bool EndsWith(std::string_view text, std::string_view suffix);
std::string ToLower(std::string_view text);
// "MaxPooling2D" -> "max_pooling2d", as Keras names layers.
std::string ToSnakeCase(std::string_view camel);
std::string Join(const std::vector<std::string>& parts, std::string_view separator);

// The candidate nearest to `word` by Damerau-Levenshtein distance (case is
// ignored), or "" when none is within max_distance.
std::string NearestName(std::string_view word,
                        const std::vector<std::string>& candidates,
                        int max_distance = 2);

// " did you mean 'x'?" with a leading "; ", or "" when nothing is near.
std::string DidYouMean(std::string_view word,
                       const std::vector<std::string>& candidates);

}  // namespace tributary
