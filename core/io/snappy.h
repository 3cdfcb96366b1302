#pragma once
// Decoding of raw Snappy (google/snappy, format_description.txt): some writers
// compress the blocks of a checkpoint's index. We never write it.

#include <string>
#include <string_view>

namespace tributary {

// Throws DataLossError naming `what` on malformed input. Memory taken is
// bounded by what the input can really decode to.
std::string SnappyDecode(std::string_view compressed, const std::string& what);

}  // namespace tributary
