#pragma once
// The two ends of mpi://, for registration.

#include "distribute/transport/transport.h"

namespace tributary {

std::unique_ptr<Server> ListenMpi(const std::string& address, Handler handler,
                                  const ServerOptions& options);
std::unique_ptr<Channel> ConnectMpi(const std::string& address, const Hello& hello,
                                    const ChannelOptions& options);

}  // namespace tributary
