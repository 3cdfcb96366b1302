#include "distribute/metrics/metrics_server.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <list>
#include <thread>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "distribute/transport/tcp/listening.h"

namespace tributary {
namespace {

using asio::ip::tcp;
namespace http = boost::beast::http;

constexpr std::string_view kPath = "/metrics";
constexpr const char* kTextFormat = "text/plain; version=0.0.4; charset=utf-8";
constexpr size_t kDrainBytes = 64 << 10;

tcp::endpoint LoopbackEndpoint(const MetricsOptions& options) {
  ErrorCode error;
  const std::string host = options.host == "localhost" ? "127.0.0.1" : options.host;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (error || !address.is_loopback()) {
    throw InvalidArgumentError(
        "[metrics] can't show figures at '{}'; expected an address of loopback such as 127.0.0.1, "
        "because the page asks nobody who they are; to read it from another machine, forward "
        "the port: ssh -L {}:127.0.0.1:{} THIS_HOST",
        options.host, options.port ? options.port : 9400,
        options.port ? std::to_string(options.port) : "PORT");
  }
  return {address, options.port};
}

using Reply = http::response<http::string_body>;

Reply MakeReply(http::status status, std::string body) {
  Reply reply(status, 11);
  reply.set(http::field::content_type, kTextFormat);
  reply.set(http::field::cache_control, "no-store");
  reply.set("X-Content-Type-Options", "nosniff");
  reply.keep_alive(false);
  reply.content_length(body.size());
  reply.body() = std::move(body);
  return reply;
}

// What is said to a header that could not be read; no reply for one that just ended.
std::optional<Reply> Complaint(const ErrorCode& error, uint32_t limit) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return MakeReply(http::status::request_header_fields_too_large,
                     fmt::format("the header is longer than {} bytes\n", limit));
  }
  // Beast's own errors are about the bytes; others about the connection.
  const bool about_bytes = error.category() == make_error_code(http::error::bad_method).category();
  if (!about_bytes || error == http::error::end_of_stream ||
      error == http::error::partial_message) {
    return std::nullopt;
  }
  return MakeReply(http::status::bad_request, "this is no HTTP request\n");
}

}  // namespace

class MetricsServer::Impl {
 public:
  Impl(MetricsOptions options, std::function<std::string()> render)
      : options_(std::move(options)), render_(std::move(render)) {
    Listen(LoopbackEndpoint(options_));
    asio::co_spawn(loop_,
                   AcceptAll(acceptor_, visitors_, options_.max_connections,
                             [this](TcpVisitor visitor) {
                               asio::co_spawn(loop_, Welcome(std::move(visitor)), asio::detached);
                             }),
                   asio::detached);
    thread_ = std::thread([this] { loop_.run(); });
  }

  // What waits is cancelled; the loop ends when nothing is left.
  ~Impl() {
    asio::post(loop_, [this] {
      ErrorCode ignored;
      acceptor_.close(ignored);
      for (const TcpVisitor& visitor : visitors_) CloseSocket(*visitor);
    });
    thread_.join();
  }

  const std::string& address() const { return address_; }
  uint16_t port() const { return port_; }

 private:
  void Listen(const tcp::endpoint& endpoint) {
    ListenAt(acceptor_, endpoint,
             {.component = "metrics", .who = "",
              .address = fmt::format("{}:{}", options_.host, options_.port),
              .if_taken = "stop it, or choose another port (0: any free one)",
              .if_impossible = "choose another address or port"});
    const tcp::endpoint bound = acceptor_.local_endpoint();
    port_ = bound.port();
    const std::string host = bound.address().to_string();
    address_ = fmt::format("http://{}:{}{}", bound.address().is_v6() ? "[" + host + "]" : host,
                           port_, kPath);
  }

  asio::awaitable<void> Welcome(TcpVisitor visitor) {
    try {
      const TimeLimit limit(*visitor, std::chrono::steady_clock::now() + options_.connection_time);
      co_await Converse(*visitor);
    } catch (const std::exception& e) {
      LogDebug("[metrics] a connection ended: {}", e.what());
    }
    CloseSocket(*visitor);
    visitors_.remove(visitor);
  }

  asio::awaitable<void> Converse(TcpSocket& socket) {
    ErrorCode error;
    // The body, if any, is not wanted: it stays unread.
    http::request_parser<http::empty_body> parser;
    parser.header_limit(options_.header_bytes);
    parser.body_limit(boost::none);
    boost::beast::flat_buffer buffer(options_.header_bytes + 512);
    co_await http::async_read_header(socket, buffer, parser,
                                     asio::redirect_error(asio::use_awaitable, error));
    std::optional<Reply> reply =
        error ? Complaint(error, options_.header_bytes) : std::optional(Answer(parser.get()));
    if (!reply) co_return;
    http::response_serializer<http::string_body> serializer(*reply);
    if (!error && parser.get().method() == http::verb::head) {
      co_await http::async_write_header(socket, serializer,
                                        asio::redirect_error(asio::use_awaitable, error));
    } else {
      co_await http::async_write(socket, serializer,
                                 asio::redirect_error(asio::use_awaitable, error));
    }
    if (!error) co_await Drain(socket);
  }

  // Closing over unread bytes would reset the connection, and the reply be lost on its way.
  asio::awaitable<void> Drain(TcpSocket& socket) {
    ErrorCode error;
    socket.shutdown(TcpSocket::shutdown_send, error);
    std::array<char, 2048> waste;
    for (size_t total = 0; total < kDrainBytes && !error;) {
      const size_t read = co_await socket.async_read_some(
          asio::buffer(waste), asio::redirect_error(asio::use_awaitable, error));
      total += read;
    }
  }

  Reply Answer(const http::request<http::empty_body>& request) {
    const std::string_view target(request.target().data(), request.target().size());
    if (target.substr(0, target.find('?')) != kPath) {
      return MakeReply(http::status::not_found, fmt::format("there is only {}\n", kPath));
    }
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      Reply reply = MakeReply(http::status::method_not_allowed, "only GET and HEAD\n");
      reply.set(http::field::allow, "GET, HEAD");
      return reply;
    }
    try {
      return MakeReply(http::status::ok, render_());
    } catch (const std::exception& e) {
      return MakeReply(http::status::internal_server_error, fmt::format("{}\n", e.what()));
    }
  }

  const MetricsOptions options_;
  const std::function<std::string()> render_;
  std::string address_;
  uint16_t port_ = 0;
  asio::io_context loop_{1};
  tcp::acceptor acceptor_{loop_};
  std::list<TcpVisitor> visitors_;  // in the order they came
  std::thread thread_;
};

MetricsServer::MetricsServer(MetricsOptions options, std::function<std::string()> render)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(render))) {}

MetricsServer::~MetricsServer() = default;

const std::string& MetricsServer::address() const { return impl_->address(); }
uint16_t MetricsServer::port() const { return impl_->port(); }

}  // namespace tributary
