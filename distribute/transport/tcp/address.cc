#include "distribute/transport/tcp/address.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "core/base/errors.h"
#include "core/base/strings.h"

namespace tributary {

TcpAddress TcpAddress::Parse(const std::string& address) {
  constexpr std::string_view kScheme = "tcp://";
  std::string_view rest = address;
  if (StartsWith(rest, kScheme)) rest.remove_prefix(kScheme.size());
  const size_t colon = rest.rfind(':');
  TcpAddress result;
  bool valid = colon != std::string_view::npos && colon > 0;
  if (valid) {
    std::string_view host = rest.substr(0, colon);
    const std::string_view port = rest.substr(colon + 1);
    const auto parsed = std::from_chars(port.data(), port.data() + port.size(), result.port);
    valid = parsed.ec == std::errc() && parsed.ptr == port.data() + port.size();
    const bool bracketed = host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    valid &= !host.empty() && (bracketed || host.find(':') == std::string_view::npos);
    result.host = host;
  }
  if (valid) return result;
  throw InvalidArgumentError("[transport] '{}' is no TCP address; expected tcp://HOST:PORT with a "
                             "port of 0 to 65535, e.g. tcp://127.0.0.1:4000 or tcp://[::1]:4000",
                             address);
}

std::string TcpAddress::ToString() const {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("tcp://[{}]:{}", host, port) : fmt::format("tcp://{}:{}", host, port);
}

}  // namespace tributary
