#include "distribute/transport/tcp/exchange.h"

namespace tributary {

asio::awaitable<bool> ReceiveFrame(TcpSocket& socket, ByteStream& stream, FrameReader& reader,
                                   FramePlacer& placer) {
  while (!reader.Next(stream, placer)) {
    const bool ready = co_await WaitFor(socket, stream.read_events());
    if (!ready) co_return false;
    stream.SetReady();
  }
  co_return true;
}

asio::awaitable<bool> SendBytes(TcpSocket& socket, ByteStream& stream, ConstBytes bytes) {
  while (!bytes.empty()) {
    const iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
    const size_t sent = stream.Write({&piece, 1});
    bytes = bytes.subspan(sent);
    if (sent > 0) continue;
    const bool ready = co_await WaitFor(socket, stream.write_events());
    if (!ready) co_return false;
  }
  co_return true;
}

void HeartbeatPlacer::Place(const FrameHeader& header, std::vector<MutableBytes>*) {
  if (header.kind == kHeartbeatKind && header.control_bytes == 0) return;
  throw DataLossError("[transport] a frame of kind {:#x} came where heartbeats are expected",
                      header.kind);
}

asio::awaitable<bool> SendHeader(TcpSocket& socket, ByteStream& stream, FrameHeader header) {
  std::byte encoded[kFrameHeaderBytes];
  EncodeHeader(header, encoded);
  const bool sent = co_await SendBytes(socket, stream, encoded);
  co_return sent;
}

}  // namespace tributary
