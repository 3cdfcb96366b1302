#pragma once
// TLS 1.3 by OpenSSL, with the job's key (an external pre-shared key; the exchange
// still has forward secrecy) or with certificates of the job's authority on both
// sides. Neither side gets through without: there is no anonymous mode, no session
// resumption, no early data, so a recorded handshake can't be replayed.
//
// OpenSSL works on the socket itself: records are decrypted straight into tensors,
// where asio::ssl::stream would copy them through two buffers more.

#include <memory>
#include <string>

#include "distribute/transport/tcp/byte_stream.h"
#include "distribute/transport/transport.h"

namespace tributary {

class TlsContext {
 public:
  // Null where `options` ask for no protection. `place` is the address as the user
  // wrote it, `loopback` whether only this host reaches it. Throws UnauthenticatedError
  // when it is not and there is neither key nor certificate, or mode is kNone.
  static std::shared_ptr<TlsContext> Make(const SecurityOptions& options, bool server,
                                          const std::string& place, bool loopback);
  virtual ~TlsContext() = default;
  virtual std::unique_ptr<ByteStream> MakeStream(int fd) = 0;
};

// Through `context`, or plain where it is null.
inline std::unique_ptr<ByteStream> MakeStream(TlsContext* context, int fd) {
  return context ? context->MakeStream(fd) : MakePlainStream(fd);
}

}  // namespace tributary
