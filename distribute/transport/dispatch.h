#pragma once
// How a carrier calls a handler.

#include "distribute/transport/transport.h"

namespace tributary {

// Calls `handler`. What it throws fails the request, unless the handler had replied
// or had moved the responder elsewhere; then it is logged.
void Dispatch(const Handler& handler, const Request& request, ReplySink* sink);

}  // namespace tributary
