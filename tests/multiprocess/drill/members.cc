#include "tests/multiprocess/drill/members.h"

#include <unistd.h>

#include <fstream>

#include "core/base/logging.h"
#include "core/io/env.h"
#include "distribute/coordinator/coordinator_client.h"
#include "distribute/ps/ps_server.h"

namespace tributary::drill {
namespace {

std::string ChiefIn(const std::string& dir) {
  Env* env = PosixEnv();
  if (!env->Exists(dir + "/chief")) throw UnavailableError("[drill] there is no chief yet");
  return ReadFile(env, dir + "/chief");
}

std::shared_ptr<coordinator::CoordinatorClient> FindChief(const Drill& drill, const Hello& hello) {
  return std::make_shared<coordinator::CoordinatorClient>(coordinator::CoordinatorClientOptions{
      .hello = hello, .find = [dir = drill.dir] { return ChiefIn(dir); },
      .channel = Quick<ChannelOptions>(drill), .patience = kPatience});
}

void NotePid(const Drill& drill, const std::string& name) {
  WriteFileAtomically(PosixEnv(), drill.dir + "/" + name, fmt::format("{}", getpid()));
}

// Lines "<begin> <end> <what>" of what took long, for the judgement.
class SlowLog {
 public:
  SlowLog(const Drill& drill, const std::string& name)
      : file_(drill.dir + "/" + name + ".slow", std::ios::app) {}
  template <typename Fn>
  void Watch(const char* what, const Fn& fn) {
    const double begin = Now();
    const auto note = [&] {
      const double end = Now();
      if (end - begin < 1) return;
      file_ << fmt::format("{:.3f} {:.3f} {}\n", begin, end, what) << std::flush;
    };
    try {
      fn();
    } catch (...) {
      note();
      throw;
    }
    note();
  }

 private:
  std::ofstream file_;
};

}  // namespace

int RunServer(const Drill& drill, int shard) {
  const std::string name = fmt::format("ps-{}", shard);
  SetLogPrefix(name);
  NotePid(drill, name);
  const Hello hello = HelloOf("ps", static_cast<uint32_t>(shard));
  const auto chief = FindChief(drill, hello);
  ps::PsServer server({.shard = shard, .shards = kServers, .consistency = drill.consistency(),
                       .durability = ps::Durability::kLog, .dir = drill.dir + "/ps",
                       .log_limit = kLogLimit});
  server.Recover();
  ServerOptions options = Quick<ServerOptions>(drill);
  options.hello = hello;
  const auto listening = Listen("tcp://127.0.0.1:0", server.handler(), options);
  chief->RegisterServer(shard, listening->address());
  const std::string error = chief->AwaitEnd();
  listening->Stop();
  return error.empty() ? 0 : 1;
}

namespace {

class DrillWorker {
 public:
  DrillWorker(const Drill& drill, int index)
      : drill_(drill), index_(index), name_(fmt::format("worker-{}", index)), slow_(drill, name_),
        hello_(HelloOf("worker", static_cast<uint32_t>(index))) {}

  int Run() {
    SetLogPrefix(name_);
    NotePid(drill_, name_);
    chief_ = FindChief(drill_, hello_);
    for (bool registered = false;;) {
      try {
        if (!std::exchange(registered, true)) Register();
        const auto lease = chief_->Take(parameters_.session.step());
        if (!lease) return 0;
        Work(*lease);
      } catch (const FailedPreconditionError& error) {
        LogWarning("[drill] {}", error.what());
        parameters_.session.Abandon();
        registered = false;
      }
    }
  }

 private:
  void Register() {
    const uint64_t generation = chief_->RegisterWorker().generation;
    ps::PsSession& session = parameters_.session;
    if (session.attached()) {
      session.client().SetGeneration(generation);
    } else {
      Hello hello = hello_;
      hello.generation = generation;
      session.Attach(std::make_unique<ps::PsClient>(ps::PsClientOptions{
          .hello = hello, .servers = kServers,
          .find = [this](int s) { return chief_->FindServer(s); },
          .channel = Quick<ChannelOptions>(drill_), .patience = kPatience}));
    }
    slow_.Watch("join", [&] {
      session.Join();
      session.Park(true);
    });
  }

  void Work(const coordinator::Lease& lease) {
    ps::PsSession& session = parameters_.session;
    session.Park(false);
    session.SetDone(lease.done);
    session.Invalidate();
    parameters_.Announce(lease.begin);
    for (int64_t b = lease.begin; b < lease.end; ++b) {
      slow_.Watch("step", [&] { parameters_.Step(b, b + 1 < lease.end ? b + 1 : -1, index_); });
    }
    slow_.Watch("drain", [&] { session.Drain(); });
    session.Park(true);
    const double figures[] = {static_cast<double>(lease.length())};
    slow_.Watch("done", [&] { chief_->Done(lease.id, figures); });
  }

  const Drill& drill_;
  const int index_;
  const std::string name_;
  SlowLog slow_;
  const Hello hello_;
  std::shared_ptr<coordinator::CoordinatorClient> chief_;
  Parameters parameters_{drill_};
};

}  // namespace

int RunWorker(const Drill& drill, int index) { return DrillWorker(drill, index).Run(); }

}  // namespace tributary::drill
