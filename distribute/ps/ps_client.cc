#include "distribute/ps/ps_client.h"

#include <thread>

#include "core/base/errors.h"
#include "core/base/logging.h"

namespace tributary::ps {
namespace {

constexpr Millis kFirstPause{5}, kLongestPause{250};
constexpr int kUnknownLists = 16;  // then a server is taken to keep none

}  // namespace

PsClient::PsClient(PsClientOptions options) : options_(std::move(options)) {
  if (options_.servers < 1) {
    throw InvalidArgumentError("[ps] a job needs parameter servers, got {}", options_.servers);
  }
  links_.resize(static_cast<size_t>(options_.servers));
  for (int s = 0; s < servers(); ++s) Reconnect(s, After(options_.patience));
}

PsClient::~PsClient() = default;

Channel& PsClient::ChannelOf(int server) {
  Link& link = links_[static_cast<size_t>(server)];
  if (!link.channel) {
    throw UnavailableError("[ps] there is no connection to server {}", server);
  }
  return *link.channel;
}

void PsClient::Reconnect(int server, Deadline give_up) {
  Link& link = links_[static_cast<size_t>(server)];
  link.channel.reset();
  ++link.life;
  link.lists.Clear();
  link.unknown = 0;
  ChannelOptions channel = options_.channel;
  channel.expected_server = Hello{.role = "ps", .task = static_cast<uint32_t>(server)}.Name();
  std::string last;
  for (Millis pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    try {
      link.channel = Connect(options_.find(server), options_.hello, channel);
      link.channel->SetGeneration(options_.hello.generation);
      return;
    } catch (const UnavailableError& error) {
      last = error.what();
    } catch (const FailedPreconditionError& error) {
      // Its address may be another process's by now; a real mismatch stays one.
      last = error.what();
    } catch (const DataLossError& error) {
      last = error.what();  // damaged on its way
    }
    if (Clock::now() + pause >= give_up) {
      throw UnavailableError(
          "[ps] {} did not find /job:ps/task:{} within {} s: {}; start that server again, or the "
          "job from its last checkpoint",
          options_.hello.Name(), server, options_.patience.count() / 1000, last);
    }
    std::this_thread::sleep_for(pause);
  }
}

template <typename Fn>
void PsClient::Persist(int server, const Fn& attempt) {
  const auto begin = Clock::now();
  Deadline give_up = begin + options_.patience;
  for (bool lost = false;;) {
    try {
      attempt();
      if (lost) {
        const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        stats_.waited_seconds += seconds;
        LogInfo("[ps] /job:ps/task:{} is back after {:.1f} s", server, seconds);
      }
      return;
    } catch (const UnavailableError& error) {
      if (Clock::now() >= give_up) throw;
      if (!lost) LogWarning("[ps] {}; waiting for it", error.what());
      lost = true;
      ++stats_.reconnects;
      Reconnect(server, give_up);
    }
  }
}

std::vector<WorkerReply> PsClient::Join(int64_t step) {
  std::vector<WorkerReply> replies;
  for (const std::string& packed : CallAll(kJoin, Pack(JoinControl{step}))) {
    replies.push_back(Unpack<WorkerReply>(AsBytes(packed), "the reply to a join"));
  }
  for (Link& link : links_) {
    link.lists.Clear();
    link.unknown = 0;
  }
  joined_ = true;
  return replies;
}

void PsClient::SetGeneration(uint64_t generation) {
  options_.hello.generation = generation;
  next_sequence_ = 1;
  joined_ = false;
  for (Link& link : links_) {
    if (link.channel) link.channel->SetGeneration(generation);
  }
}

std::string PsClient::Call(int server, uint16_t kind, const std::string& control,
                           std::span<const ConstBytes> payload) {
  std::string out;
  Persist(server, [&] {
    const Reply reply = ChannelOf(server).Call(kind, 0, AsBytes(control), payload, {},
                                               After(options_.timeout));
    out.assign(reinterpret_cast<const char*>(reply.control.data()), reply.control.size());
  });
  return out;
}

std::vector<std::string> PsClient::CallAll(uint16_t kind, const std::string& control) {
  std::vector<CallId> calls(links_.size());
  std::vector<char> started(links_.size(), 0);
  for (int s = 0; s < servers(); ++s) {
    try {
      calls[s] = ChannelOf(s).Start(kind, 0, 0, AsBytes(control), {}, {}, After(options_.timeout));
      started[s] = 1;
    } catch (const UnavailableError&) {
      // Below, with patience.
    }
  }
  std::vector<std::string> out(links_.size());
  std::exception_ptr error;
  for (int s = 0; s < servers(); ++s) {
    try {
      Persist(s, [&] {
        const CallId call =
            std::exchange(started[s], 0)
                ? calls[s]
                : ChannelOf(s).Start(kind, 0, 0, AsBytes(control), {}, {}, After(options_.timeout));
        const Reply reply = ChannelOf(s).Wait(call);
        out[s].assign(reinterpret_cast<const char*>(reply.control.data()), reply.control.size());
      });
    } catch (const std::exception&) {
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
  return out;
}

// --- Steps -------------------------------------------------------------------------------

RecentLists* PsClient::ListsOf(int server) {
  Link& link = links_[static_cast<size_t>(server)];
  return options_.key_lists && joined_ && link.unknown < kUnknownLists ? &link.lists : nullptr;
}

void PsClient::Send(StepExchange* exchange, int server) {
  StepExchange::Call& c = exchange->calls_[static_cast<size_t>(server)];
  const std::span<const MutableBytes> into =
      c.versioned ? std::span<const MutableBytes>{} : std::span<const MutableBytes>(c.into);
  c.id = ChannelOf(server).Start(exchange->kind_, 0, c.sequence, c.control_bytes, c.payload, into,
                                 After(options_.timeout));
  c.life = links_[static_cast<size_t>(server)].life;
}

void PsClient::Start(StepExchange* exchange) {
  const bool push = exchange->kind_ != kPull;
  const uint64_t sequence = push ? next_sequence_++ : 0;
  for (int s = 0; s < servers(); ++s) {
    StepExchange::Call& c = exchange->calls_[static_cast<size_t>(s)];
    c.id = 0;
    const bool ends = push && (c.control.flags & kEndOfStep);
    if (c.push.empty() && c.pull.empty() && !ends) continue;
    c.sequence = sequence;
    exchange->Encode(&c, ListsOf(s));
    c.under_way = true;
    try {
      Send(exchange, s);
    } catch (const UnavailableError&) {
      c.id = 0;  // Finish finds the server again
    }
  }
}

// A list that was left out and is not there: the same is said again with all ids.
Reply PsClient::WaitFor(StepExchange* exchange, int server) {
  StepExchange::Call& c = exchange->calls_[static_cast<size_t>(server)];
  try {
    return ChannelOf(server).Wait(std::exchange(c.id, 0));
  } catch (const NotFoundError&) {
    if (!c.named) throw;
  }
  ++stats_.unknown_lists;
  Link& link = links_[static_cast<size_t>(server)];
  link.lists.Clear();
  ++link.unknown;
  exchange->Encode(&c, nullptr);
  Send(exchange, server);
  return ChannelOf(server).Wait(std::exchange(c.id, 0));
}

void PsClient::Finish(StepExchange* exchange) {
  std::exception_ptr error;
  for (int s = 0; s < servers(); ++s) {
    StepExchange::Call& c = exchange->calls_[static_cast<size_t>(s)];
    if (!c.under_way) continue;
    try {
      Persist(s, [&] {
        // Another exchange may have found the server again.
        if (c.life != links_[static_cast<size_t>(s)].life) c.id = 0;
        if (c.id == 0) {
          ++stats_.retries;
          exchange->Encode(&c, ListsOf(s));  // it may be another server, which has no lists
          Send(exchange, s);
        }
        exchange->Decode(&c, WaitFor(exchange, s));
      });
    } catch (const std::exception&) {
      if (!error) error = std::current_exception();
    }
    c.under_way = false;
  }
  if (error) std::rethrow_exception(error);
}

void PsClient::SetProgress(uint64_t progress) {
  for (Link& link : links_) {
    if (link.channel) link.channel->SetProgress(progress);
  }
}

}  // namespace tributary::ps
