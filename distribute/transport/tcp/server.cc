// tcp://host:port. A server is two threads: its door, and the shard's, which reads,
// handles and answers requests and shares nothing with other shards.

#include <future>

#include "distribute/transport/tcp/channel.h"
#include "distribute/transport/tcp/connection.h"
#include "distribute/transport/tcp/door.h"

namespace tributary {
namespace {

class TcpServer final : public Server {
 public:
  TcpServer(const std::string& address, Handler handler, const ServerOptions& options)
      : state_(std::make_shared<ServerState>(std::move(handler), options)),
        work_(state_->shard.get_executor()),
        door_(state_, TcpAddress::Parse(address)) {
    // Its id is known before the first request can come.
    std::promise<void> started;
    thread_ = std::thread([this, &started] {
      state_->shard_thread = std::this_thread::get_id();
      started.set_value();
      state_->shard.run();
    });
    started.get_future().wait();
    door_.Open();
  }
  ~TcpServer() override { Stop(); }

  void Stop() override {
    if (!thread_.joinable()) return;
    door_.Close();
    state_->Post([this] {
      const auto open = state_->connections;
      for (TcpConnection* connection : open) connection->Close("the server is stopping");
      work_.reset();
    });
    thread_.join();
    state_->StopPosting();
    // What was posted meanwhile, so that nothing holds the loop that holds it.
    state_->shard.restart();
    state_->shard.poll();
    state_->handler = nullptr;
  }

  bool Post(std::function<void()> task) override { return state_->Post(std::move(task)); }
  const std::string& address() const override { return door_.address(); }

  std::vector<PeerStatus> Peers() const override {
    std::vector<PeerStatus> peers;
    const auto now = Clock::now();
    for (const auto& record : state_->peers.All()) {
      peers.push_back({record->hello, record->progress, PeerRecord::Since(record->last_life, now),
                       PeerRecord::Since(record->progress_at, now)});
    }
    return peers;
  }

  TransportStats stats() const override {
    const ServerState& s = *state_;
    return {s.requests, s.bytes_in, s.bytes_out, s.accepted, s.refused, s.bad_frames};
  }

 private:
  const std::shared_ptr<ServerState> state_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  Door door_;
  std::thread thread_;
};

const CarrierRegistrar registrar(
    "tcp", {"processes anywhere",
            [](const std::string& address, Handler handler, const ServerOptions& options) {
              return std::unique_ptr<Server>(
                  std::make_unique<TcpServer>(address, std::move(handler), options));
            },
            ConnectTcp});

}  // namespace
}  // namespace tributary
