// inproc://name: the server is a thread of the same process. Requests are copied to
// the call's own buffer (a client may give up while the handler works on it),
// replies straight to where the client wants them.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include "core/base/errors.h"
#include "distribute/transport/byte_buffer.h"
#include "distribute/transport/dispatch.h"
#include "distribute/transport/hello.h"

namespace tributary {
namespace {

struct Connection;

// One request and its reply. Owned by its connection and, while the server has it,
// by itself. `mutex` of the connection guards what both sides touch.
struct PendingCall final : ReplySink {
  enum class State { kFree, kUnderWay, kDone };

  void Reply(ConstBytes reply_control, std::span<const ConstBytes> parts) override;
  void Fail(const std::exception& error) override;

  std::shared_ptr<Connection> connection;
  std::shared_ptr<PendingCall> self;  // set while the server has it
  std::atomic<State> state{State::kFree};
  bool given_up = false;
  Deadline deadline;
  FrameHeader header;
  ByteBuffer control, payload;
  std::span<const MutableBytes> into;
  FrameHeader reply_header;
  ByteBuffer reply_control, reply_payload;
  bool failed = false;  // reply_control is an error
};

struct Connection {
  Hello hello;
  std::string server_name;
  std::mutex mutex;
  std::condition_variable replied;
  bool server_gone = false;
  std::atomic<uint64_t> progress{0};
  std::atomic<Clock::rep> progress_at{Clock::now().time_since_epoch().count()};
  std::atomic<uint64_t> bytes_out{0};
};

// Copies parts to parts of the same total size.
void Scatter(std::span<const ConstBytes> from, std::span<const MutableBytes> to) {
  size_t part = 0, at = 0;
  for (ConstBytes source : from) {
    while (!source.empty()) {
      while (at == to[part].size()) ++part, at = 0;
      const size_t count = std::min(source.size(), to[part].size() - at);
      std::memcpy(to[part].data() + at, source.data(), count);
      at += count;
      source = source.subspan(count);
    }
  }
}

void Assign(ByteBuffer* buffer, std::span<const ConstBytes> parts) {
  const MutableBytes whole = buffer->Resize(TotalBytes(parts));
  Scatter(parts, {&whole, 1});
}

void PendingCall::Reply(ConstBytes control_bytes, std::span<const ConstBytes> parts) {
  const std::shared_ptr<PendingCall> keep = std::move(self);
  std::lock_guard lock(connection->mutex);
  const uint64_t total = TotalBytes(parts);
  if (given_up) {
    state = State::kDone;
    return;
  }
  reply_header = {.kind = kReplyKind,
                  .table = header.table,
                  .worker = header.worker,
                  .request_id = header.request_id,
                  .generation = header.generation,
                  .sequence = header.sequence,
                  .control_bytes = static_cast<uint32_t>(control_bytes.size()),
                  .payload_bytes = total};
  failed = !into.empty() && TotalBytes(into) != total;
  if (failed) {
    reply_header.kind = kErrorKind;
    std::vector<std::byte> text;
    EncodeError(InvalidArgumentError("[transport] the reply of {} has another size; expected {} "
                                     "bytes, got {}",
                                     connection->server_name, TotalBytes(into), total),
                &text);
    const ConstBytes bytes(text);
    Assign(&reply_control, {&bytes, 1});
  } else {
    Assign(&reply_control, {&control_bytes, 1});
    if (into.empty()) Assign(&reply_payload, parts);
    else Scatter(parts, into);
  }
  connection->bytes_out += kFrameHeaderBytes + control_bytes.size() + total;
  state = State::kDone;
  connection->replied.notify_one();
}

void PendingCall::Fail(const std::exception& error) {
  const std::shared_ptr<PendingCall> keep = std::move(self);
  std::vector<std::byte> text;
  EncodeError(error, &text);
  const ConstBytes bytes(text);
  std::lock_guard lock(connection->mutex);
  Assign(&reply_control, {&bytes, 1});
  reply_header = {.kind = kErrorKind, .request_id = header.request_id};
  failed = true;
  state = State::kDone;
  connection->replied.notify_one();
}

class InprocServer;

std::mutex servers_mutex;
std::map<std::string, InprocServer*>& Servers() {
  static std::map<std::string, InprocServer*> servers;
  return servers;
}

// What the server's thread has to do: a task, a call, or somebody who joins or leaves.
struct Item {
  std::shared_ptr<Connection> connection;
  std::shared_ptr<PendingCall> call;
  PeerEvent event = PeerEvent::kJoined;
  std::function<void()> task;
};

class InprocServer final : public Server {
 public:
  InprocServer(std::string address, Handler handler, const ServerOptions& options)
      : address_(std::move(address)), handler_(std::move(handler)), options_(options) {
    {
      std::lock_guard lock(servers_mutex);
      if (!Servers().emplace(address_, this).second) {
        throw AlreadyExistsError("[transport] {} is in use; choose another name", address_);
      }
    }
    thread_ = std::thread([this] { Loop(); });
  }
  ~InprocServer() override { Stop(); }

