#include "distribute/comm/tcp/gather.h"

#include <sys/socket.h>

#include <list>

#include "core/base/logging.h"
#include "core/base/strings.h"
#include "distribute/transport/tcp/dial.h"
#include "distribute/transport/tcp/listening.h"

namespace tributary {
namespace {

using asio::ip::tcp;

constexpr char kRole[] = "rank";
constexpr Millis kAnswerWithin{5000};  // of one attempt, and of a stranger
constexpr Millis kFirstPause{2}, kLongestPause{500};
constexpr Millis kNewsEvery{5000};
constexpr size_t kMaxStrangers = 64;

// The other end has gone: its process may have been started again.
bool HasEnded(int fd) {
  char byte;
  const ssize_t got = ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

// Of one launch: runs on the caller's thread until everybody is there.
class Gathering {
 public:
  explicit Gathering(const RankPlaces& places)
      : places_(places), size_(static_cast<int>(places.addresses.size())),
        deadline_(Clock::now() + places.timeout), links_(size_), last_error_(size_) {
    for (const std::string& address : places.addresses) {
      addresses_.push_back(TcpAddress::Parse(address));
    }
    security_.key_file = places.key_file;
    security_.job_id = "tributary ranks";
    const std::string list = Join(places.addresses, " ");
    hello_ = {.role = kRole, .task = static_cast<uint32_t>(places.rank)};
    hello_.config_hash = fmt::format(
        "{} ranks, {:08x}", size_, ExtendBodyCrc(0, std::as_bytes(std::span(list))));
  }

  std::vector<TcpLink> Run() {
    Listen();
    Spawn(AcceptAll(acceptor_, strangers_, kMaxStrangers,
                    [this](TcpVisitor visitor) { Spawn(Welcome(std::move(visitor))); }));
    for (int r = 0; r < places_.rank; ++r) Spawn(Reach(r));
    Spawn(Watch());
    loop_.run();
    if (!failure_) return std::move(links_);
    TellFailure();
    std::rethrow_exception(failure_);
  }

 private:
  // An error of a part ends the whole.
  void Spawn(asio::awaitable<void> part) {
    asio::co_spawn(loop_, std::move(part), [this](std::exception_ptr error) {
      if (error && !failure_) failure_ = error;
      if (error) Close();
    });
  }

  void Close() {
    if (std::exchange(closing_, true)) return;
    ErrorCode ignored;
    acceptor_.close(ignored);
    watch_.cancel();
    for (const TcpVisitor& socket : strangers_) CloseSocket(*socket);
    for (const TcpVisitor& socket : dialling_) CloseSocket(*socket);
    for (asio::steady_timer* timer : pauses_) timer->cancel();
  }

  void Listen() {
    const TcpAddress& own = addresses_[places_.rank];
    const ListenerWords words{
        .component = "tcp", .who = fmt::format("rank {} ", places_.rank),
        .address = own.ToString(),
        .if_taken = fmt::format("does another one have this task (rank {}), or is one of a former "
                                "launch still there?",
                                places_.rank),
        .if_impossible = "its address must be one of this host"};
    const tcp::endpoint endpoint = FindOwnEndpoint(own, words);
    RequireKey(endpoint.address().is_loopback(), own);
    tls_ = TlsContext::Make(security_, true, words.address, endpoint.address().is_loopback());
    ListenAt(acceptor_, endpoint, words);
  }

  void RequireKey(bool loopback, const TcpAddress& address) const {
    if (loopback || !places_.key_file.empty()) return;
    throw UnauthenticatedError(
        "[tcp] {} is reached over a network, so the job needs a key; make one with: (umask 077; "
        "openssl rand -hex 32 > job.key), copy it to every host and set TRIBUTARY_KEY_FILE to its "
        "path; or take 127.0.0.1 for a job on one host, or start it with mpirun",
        address.ToString());
  }

  asio::awaitable<void> Welcome(TcpVisitor visitor) {
    ErrorCode error;
    visitor->set_option(tcp::no_delay(true), error);
    const std::string peer = PeerName(*visitor);
    try {
      co_await Admit(*visitor, peer);
    } catch (const ConnectionClosed&) {
      // It has changed its mind.
    } catch (const std::exception& e) {
      if (!closing_) LogWarning("[tcp] {} is refused: {}", peer, e.what());
    }
    strangers_.remove(visitor);
  }

  asio::awaitable<void> Admit(TcpSocket& socket, std::string peer) {
    const TimeLimit limit(socket, std::min(deadline_, Clock::now() + kAnswerWithin));
    std::unique_ptr<ByteStream> stream = MakeStream(tls_.get(), socket.native_handle());
    const HelloMessage message = co_await ReceiveHello(socket, *stream, peer);
    std::exception_ptr refusal;
    try {
      CheckRank(message.hello, peer);
    } catch (const Error&) {
      refusal = std::current_exception();
    }
    if (refusal) {
      co_await SendRefusal(socket, *stream, refusal);
      std::rethrow_exception(refusal);
    }
    co_await SendWelcome(socket, *stream, hello_);
    Keep(static_cast<int>(message.hello.task), socket, std::move(stream));
  }

  void CheckRank(const Hello& hello, const std::string& peer) const {
    if (hello.role != kRole) {
      throw FailedPreconditionError("[tcp] {} is {}, no rank of this job; check the addresses",
                                    peer, hello.Name());
    }
    CheckHello(hello_, hello, peer);
    const auto rank = static_cast<int64_t>(hello.task);
    if (rank <= places_.rank || rank >= size_) {
      throw FailedPreconditionError("[tcp] {} is rank {}; expected one of {} to {}", peer, rank,
                                    places_.rank + 1, size_ - 1);
    }
    const TcpLink& link = links_[static_cast<size_t>(rank)];
    if (link.stream && !HasEnded(link.fd.get())) {
      throw AlreadyExistsError("[tcp] rank {} is connected already; does another process have the "
                               "same task?",
                               rank);
    }
  }

  asio::awaitable<void> Reach(int rank) {
    DialTarget target{.address = addresses_[rank], .security = security_, .hello = {},
                      .expected_server = fmt::format("/job:{}/task:{}", kRole, rank)};
    target.hello.hello = hello_;
    for (Millis pause = kFirstPause; !closing_; pause = std::min(2 * pause, kLongestPause)) {
      auto socket = std::make_shared<TcpSocket>(loop_);
      dialling_.push_back(socket);
      try {
        Connected connected =
            co_await Dial(*socket, target, std::min(deadline_, Clock::now() + kAnswerWithin));
        Keep(rank, *socket, std::move(connected.stream));
      } catch (const UnavailableError& e) {
        last_error_[rank] = e.what();  // it may not be there yet
      } catch (const UnauthenticatedError&) {
        if (places_.key_file.empty()) RequireKey(false, target.address);
        throw;
      }
      dialling_.remove(socket);
      if (links_[rank].stream) co_return;
      co_await Pause(pause);
    }
  }

  // Those that are here need not wait until their own time is up.
  void TellFailure() {
    auto health = std::make_shared<JobHealth>();
    try {
      std::rethrow_exception(failure_);
    } catch (const std::exception& e) {
      health->Fail(places_.rank, fmt::format("rank {} ({}) failed: {}", places_.rank,
                                             places_.addresses[places_.rank], e.what()));
    }
    TcpMesh(places_.rank, std::move(links_), places_.addresses, health).Leave();
  }

  // The socket's waits are over: the mesh has its own.
  void Keep(int rank, TcpSocket& socket, std::unique_ptr<ByteStream> stream) {
    if (closing_) return;
    links_[rank] = {UniqueFd(socket.release()), std::move(stream)};
    if (Missing().empty()) Close();
  }

  asio::awaitable<void> Pause(Millis time) {
    asio::steady_timer timer(loop_, time);
    const auto at = pauses_.insert(pauses_.end(), &timer);
    ErrorCode ignored;
    if (!closing_) co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    pauses_.erase(at);
  }

  // Tells whom it is for, and ends it when time is up.
  asio::awaitable<void> Watch() {
    while (!closing_) {
      watch_.expires_at(std::min(deadline_, Clock::now() + kNewsEvery));
      ErrorCode ignored;
      co_await watch_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (closing_) co_return;
      if (Clock::now() < deadline_) {
        LogInfo("[tcp] waiting for {}", Join(Missing(), ", "));
        continue;
      }
      std::string last;
      for (const std::string& error : last_error_) last = error.empty() ? last : error;
      throw DeadlineExceededError(
          "[tcp] rank {} waited {:.1f} s in vain for {}; is each started, with the same addresses "
          "in TF_CONFIG?{}",
          places_.rank, std::chrono::duration<double>(places_.timeout).count(),
          Join(Missing(), ", "), last.empty() ? "" : " Last: " + last);
    }
  }

  std::vector<std::string> Missing() const {
    std::vector<std::string> missing;
    for (int r = 0; r < size_; ++r) {
      if (r == places_.rank || links_[r].stream) continue;
      missing.push_back(fmt::format("rank {} ({})", r, places_.addresses[r]));
    }
    return missing;
  }

  const RankPlaces& places_;
  const int size_;
  const Clock::time_point deadline_;
  std::vector<TcpAddress> addresses_;
  SecurityOptions security_;
  Hello hello_;
  std::vector<TcpLink> links_;
  std::vector<std::string> last_error_;  // of dialling, by rank
  std::shared_ptr<TlsContext> tls_;
  asio::io_context loop_{1};
  tcp::acceptor acceptor_{loop_};
  asio::steady_timer watch_{loop_};
  std::list<TcpVisitor> strangers_, dialling_;
  std::list<asio::steady_timer*> pauses_;
  bool closing_ = false;
  std::exception_ptr failure_;
};

// A rank's first message goes to whom it has dialled: nothing may follow a welcome
// before it was read. Then everybody is there.
void Meet(TcpMesh& mesh, Clock::time_point deadline) {
  const WaitLimits limits{.call = "connect", .deadline = deadline, .health = mesh.health().get()};
  const MessageKey key;  // of no group
  std::byte mine{}, theirs{};
  const auto send = [&](int r) {
    Outgoing outgoing;
    mesh.Start(r, key, 0, {&mine, 1}, &outgoing);
    mesh.Wait(outgoing, limits);
  };
  const auto receive = [&](int r) {
    Incoming incoming;
    mesh.Expect(r, key, {&theirs, 1}, &incoming);
    mesh.Wait(incoming, limits);
  };
  for (int r = 0; r < mesh.rank(); ++r) send(r);
  for (int r = mesh.rank() + 1; r < mesh.size(); ++r) receive(r);
  for (int r = mesh.rank() + 1; r < mesh.size(); ++r) send(r);
  for (int r = 0; r < mesh.rank(); ++r) receive(r);
}

}  // namespace

std::shared_ptr<TcpMesh> GatherRanks(const RankPlaces& places,
                                     std::shared_ptr<JobHealth> health) {
  // Others may have come a little later, and still be waiting.
  const auto deadline = Clock::now() + places.timeout + places.timeout / 4;
  std::vector<TcpLink> links(places.addresses.size());
  if (links.size() > 1) links = Gathering(places).Run();
  auto mesh = std::make_shared<TcpMesh>(places.rank, std::move(links), places.addresses,
                                        std::move(health));
  Meet(*mesh, deadline);
  if (places.rank == 0) LogInfo("[tcp] {} ranks are connected", mesh->size());
  return mesh;
}

}  // namespace tributary
