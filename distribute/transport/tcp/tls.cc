#include "distribute/transport/tcp/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/errors.h"
#include "distribute/transport/tcp/job_key.h"

namespace tributary {
namespace {

constexpr size_t kRecord = 16 << 10;
constexpr std::string_view kIdentity = "tributary";
const unsigned char* Identity() {
  return reinterpret_cast<const unsigned char*>(kIdentity.data());
}

// What OpenSSL has to say about the last failure of this thread.
std::string Reasons() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    char line[256];
    ERR_error_string_n(code, line, sizeof(line));
    text += text.empty() ? "" : "; ";
    text += line;
  }
  return text.empty() ? "the other end has hung up" : text;
}

// --- A socket that never raises SIGPIPE, which OpenSSL's own would.

int SocketWrite(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const int fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  const ssize_t put = ::send(fd, data, static_cast<size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (put < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(put);
}

int SocketRead(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const int fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  const ssize_t got = ::recv(fd, data, static_cast<size_t>(size), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

long SocketControl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH; }

BIO* MakeSocketBio(int fd) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tributary");
    BIO_meth_set_write(made, SocketWrite);
    BIO_meth_set_read(made, SocketRead);
    BIO_meth_set_ctrl(made, SocketControl);
    return made;
  }();
  BIO* bio = BIO_new(method);
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(fd)));
  BIO_set_init(bio, 1);
  return bio;
}

// --- The stream.

class TlsStream final : public ByteStream {
 public:
  TlsStream(SSL_CTX* context, bool server, int fd) : ssl_(SSL_new(context)) {
    if (ssl_ == nullptr) throw InternalError("[transport] OpenSSL: {}", Reasons());
    BIO* bio = MakeSocketBio(fd);
    SSL_set_bio(ssl_, bio, bio);
    server ? SSL_set_accept_state(ssl_) : SSL_set_connect_state(ssl_);
  }
  ~TlsStream() override { SSL_free(ssl_); }

  bool Handshake() override {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result == 1) return true;
    if (Blocked(result, &read_events_)) return false;
    throw Refused(Reasons());
  }

  size_t Read(std::span<const iovec> to) override {
    size_t total = 0;
    drained_ = false;
    for (const iovec& piece : to) {
      size_t at = 0;
      while (at < piece.iov_len) {
        ERR_clear_error();
        size_t got = 0;
        const int result = SSL_read_ex(ssl_, static_cast<char*>(piece.iov_base) + at,
                                       piece.iov_len - at, &got);
        if (result == 1) {
          heard_ = true;
          at += got;
          total += got;
          continue;
        }
        drained_ = Blocked(result, &read_events_);
        if (total == 0 && !drained_) Fail(result);
        return total;  // an error shows again in the next call
      }
    }
    return total;
  }

  size_t Write(std::span<const iovec> from) override {
    size_t total = 0;
    for (size_t piece = 0, at = 0; piece < from.size();) {
      // A write that could not go on must be repeated with the same bytes.
      const std::span<const char> record = NextRecord(from, piece, at);
      if (record.empty()) break;
      ERR_clear_error();
      size_t put = 0;
      const int result = SSL_write_ex(ssl_, record.data(), record.size(), &put);
      if (result != 1) {
        const bool blocked = Blocked(result, &write_events_);
        if (total == 0 && !blocked) Fail(result);
        pending_ = record.size();
        return total;
      }
      pending_ = 0;
      total += put;
      for (at += put; piece < from.size() && at >= from[piece].iov_len; ++piece) {
        at -= from[piece].iov_len;
      }
    }
    return total;
  }

  bool is_protected() const override { return true; }

 private:
  // Up to a record of bytes from `at` of from[piece] on: as they lie, or joined.
  std::span<const char> NextRecord(std::span<const iovec> from, size_t piece, size_t at) {
    const size_t wanted = pending_ > 0 ? pending_ : kRecord;
    const char* start = static_cast<const char*>(from[piece].iov_base) + at;
    if (from[piece].iov_len - at >= wanted) return {start, wanted};
    joined_.clear();
    for (; piece < from.size() && joined_.size() < wanted; ++piece, at = 0) {
      start = static_cast<const char*>(from[piece].iov_base) + at;
      const size_t count = std::min(from[piece].iov_len - at, wanted - joined_.size());
      joined_.insert(joined_.end(), start, start + count);
    }
    return joined_;
  }

  bool Blocked(int result, short* events) {
    switch (SSL_get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ: *events = POLLIN; return true;
      case SSL_ERROR_WANT_WRITE: *events = POLLOUT; return true;
      default: return false;
    }
  }

  [[noreturn]] void Fail(int result) {
    const int error = SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_ZERO_RETURN || error == SSL_ERROR_SYSCALL) {
      throw ConnectionClosed("the connection was closed");
    }
    const std::string reasons = Reasons();
    if (reasons.find("unexpected eof") != std::string::npos) {
      throw ConnectionClosed("the connection was closed");
    }
    // A client has done its part of the handshake before the server judges it.
    if (!heard_) throw Refused(reasons);
    throw DataLossError("TLS: {}", reasons);
  }
  static UnauthenticatedError Refused(const std::string& reasons) {
    return UnauthenticatedError("the TLS handshake failed: {}; do both ends have the same job key "
                                "(or certificates of one authority) and job id?",
                                reasons);
  }

  SSL* const ssl_;
  std::vector<char> joined_;
  bool heard_ = false;  // the other end has sent something
  size_t pending_ = 0;  // bytes of a write that waits for the socket
};

