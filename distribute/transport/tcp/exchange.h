#pragma once
// What goes over a stream whole, waited for by coroutines of the socket's io_context.
// Keep the results in variables: GCC 12 miscompiles co_await in conditions.

#include "distribute/transport/tcp/asio.h"
#include "distribute/transport/tcp/byte_stream.h"
#include "distribute/transport/tcp/frame_reader.h"

namespace tributary {

// The next frame of `reader`, or all `bytes`. False: the socket was closed meanwhile. Throw
// as FrameReader::Next and ByteStream::Write do. What is referred to outlives the wait.
asio::awaitable<bool> ReceiveFrame(TcpSocket& socket, ByteStream& stream, FrameReader& reader,
                                   FramePlacer& placer);
asio::awaitable<bool> SendBytes(TcpSocket& socket, ByteStream& stream, ConstBytes bytes);

// Heartbeats are headers alone. Throws DataLossError for anything else.
class HeartbeatPlacer final : public FramePlacer {
 public:
  void Place(const FrameHeader& header, std::vector<MutableBytes>* pieces) override;
};
asio::awaitable<bool> SendHeader(TcpSocket& socket, ByteStream& stream, FrameHeader header);

}  // namespace tributary
