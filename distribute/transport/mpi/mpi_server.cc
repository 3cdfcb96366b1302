// The server of mpi://: one thread that takes heads, receives bodies where they belong,
// handles requests in order and sends replies.

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "core/base/logging.h"
#include "distribute/transport/dispatch.h"
#include "distribute/transport/hello.h"
#include "distribute/transport/mpi/mail.h"
#include "distribute/transport/mpi/mpi_ends.h"
#include "distribute/transport/peer_table.h"

namespace tributary {
namespace {

class MpiServer;

// What responders need of a server, and what outlives it for their sake.
struct Hub {
  std::mutex mutex;
  std::vector<std::function<void()>> tasks;
  std::atomic<bool> stopped{false};
  std::thread::id thread;

  bool Post(std::function<void()> task) {
    std::lock_guard lock(mutex);
    if (stopped) return false;
    tasks.push_back(std::move(task));
    return true;
  }
};

struct Client;

struct Slot final : ReplySink {
  void Reply(ConstBytes control, std::span<const ConstBytes> parts) override {
    Answer(kReplyKind, control, parts);
  }
  void Fail(const std::exception& error) override {
    std::vector<std::byte> text;
    EncodeError(error, &text);
    Answer(kErrorKind, text, {});
  }
  void Answer(uint16_t kind, ConstBytes control, std::span<const ConstBytes> parts);

  MpiServer* server = nullptr;  // not to be touched once hub->stopped
  std::shared_ptr<Hub> hub;
  std::shared_ptr<Client> client;  // while the slot is in use
  FrameHeader header;
  ByteBuffer control_bytes, payload;
  MPI_Request body = MPI_REQUEST_NULL;
};

struct Client {
  int rank = 0;
  uint32_t channel = 0;
  PeerTable::Record record;
  std::deque<std::shared_ptr<Slot>> arriving;  // in order; the first may wait for its body
  std::vector<std::shared_ptr<Slot>> used;     // to be recycled
};

class MpiServer final : public Server {
 public:
  MpiServer(const std::string& address, Handler handler, const ServerOptions& options)
      : place_(MpiAddress::Parse(address)),
        address_(place_.ToString()),
        handler_(std::move(handler)),
        options_(options),
        hub_(std::make_shared<Hub>()) {
    int own = 0;
    MPI_Comm_rank(MailComm(), &own);
    if (place_.rank != own) {
      throw InvalidArgumentError("[transport] rank {} can't listen at {}; expected mpi://{}", own,
                                 address_, own);
    }
    std::lock_guard lock(taken_mutex);
    if (taken[place_.shard]) {
      throw AlreadyExistsError("[transport] {} is in use; choose another shard", address_);
    }
    taken[place_.shard] = true;
    thread_ = std::thread([this] { Loop(); });
  }
  ~MpiServer() override { Stop(); }

  void Stop() override {
    if (!thread_.joinable()) return;
    stop_ = true;
    thread_.join();
    {
      std::lock_guard lock(hub_->mutex);
      hub_->stopped = true;
      hub_->tasks.clear();
    }
    std::lock_guard lock(taken_mutex);
    taken[place_.shard] = false;
  }
  bool Post(std::function<void()> task) override { return hub_->Post(std::move(task)); }
  const std::string& address() const override { return address_; }

  std::vector<PeerStatus> Peers() const override {
    std::vector<PeerStatus> peers;
    const auto now = Clock::now();
    for (const auto& record : peers_.All()) {
      peers.push_back({record->hello, record->progress, PeerRecord::Since(record->last_life, now),
                       PeerRecord::Since(record->progress_at, now)});
    }
    return peers;
  }
  TransportStats stats() const override {
    return {requests_, bytes_in_, bytes_out_, accepted_, refused_, bad_frames_};
  }

  // On the server's thread.
  void Answer(Slot& slot, uint16_t kind, ConstBytes control, std::span<const ConstBytes> parts) {
    FrameHeader header = slot.header;
    header.kind = kind;
    header.flags = 0;
    Send(*slot.client, header, control, parts);
  }
  void Recycle(Slot& slot) {
    const std::shared_ptr<Client> client = std::move(slot.client);
    const auto same = [&](const std::shared_ptr<Slot>& used) { return used.get() == &slot; };
    const auto it = std::find_if(client->used.begin(), client->used.end(), same);
    if (it == client->used.end()) return;
    slot.control_bytes.Recycle();
    slot.payload.Recycle();
    free_.push_back(std::move(*it));
    client->used.erase(it);
  }

 private:
  using Key = std::pair<int, uint32_t>;  // rank, channel

