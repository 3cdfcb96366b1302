#pragma once
// Plain structs as bytes, by cereal (portable: little-endian): control messages, what
// servers save of themselves.

#include <cereal/archives/portable_binary.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/vector.hpp>

#include <span>
#include <sstream>
#include <string>
#include <utility>

#include "core/base/errors.h"

namespace tributary {

template <typename T>
std::string Pack(const T& value) {
  std::ostringstream out;
  cereal::PortableBinaryOutputArchive archive(out);
  archive(value);
  return std::move(out).str();
}

// Throws InvalidArgumentError for bytes that are no T; `what` names it.
template <typename T>
T Unpack(std::span<const std::byte> bytes, const char* what) {
  try {
    std::istringstream in(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    cereal::PortableBinaryInputArchive archive(in);
    T value;
    archive(value);
    return value;
  } catch (const std::exception& e) {  // cereal's, bad_alloc and length_error of absurd sizes
    throw InvalidArgumentError("[transport] {} of {} bytes can't be read: {}", what, bytes.size(),
                               e.what());
  }
}

inline std::span<const std::byte> AsBytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace tributary