  void Stop() override {
    {
      std::lock_guard lock(servers_mutex);
      if (const auto it = Servers().find(address_); it != Servers().end() && it->second == this) {
        Servers().erase(it);
      }
    }
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
    for (const auto& connection : connections_) {
      std::lock_guard lock(connection->mutex);
      connection->server_gone = true;
      connection->replied.notify_all();
    }
  }

  bool Post(std::function<void()> task) override {
    Item item;
    item.task = std::move(task);
    return Submit(std::move(item));
  }

  const std::string& address() const override { return address_; }
  const ServerOptions& options() const { return options_; }

  std::vector<PeerStatus> Peers() const override {
    std::lock_guard lock(mutex_);
    std::vector<PeerStatus> peers;
    const auto now = Clock::now();
    for (const auto& connection : connections_) {
      const Clock::time_point changed{Clock::duration(connection->progress_at.load())};
      peers.push_back({connection->hello, connection->progress, 0,
                       std::chrono::duration<double>(now - changed).count()});
    }
    return peers;
  }

  TransportStats stats() const override {
    std::lock_guard lock(mutex_);
    TransportStats stats = stats_;
    for (const auto& connection : connections_) stats.bytes_out += connection->bytes_out;
    return stats;
  }

  // Any thread. False: the server has stopped.
  bool Submit(Item item) {
    {
      std::lock_guard lock(mutex_);
      if (stop_) return false;
      if (item.task) {
        // counts as nothing
      } else if (item.call) {
        const FrameHeader& header = item.call->header;
        ++stats_.requests;
        stats_.bytes_in += kFrameHeaderBytes + header.control_bytes + header.payload_bytes;
      } else if (item.event == PeerEvent::kJoined) {
        ++stats_.accepted;
        connections_.push_back(item.connection);
      } else {
        stats_.bytes_out += item.connection->bytes_out;
        std::erase(connections_, item.connection);
      }
      queue_.push_back(std::move(item));
    }
    wake_.notify_one();
    return true;
  }
  void CountRefusal() {
    std::lock_guard lock(mutex_);
    ++stats_.refused;
  }

 private:
  void Loop() {
    std::vector<Item> batch;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
        batch.swap(queue_);
        if (stop_) break;
      }
      for (Item& item : batch) Handle(item);
      batch.clear();
    }
    for (Item& item : batch) {
      if (item.call) item.call->Fail(Gone());
    }
  }

  void Handle(Item& item) {
    if (item.task) return item.task();
    if (!item.call) {
      if (options_.observer) options_.observer(item.connection->hello, item.event, "");
      return;
    }
    PendingCall& call = *item.call;
    const Request request{call.header, call.control.bytes(), call.payload.bytes(),
                          &item.connection->hello};
    Dispatch(handler_, request, &call);
  }

  UnavailableError Gone() const {
    return UnavailableError("[transport] {} has stopped", address_);
  }

  const std::string address_;
  const Handler handler_;
  const ServerOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Item> queue_;
  std::vector<std::shared_ptr<Connection>> connections_;
  TransportStats stats_;
  bool stop_ = false;
  std::thread thread_;
};

class InprocChannel final : public Channel {
 public:
  InprocChannel(const std::string& address, const Hello& hello, const ChannelOptions& options)
      : address_(address), options_(options), connection_(std::make_shared<Connection>()) {
    std::lock_guard lock(servers_mutex);
    const auto it = Servers().find(address);
    if (it == Servers().end()) {
      throw UnavailableError("[transport] nobody listens at {}; is the server of this process "
                             "started?",
                             address);
    }
    server_ = it->second->options().hello;
    try {
      CheckHello(server_, hello, hello.Name());
      if (it->second->options().admit) it->second->options().admit(hello);
      CheckExpectedServer(options.expected_server, server_, address);
    } catch (const Error&) {
      it->second->CountRefusal();
      throw;
    }
    peer_ = fmt::format("{} at {}", server_.Name(), address);
    connection_->hello = hello;
    connection_->server_name = peer_;
    generation_ = hello.generation;
    it->second->Submit({connection_, nullptr, PeerEvent::kJoined, nullptr});
  }

  ~InprocChannel() override {
    for (const auto& call : calls_) GiveUp(*call);
    std::lock_guard lock(servers_mutex);
    Submit({connection_, nullptr, PeerEvent::kLeft, nullptr});
  }