  void Loop() {
    hub_->thread = std::this_thread::get_id();
    Patience patience;
    while (!stop_) {
      bool found = TakeHeads();
      found |= HandleArrived();
      found |= RunTasks();
      outbox_.Reap();
      if (found) patience.Found();
      else patience.FoundNothing();
    }
    for (auto& [key, client] : clients_) LeaveBodies(*client);
  }

  bool TakeHeads() {
    bool any = false;
    for (int i = 0; i < 64; ++i) {
      try {
        if (!TakeHead(MPI_ANY_SOURCE, place_.head_tag(), options_.limits, &head_)) break;
        any = true;
        Sort(head_);
      } catch (const Error& error) {
        any = true;
        ++bad_frames_;
        LogWarning("{}; its connections are dropped", error.what());
        Drop(head_.source, error.what());
      }
    }
    return any;
  }

  void Sort(const Head& head) {
    const Key key{head.source, head.envelope.channel};
    if (head.header.kind == kHelloKind) return Welcome(key, head);
    const auto it = clients_.find(key);
    // Of a connection that was dropped: its owner learns it by its deadline.
    if (it == clients_.end()) return Refuse(key, head);
    const std::shared_ptr<Client> client = it->second;
    client->record->Alive(Clock::now());
    bytes_in_ += kFrameHeaderBytes + head.header.control_bytes + head.header.payload_bytes;
    if (head.header.kind == kHeartbeatKind) {
      client->record->SetProgress(head.header.sequence, Clock::now());
    } else if (head.header.kind == kGoodbyeKind) {
      Leave(it, PeerEvent::kLeft, "");
    } else if (head.header.kind >= kFirstTransportKind ||
               head.header.worker != client->record->hello.task) {
      throw DataLossError("[transport] rank {} sends a frame of kind {:#x} as worker {}",
                          head.source, head.header.kind, head.header.worker);
    } else {
      Enqueue(*client, client, head);
    }
  }

  void Enqueue(Client& client, const std::shared_ptr<Client>& owner, const Head& head) {
    if (free_.empty()) {
      free_.push_back(std::make_shared<Slot>());
      free_.back()->server = this;
      free_.back()->hub = hub_;
    }
    const std::shared_ptr<Slot> slot = std::move(free_.back());
    free_.pop_back();
    slot->header = head.header;
    slot->client = owner;
    const MutableBytes control = slot->control_bytes.Resize(head.control.size());
    std::copy(head.control.begin(), head.control.end(), control.begin());
    const MutableBytes payload = slot->payload.Resize(head.header.payload_bytes);
    if (head.envelope.has_body) {
      RequireMpi(MPI_Irecv(payload.data(), static_cast<int>(payload.size()), MPI_BYTE, client.rank,
                           BodyTag(client.channel), MailComm(), &slot->body),
                 "MPI_Irecv");
    } else {
      std::copy(head.inline_payload.begin(), head.inline_payload.end(), payload.begin());
    }
    client.arriving.push_back(slot);
  }

  // The requests that are whole, in the order of each connection.
  bool HandleArrived() {
    bool any = false;
    turn_.clear();
    for (const auto& [key, client] : clients_) turn_.push_back(client);
    for (const std::shared_ptr<Client>& client : turn_) {
      while (!client->arriving.empty()) {
        const std::shared_ptr<Slot> slot = client->arriving.front();
        int whole = 1;
        if (slot->body != MPI_REQUEST_NULL) {
          RequireMpi(MPI_Test(&slot->body, &whole, MPI_STATUS_IGNORE), "MPI_Test");
        }
        if (!whole) break;
        any = true;
        client->arriving.pop_front();
        if (!Handle(*client, slot)) break;
      }
    }
    return any;
  }

  bool Handle(Client& client, const std::shared_ptr<Slot>& slot) {
    client.used.push_back(slot);
    const ConstBytes control = slot->control_bytes.bytes(), payload = slot->payload.bytes();
    try {
      if (slot->header.flags & kFrameHasBodyCrc) {
        CheckBodyCrc(slot->header, BodyCrc(control, {&payload, 1}), client.record->hello.Name());
      }
    } catch (const Error& error) {
      ++bad_frames_;
      Drop(client.rank, error.what());
      return false;
    }
    ++requests_;
    const Request request{slot->header, control, payload, &client.record->hello};
    Dispatch(handler_, request, slot.get());
    return true;
  }

