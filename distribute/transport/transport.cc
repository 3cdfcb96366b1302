#include "distribute/transport/transport.h"

#include <exception>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "distribute/transport/dispatch.h"

namespace tributary {
namespace {

const Carrier& CarrierOf(const std::string& address) {
  const size_t colon = address.find("://");
  if (colon == std::string::npos) {
    throw InvalidArgumentError("[transport] '{}' is no address; expected SCHEME://PLACE with a "
                               "scheme of {}",
                               address, Join(CarrierRegistry().Names(), ", "));
  }
  return CarrierRegistry().Get(address.substr(0, colon));
}

// The call of a handler that this thread is in.
struct DispatchScope {
  explicit DispatchScope(ReplySink* sink) : sink(sink), outer(current) { current = this; }
  ~DispatchScope() { current = outer; }

  ReplySink* const sink;
  DispatchScope* const outer;
  bool unwound = false;  // an exception has destroyed the responder
  static thread_local DispatchScope* current;
};
thread_local DispatchScope* DispatchScope::current = nullptr;

}  // namespace

void Dispatch(const Handler& handler, const Request& request, ReplySink* sink) {
  DispatchScope scope(sink);
  const auto fail = [&](const std::exception& error) {
    if (scope.unwound) return sink->Fail(error);
    LogError("[transport] a handler failed after it had replied or kept the request: {}",
             error.what());
  };
  try {
    handler(request, Responder(sink));
  } catch (const std::exception& error) {
    fail(error);
  } catch (...) {
    fail(InternalError("[transport] a handler threw something that is no exception"));
  }
}

Registry<Carrier>& CarrierRegistry() {
  static Registry<Carrier> registry("transport");
  return registry;
}

std::unique_ptr<Server> Listen(const std::string& address, Handler handler,
                               const ServerOptions& options) {
  return CarrierOf(address).listen(address, std::move(handler), options);
}

std::unique_ptr<Channel> Connect(const std::string& address, const Hello& hello,
                                 const ChannelOptions& options) {
  return CarrierOf(address).connect(address, hello, options);
}

Responder& Responder::operator=(Responder&& other) noexcept {
  if (this != &other) {
    const Responder dropped(std::move(*this));
    sink_ = std::exchange(other.sink_, nullptr);
  }
  return *this;
}

Responder::~Responder() {
  if (sink_ == nullptr) return;
  // While an exception passes through a handler, Dispatch will tell which.
  if (DispatchScope* scope = DispatchScope::current;
      scope != nullptr && scope->sink == sink_ && std::uncaught_exceptions() > 0) {
    scope->unwound = true;
    return;
  }
  Fail(InternalError("[transport] the server dropped a request without a reply; this is a bug "
                     "in Tributary, please report it"));
}

ReplySink* Responder::Take() {
  TRB_CHECK(sink_ != nullptr);  // a second reply
  return std::exchange(sink_, nullptr);
}

void Responder::Reply(ConstBytes control, std::span<const ConstBytes> payload) {
  Take()->Reply(control, payload);
}

void Responder::Fail(const std::exception& error) { Take()->Fail(error); }

}  // namespace tributary
