#pragma once
// tcp://host:port, with IPv6 addresses in brackets.

#include <cstdint>
#include <string>

namespace tributary {

struct TcpAddress {
  std::string host;
  uint16_t port = 0;

  // Throws InvalidArgumentError.
  static TcpAddress Parse(const std::string& address);
  std::string ToString() const;
};

}  // namespace tributary
