#pragma once
// The server's side of one client's connection, on the server's thread.
//
// Requests are read into recycled slots and handed to the handler as they come. The
// replies to requests that came together leave together. A reply that the socket does
// not take at once is copied and sent as it can be; until it is gone, and while
// max_pending requests wait for a reply, nothing more is read.

#include "distribute/transport/byte_buffer.h"
#include "distribute/transport/tcp/byte_stream.h"
#include "distribute/transport/tcp/frame_reader.h"
#include "distribute/transport/tcp/server_state.h"

namespace tributary {

class TcpConnection final : public std::enable_shared_from_this<TcpConnection>,
                            private FramePlacer {
 public:
  TcpConnection(std::shared_ptr<ServerState> state, UniqueFd fd,
                std::unique_ptr<ByteStream> stream, PeerTable::Record record);
  ~TcpConnection();

  // All of these on the server's thread.
  void Begin();
  // The peer is taken for dead.
  void LoseSilent(const std::string& reason);
  void Close(const std::string& reason);
  const PeerTable::Record& record() const { return record_; }
  bool closed() const { return closed_; }

 private:
  struct Slot;  // a request under way

  asio::awaitable<void> Serve();
  bool ReadTurn();
  void Place(const FrameHeader& header, std::vector<MutableBytes>* pieces) override;
  void HandleFrame();
  bool Paused() const;
  asio::awaitable<void> WaitUntilResumed();
  void Resume();
  void End(PeerEvent event, const std::string& reason);

  void Send(Slot& slot, uint16_t kind, ConstBytes control, std::span<const ConstBytes> payload);
  void SendNow(ConstBytes head, ConstBytes control, std::span<const ConstBytes> payload);
  bool WaitBriefly();
  void Keep(std::span<const iovec> rest);
  void FlushKept();
  void StartWriting();
  void Recycle(Slot& slot);

  const std::shared_ptr<ServerState> state_;
  const PeerTable::Record record_;
  const std::unique_ptr<ByteStream> stream_;
  TcpSocket socket_;
  asio::steady_timer resume_;
  FrameReader reader_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> free_;
  Slot* current_ = nullptr;  // being read
  int pending_ = 0;
  std::vector<iovec> iov_;
  std::vector<std::byte> kept_;  // replies that are to be sent, from kept_sent_ on
  size_t kept_sent_ = 0;
  bool in_turn_ = false, writing_ = false, waiting_ = false, closed_ = false, ended_ = false;
  bool patient_ = true;  // the client reads while it is written to
  std::string reason_;    // why it was closed
  uint64_t counted_ = 0;  // bytes read that are in the statistics
};

}  // namespace tributary
