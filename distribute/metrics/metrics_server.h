#pragma once
// A page of figures for Prometheus: GET and HEAD of /metrics over HTTP, nothing else.
//
//   MetricsServer page({.port = 9400}, [&ps] { return PrometheusText(ps.stats()); });
//   LogInfo("figures at {}", page.address());   // http://127.0.0.1:9400/metrics
//
// Listens on this machine's loopback only, for it asks nobody who they are. One request a
// connection, one thread for all: a slow, huge or broken request costs its own connection
// and at most the header's 8 KiB. When too many connections are open, the oldest goes.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace tributary {

struct MetricsOptions {
  std::string host = "127.0.0.1";  // or "::1", "localhost", 127.x.x.x
  uint16_t port = 0;               // 0: the system's choice
  uint32_t header_bytes = 8 << 10;
  size_t max_connections = 32;
  std::chrono::milliseconds connection_time{5000};  // from its first byte to its last
};

class MetricsServer {
 public:
  // `render` is called on the server's thread, once a request; what it throws is answered
  // with status 500. Throws InvalidArgumentError (a host that is not loopback, or no host),
  // AlreadyExistsError (the port is in use).
  MetricsServer(MetricsOptions options, std::function<std::string()> render);
  ~MetricsServer();  // stops: `render` is not called any more once it has returned

  // "http://127.0.0.1:9400/metrics", with the real port.
  const std::string& address() const;
  uint16_t port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