  CallId Start(uint16_t kind, uint32_t table, uint64_t sequence, ConstBytes control,
               std::span<const ConstBytes> payload, std::span<const MutableBytes> into,
               Deadline deadline) override {
    CheckRequest(options_.limits, kind, control.size(), TotalBytes(payload));
    const size_t slot = FreeSlot();
    const std::shared_ptr<PendingCall>& call = calls_[slot];
    call->header = {.kind = kind,
                    .table = table,
                    .worker = connection_->hello.task,
                    .request_id = (next_call_++ << kSlotBits) | slot,
                    .generation = generation_,
                    .sequence = sequence,
                    .control_bytes = static_cast<uint32_t>(control.size()),
                    .payload_bytes = TotalBytes(payload)};
    Assign(&call->control, {&control, 1});
    Assign(&call->payload, payload);
    call->into = into;
    call->deadline = deadline;
    call->state = PendingCall::State::kUnderWay;
    call->self = call;
    std::lock_guard lock(servers_mutex);
    if (!Submit({connection_, call, PeerEvent::kJoined, nullptr})) {
      call->self.reset();
      call->state = PendingCall::State::kFree;
      throw Gone();
    }
    return call->header.request_id;
  }

  Reply Wait(CallId id) override {
    const size_t slot = id & ((1u << kSlotBits) - 1);
    TRB_CHECK(slot < calls_.size() && calls_[slot]->header.request_id == id &&
              calls_[slot]->state != PendingCall::State::kFree);  // waited for twice
    PendingCall& call = *calls_[slot];
    std::unique_lock lock(connection_->mutex);
    const bool ended = connection_->replied.wait_until(lock, call.deadline, [&] {
      return call.state == PendingCall::State::kDone || connection_->server_gone;
    });
    if (call.state != PendingCall::State::kDone) {
      lock.unlock();
      GiveUp(call);
      calls_[slot] = NewCall();
      if (ended) throw Gone();
      throw DeadlineExceededError("[transport] {} has not replied to request {} (kind {}) in time; "
                                  "is it overloaded or stuck?",
                                  peer_, id, call.header.kind);
    }
    call.state = PendingCall::State::kFree;
    if (call.failed) ThrowRemoteError(call.reply_control.bytes(), peer_);
    return {call.reply_header, call.reply_control.bytes(),
            call.into.empty() ? ConstBytes(call.reply_payload.bytes()) : ConstBytes()};
  }

  void Flush(Deadline) override {}
  void SetGeneration(uint64_t generation) override { generation_ = generation; }
  void SetProgress(uint64_t progress) override {
    if (connection_->progress.exchange(progress) == progress) return;
    connection_->progress_at = Clock::now().time_since_epoch().count();
  }
  const std::string& peer() const override { return peer_; }
  const Hello& server() const override { return server_; }

 private:
  static constexpr int kSlotBits = 16;

  std::shared_ptr<PendingCall> NewCall() const {
    auto call = std::make_shared<PendingCall>();
    call->connection = connection_;
    return call;
  }

  size_t FreeSlot() {
    for (size_t i = 0; i < calls_.size(); ++i) {
      if (calls_[i]->state == PendingCall::State::kFree) return i;
    }
    TRB_CHECK(calls_.size() < (1u << kSlotBits));
    calls_.push_back(NewCall());
    return calls_.size() - 1;
  }

  // From now on nothing is written to where the reply was to go.
  void GiveUp(PendingCall& call) {
    std::lock_guard lock(connection_->mutex);
    call.given_up = true;
  }

  // Holding servers_mutex: the server can't go away meanwhile.
  bool Submit(Item item) {
    const auto it = Servers().find(address_);
    if (it == Servers().end()) return false;
    {
      // Another server of the same name is not the one of this connection.
      std::lock_guard lock(connection_->mutex);
      if (connection_->server_gone) return false;
    }
    return it->second->Submit(std::move(item));
  }

  UnavailableError Gone() const {
    return UnavailableError("[transport] {} has stopped; connect again once it is back", peer_);
  }

  const std::string address_;
  const ChannelOptions options_;
  const std::shared_ptr<Connection> connection_;
  Hello server_;
  std::string peer_;
  uint64_t generation_ = 0, next_call_ = 1;
  std::vector<std::shared_ptr<PendingCall>> calls_;
};

const CarrierRegistrar registrar("inproc", {
    "threads of one process",
    [](const std::string& address, Handler handler, const ServerOptions& options) {
      return std::unique_ptr<Server>(
          std::make_unique<InprocServer>(address, std::move(handler), options));
    },
    [](const std::string& address, const Hello& hello, const ChannelOptions& options) {
      return std::unique_ptr<Channel>(std::make_unique<InprocChannel>(address, hello, options));
    }});

}  // namespace
}  // namespace tributary