// --- The context.

class Context final : public TlsContext {
 public:
  explicit Context(bool server)
      : server_(server), context_(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method())) {
    if (context_ == nullptr) throw InternalError("[transport] OpenSSL: {}", Reasons());
    SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
    SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                   SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context_, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_num_tickets(context_, 0);
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context_, Identity(), kIdentity.size());
    SSL_CTX_set_max_early_data(context_, 0);
    SSL_CTX_set_read_ahead(context_, 1);
    SSL_CTX_set_default_read_buffer_len(context_, 4 * kRecord);
    Require(SSL_CTX_set_ciphersuites(context_, "TLS_AES_128_GCM_SHA256"), "cipher");
    // Whoever does not prove the key must show a certificate, and none is trusted
    // unless UseCertificates says so.
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  ~Context() override {
    SSL_CTX_free(context_);
    OPENSSL_cleanse(key_.data(), key_.size());
  }

  void UseKey(const JobKey& key) {
    key_ = key;
    SSL_CTX_set_app_data(context_, this);
    if (server_) SSL_CTX_set_psk_find_session_callback(context_, FindSession);
    else SSL_CTX_set_psk_use_session_callback(context_, UseSession);
  }

  void UseCertificates(const SecurityOptions& o) {
    ERR_clear_error();
    Require(SSL_CTX_use_certificate_chain_file(context_, o.certificate_file.c_str()),
            o.certificate_file);
    Require(SSL_CTX_use_PrivateKey_file(context_, o.private_key_file.c_str(), SSL_FILETYPE_PEM),
            o.private_key_file);
    Require(SSL_CTX_check_private_key(context_), o.private_key_file);
    Require(SSL_CTX_load_verify_locations(context_, o.authority_file.c_str(), nullptr),
            o.authority_file);
  }

  std::unique_ptr<ByteStream> MakeStream(int fd) override {
    return std::make_unique<TlsStream>(context_, server_, fd);
  }

 private:
  static void Require(int result, const std::string& what) {
    if (result == 1) return;
    throw InvalidArgumentError("[transport] TLS can't use '{}': {}", what, Reasons());
  }

  // A session that stands for the key; the caller owns it.
  static SSL_SESSION* KeySession(SSL* ssl) {
    const auto* self = static_cast<Context*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    const unsigned char aes_128_gcm_sha256[] = {0x13, 0x01};
    const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, aes_128_gcm_sha256);
    SSL_SESSION* session = SSL_SESSION_new();
    if (session != nullptr && cipher != nullptr &&
        SSL_SESSION_set1_master_key(session, self->key_.data(), self->key_.size()) == 1 &&
        SSL_SESSION_set_cipher(session, cipher) == 1 &&
        SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1 &&
        SSL_SESSION_set1_id_context(session, Identity(), kIdentity.size()) == 1) {
      return session;
    }
    SSL_SESSION_free(session);
    return nullptr;
  }
  static int FindSession(SSL* ssl, const unsigned char* identity, size_t size,
                         SSL_SESSION** session) {
    *session = std::string_view(reinterpret_cast<const char*>(identity), size) == kIdentity
                   ? KeySession(ssl)
                   : nullptr;
    return 1;
  }
  static int UseSession(SSL* ssl, const EVP_MD*, const unsigned char** identity, size_t* size,
                        SSL_SESSION** session) {
    *identity = Identity();
    *size = kIdentity.size();
    *session = KeySession(ssl);
    return *session != nullptr;
  }

  const bool server_;
  SSL_CTX* const context_;
  JobKey key_{};
};

SecurityMode Resolve(const SecurityOptions& options) {
  if (options.mode != SecurityMode::kAuto) return options.mode;
  if (!options.key_file.empty() || options.key_fd >= 0) return SecurityMode::kJobKey;
  if (!options.certificate_file.empty()) return SecurityMode::kCertificates;
  return SecurityMode::kNone;
}

}  // namespace

std::shared_ptr<TlsContext> TlsContext::Make(const SecurityOptions& options, bool server,
                                             const std::string& place, bool loopback) {
  const SecurityMode mode = Resolve(options);
  if (mode == SecurityMode::kNone) {
    if (loopback) return nullptr;
    throw UnauthenticatedError("[transport] {} is reached over a network, so it needs the job's "
                               "key; {}; or use 127.0.0.1 for a job on one host",
                               place, HowToMakeAKey());
  }
  auto context = std::make_shared<Context>(server);
  if (mode == SecurityMode::kCertificates) {
    context->UseCertificates(options);
    return context;
  }
  if (options.key_file.empty() && options.key_fd < 0) {
    throw UnauthenticatedError("[transport] {} is to be protected by the job's key, but none is "
                               "given; {}",
                               place, HowToMakeAKey());
  }
  context->UseKey(ReadJobKey(options));
  return context;
}

}  // namespace tributary
