#include "distribute/transport/tcp/heartbeat_client.h"

#include <optional>

#include "core/base/logging.h"
#include "distribute/transport/tcp/exchange.h"

namespace tributary {

struct HeartbeatClient::Link {
  Link(asio::io_context& loop, std::shared_ptr<ServerLife> life, DialTarget target)
      : life(std::move(life)), target(std::move(target)), pause(loop), judge(loop) {}

  bool over() const { return life->closed || given_up; }
  void Stop() {
    pause.cancel();
    judge.cancel();
    ErrorCode ignored;
    if (socket) socket->close(ignored);
  }

  const std::shared_ptr<ServerLife> life;
  const DialTarget target;
  Millis period{500}, dead_after{5000};
  asio::steady_timer pause, judge;
  std::optional<TcpSocket> socket;
  Clock::time_point last_life = Clock::now();
  bool given_up = false;
  std::string trouble;  // why there is no answer, if that is known
};

std::shared_ptr<HeartbeatClient> HeartbeatClient::Get() {
  static std::mutex mutex;
  static std::weak_ptr<HeartbeatClient> current;
  std::lock_guard lock(mutex);
  std::shared_ptr<HeartbeatClient> client = current.lock();
  if (!client) current = client = std::shared_ptr<HeartbeatClient>(new HeartbeatClient);
  return client;
}

HeartbeatClient::HeartbeatClient() : work_(loop_.get_executor()) {
  thread_ = std::thread([this] { loop_.run(); });
}

HeartbeatClient::~HeartbeatClient() {
  Wake();
  work_.reset();
  thread_.join();
}

void HeartbeatClient::Watch(std::shared_ptr<ServerLife> life, DialTarget target, Millis period,
                            Millis dead_after) {
  auto link = std::make_shared<Link>(loop_, std::move(life), std::move(target));
  link->period = period;
  link->dead_after = dead_after;
  asio::post(loop_, [this, link] {
    std::erase_if(links_, [](const auto& old) { return old.expired(); });
    links_.push_back(link);
    asio::co_spawn(loop_, Beat(link), asio::detached);
    asio::co_spawn(loop_, Judge(link), asio::detached);
  });
}

void HeartbeatClient::Wake() {
  asio::post(loop_, [this] {
    for (const auto& weak : links_) {
      const std::shared_ptr<Link> link = weak.lock();
      if (link && link->over()) link->Stop();
    }
  });
}

asio::awaitable<void> HeartbeatClient::Beat(std::shared_ptr<Link> link) {
  while (!link->over()) {
    try {
      co_await BeatOnce(*link);
    } catch (const std::exception& error) {
      link->trouble = error.what();
    }
    link->socket.reset();
    if (link->over()) co_return;
    link->pause.expires_after(link->period);
    ErrorCode ignored;
    co_await link->pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

// Connects and beats until something fails.
asio::awaitable<void> HeartbeatClient::BeatOnce(Link& link) {
  TcpSocket& socket = link.socket.emplace(loop_);
  const Connected connected = co_await Dial(socket, link.target, Clock::now() + link.dead_after);
  ByteStream& stream = *connected.stream;
  FrameReader reader(kHelloLimits, link.target.address.ToString(), 4 * kFrameHeaderBytes);
  HeartbeatPlacer placer;
  while (!link.over()) {
    FrameHeader header;
    header.kind = kHeartbeatKind;
    header.sequence = link.life->progress;
    const bool sent = co_await SendHeader(socket, stream, header);
    if (!sent) co_return;
    const bool answered = co_await ReceiveFrame(socket, stream, reader, placer);
    if (!answered) co_return;
    link.last_life = Clock::now();
    link.trouble.clear();
    link.life->peer_requests = reader.header().sequence;
    link.life->peer_busy_ms = reader.header().request_id;
    link.pause.expires_after(link.period);
    ErrorCode ignored;
    co_await link.pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

// Apart from Beat, which may be waiting for an answer that does not come.
asio::awaitable<void> HeartbeatClient::Judge(std::shared_ptr<Link> link) {
  const Millis period = std::max(link->period / 4, Millis(1));
  auto last_turn = Clock::now();
  while (!link->over()) {
    link->judge.expires_after(period);
    ErrorCode ignored;
    co_await link->judge.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    const auto now = Clock::now();
    // Who was stopped itself can't judge the silence of others.
    if (now - last_turn > std::max(link->dead_after / 2, 4 * period)) link->last_life = now;
    last_turn = now;
    if (link->life->closed || now - link->last_life < link->dead_after) continue;
    const double silent = std::chrono::duration<double>(now - link->last_life).count();
    link->life->Die(fmt::format("no heartbeat for {:.1f} s: its process is stopped or its host "
                                "unreachable{}",
                                silent,
                                link->trouble.empty() ? "" : " (" + link->trouble + ")"));
    link->given_up = true;
  }
  link->Stop();
}

}  // namespace tributary
