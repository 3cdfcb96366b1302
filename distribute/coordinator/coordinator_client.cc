#include "distribute/coordinator/coordinator_client.h"

#include <algorithm>
#include <thread>

#include "core/base/errors.h"
#include "core/base/logging.h"

namespace tributary::coordinator {
namespace {

constexpr Millis kFirstPause{5}, kLongestPause{250};
constexpr Millis kLate{3000};                       // for a chief
constexpr Millis kTimeout{60'000};                  // of what is answered at once
constexpr Millis kHeld = std::chrono::hours(2000);  // of what may be held back

// Two processes, or two clients, never have the same.
uint64_t NewLife() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

}  // namespace

CoordinatorClient::CoordinatorClient(CoordinatorClientOptions options)
    : options_(std::move(options)) {
  options_.hello.generation = NewLife();
  options_.channel.expected_server = Hello{.role = "chief"}.Name();
  Status();  // the chief is there, and answers
}

CoordinatorClient::~CoordinatorClient() = default;

void CoordinatorClient::Connect() {
  try {
    channel_ = tributary::Connect(options_.find(), options_.hello, options_.channel);
  } catch (const FailedPreconditionError& error) {
    // Its address may be another process's by now; a real mismatch stays one.
    throw UnavailableError("{}", error.what());
  } catch (const DataLossError& error) {
    throw UnavailableError("{}", error.what());  // damaged on its way: once more
  }
  connected_at_ = Clock::now();
  if (generation_ != 0) channel_->SetGeneration(generation_);
}

std::string CoordinatorClient::Call(uint16_t kind, const std::string& control, Millis timeout) {
  std::optional<Deadline> give_up;
  bool told = false;
  Millis pause = kFirstPause;
  for (;;) {
    try {
      if (!channel_) Connect();
      const Reply reply = channel_->Call(kind, 0, AsBytes(control), {}, {}, After(timeout));
      if (told) LogInfo("[coordinator] the chief is {}", met_ ? "back" : "there");
      met_ = true;
      return {reinterpret_cast<const char*>(reply.control.data()), reply.control.size()};
    } catch (const UnavailableError& error) {
      const auto now = Clock::now();
      // A connection that has held for long and breaks is a new loss.
      const bool held = channel_ && now - connected_at_ > options_.patience;
      channel_.reset();
      if (!give_up || held) {
        give_up = now + options_.patience;
        pause = kFirstPause;
        told = false;
      }
      // That the chief is the last to come is nothing to tell of, unless it takes long.
      const bool late = now > *give_up - options_.patience + kLate;
      if (!told && (met_ || late)) {
        LogWarning("[coordinator] {}; looking for the chief", error.what());
        told = true;
      }
      if (now + pause >= *give_up) {
        throw UnavailableError("[coordinator] the chief of {} is lost: it was not found within "
                               "{:.1f} s: {}; start the job again from its last checkpoint",
                               options_.hello.Name(),
                               static_cast<double>(options_.patience.count()) / 1000, error.what());
      }
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

RegisterServerReply CoordinatorClient::RegisterServer(int shard, const std::string& address) {
  const std::string reply =
      Call(kRegisterServer, Pack(RegisterServerControl{shard, address}), kTimeout);
  return Unpack<RegisterServerReply>(AsBytes(reply), "the reply to a server");
}

std::vector<std::string> CoordinatorClient::FindServers() {
  const std::string reply = Call(kFindServers, "", kTimeout);
  return Unpack<ServersReply>(AsBytes(reply), "the list of servers").addresses;
}

std::string CoordinatorClient::FindServer(int shard) {
  const std::vector<std::string> addresses = FindServers();
  const auto s = static_cast<size_t>(shard);
  if (shard < 0 || s >= addresses.size() || addresses[s].empty()) {
    throw UnavailableError("[coordinator] /job:ps/task:{} of {} has not registered", shard,
                           addresses.size());
  }
  return addresses[s];
}

RegisterWorkerReply CoordinatorClient::RegisterWorker() {
  const std::string packed = Call(kRegisterWorker, "", kHeld);
  const auto reply = Unpack<RegisterWorkerReply>(AsBytes(packed), "the reply to a worker");
  generation_ = reply.generation;
  if (channel_) channel_->SetGeneration(generation_);
  return reply;
}

std::optional<Lease> CoordinatorClient::Take(int64_t clock) {
  const std::string packed = Call(kTake, Pack(TakeControl{clock}), kHeld);
  TakeReply reply = Unpack<TakeReply>(AsBytes(packed), "a lease");
  if (reply.finished) return std::nullopt;
  return std::move(reply.lease);
}

void CoordinatorClient::Done(uint64_t lease, std::span<const double> figures) {
  Call(kDone, Pack(DoneControl{lease, {figures.begin(), figures.end()}}), kTimeout);
}

void CoordinatorClient::Raise(uint32_t bits) { Call(kRaise, Pack(RaiseControl{bits}), kTimeout); }

std::string CoordinatorClient::AwaitEnd() {
  const std::string reply = Call(kAwaitEnd, "", kHeld);
  return Unpack<EndReply>(AsBytes(reply), "the end of the job").error;
}

StatusReply CoordinatorClient::Status() {
  const std::string reply = Call(kStatus, "", kTimeout);
  return Unpack<StatusReply>(AsBytes(reply), "the state of the job");
}

}  // namespace tributary::coordinator