  void Welcome(const Key& key, const Head& head) {
    try {
      const HelloMessage message = DecodeHello(head.control, fmt::format("rank {}", key.first));
      CheckHello(options_.hello, message.hello, message.hello.Name());
      if (options_.admit) options_.admit(message.hello);
      if (const auto old = clients_.find(key); old != clients_.end()) {
        Leave(old, PeerEvent::kLost, "the rank has connected anew");
      }
      auto client = std::make_shared<Client>();
      client->rank = key.first;
      client->channel = key.second;
      client->record = std::make_shared<PeerRecord>(message.hello, message.session);
      clients_[key] = client;
      peers_.Add(client->record);
      ++accepted_;
      if (options_.observer) options_.observer(message.hello, PeerEvent::kJoined, "");
      FrameHeader header = head.header;
      HelloMessage own;
      own.hello = options_.hello;
      Send(*client, header, EncodeHello(own), {});
    } catch (const Error& error) {
      ++refused_;
      Fail(key, head, error);
    }
  }

  void Refuse(const Key& key, const Head& head) {
    ++refused_;
    Fail(key, head,
         UnavailableError("[transport] {} does not know this connection; connect again", address_));
    // Its body, if any, is never received: nobody else uses that tag.
  }
  void Fail(const Key& key, const Head& head, const Error& error) {
    Client stranger;
    stranger.rank = key.first;
    stranger.channel = key.second;
    FrameHeader header = head.header;
    header.kind = kErrorKind;
    header.flags = 0;
    std::vector<std::byte> text;
    EncodeError(error, &text);
    Send(stranger, header, text, {});
  }

  void Send(const Client& client, const FrameHeader& header, ConstBytes control,
            std::span<const ConstBytes> parts) {
    bytes_out_ += kFrameHeaderBytes + control.size() + TotalBytes(parts);
    const int tag = ReplyTag(client.channel);
    outbox_.Send({client.rank, tag, tag, client.channel}, header, control, parts,
                 options_.checksums);
  }

  void Drop(int rank, const std::string& reason) {
    for (auto it = clients_.begin(); it != clients_.end();) {
      const auto next = std::next(it);
      if (it->first.first == rank) Leave(it, PeerEvent::kLost, reason);
      it = next;
    }
  }
  void Leave(std::map<Key, std::shared_ptr<Client>>::iterator it, PeerEvent event,
             const std::string& reason) {
    const std::shared_ptr<Client> client = it->second;
    LeaveBodies(*client);
    clients_.erase(it);
    peers_.Remove(client->record);
    if (options_.observer) options_.observer(client->record->hello, event, reason);
  }

  // A body that is being received can't be called back: its memory is left to MPI.
  static void LeaveBodies(Client& client) {
    for (auto& slot : client.arriving) {
      slot->client.reset();
      if (slot->body != MPI_REQUEST_NULL) new std::shared_ptr<Slot>(slot);
    }
    client.arriving.clear();
  }

  bool RunTasks() {
    {
      std::lock_guard lock(hub_->mutex);
      if (hub_->tasks.empty()) return false;
      tasks_.swap(hub_->tasks);
    }
    for (const auto& task : tasks_) task();
    tasks_.clear();
    return true;
  }

  static inline std::mutex taken_mutex;
  static inline bool taken[MpiAddress::kShards] = {};

  const MpiAddress place_;
  const std::string address_;
  const Handler handler_;
  const ServerOptions options_;
  const std::shared_ptr<Hub> hub_;
  PeerTable peers_;
  std::map<Key, std::shared_ptr<Client>> clients_;
  std::vector<std::shared_ptr<Client>> turn_;
  std::vector<std::shared_ptr<Slot>> free_;
  std::vector<std::function<void()>> tasks_;
  Head head_;
  Outbox outbox_;
  std::atomic<uint64_t> requests_{0}, bytes_in_{0}, bytes_out_{0}, accepted_{0}, refused_{0},
      bad_frames_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void Slot::Answer(uint16_t kind, ConstBytes control, std::span<const ConstBytes> parts) {
  if (std::this_thread::get_id() == hub->thread && !hub->stopped) {
    server->Answer(*this, kind, control, parts);
    return server->Recycle(*this);
  }
  std::vector<std::byte> copy(control.begin(), control.end());
  for (const ConstBytes part : parts) copy.insert(copy.end(), part.begin(), part.end());
  const std::shared_ptr<Hub> alive = hub;
  const bool posted =
      alive->Post([this, owner = client, kind, size = control.size(), copy = std::move(copy)] {
        const ConstBytes all(copy), rest = all.subspan(size);
        server->Answer(*this, kind, all.first(size), {&rest, 1});
        server->Recycle(*this);
      });
  if (posted) return;
  const std::shared_ptr<Client> owner = std::move(client);
  std::erase_if(owner->used, [this](const auto& slot) { return slot.get() == this; });
}

}  // namespace

std::unique_ptr<Server> ListenMpi(const std::string& address, Handler handler,
                                  const ServerOptions& options) {
  return std::make_unique<MpiServer>(address, std::move(handler), options);
}

}  // namespace tributary
