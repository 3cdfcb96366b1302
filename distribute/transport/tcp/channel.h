#pragma once
// The client's side of tcp://: the caller's thread reads and writes the socket itself,
// so that a reply wakes one thread once.

#include "distribute/transport/transport.h"

namespace tributary {

std::unique_ptr<Channel> ConnectTcp(const std::string& address, const Hello& hello,
                                    const ChannelOptions& options);

}  // namespace tributary
