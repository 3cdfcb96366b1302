#include "tests/multiprocess/drill/chief.h"

#include <cstdio>

#include "core/io/bundle_shard.h"
#include "core/io/env.h"
#include "distribute/ps/stats.h"

namespace tributary::drill {

DrillChief::DrillChief(const Drill& drill) : drill_(drill), parameters_(drill) {
  coordinator::CoordinatorOptions options;
  options.hello = HelloOf("chief", 0);
  options.server = Quick<ServerOptions>(drill);
  options.job = "drill";
  options.servers = kServers;
  options.workers = kWorkers;
  options.mode = drill.sync() ? coordinator::Mode::kShared : coordinator::Mode::kSplit;
  options.lease_steps = 10;
  options.grace = Millis(60'000);  // sync: nobody is evicted
  options.patience = kPatience;
  coordinator_ = std::make_unique<coordinator::Coordinator>(options);
  WriteFileAtomically(PosixEnv(), drill.dir + "/chief", coordinator_->address());
  coordinator_->WaitForServers(kPatience);
  coordinator_->SetEvict([this](uint32_t w, uint64_t g) { return Evict(w, g); });
  Hello hello = HelloOf("chief", kChiefTask);
  parameters_.session.Attach(std::make_unique<ps::PsClient>(ps::PsClientOptions{
      .hello = hello, .servers = kServers,
      .find = [this](int s) { return coordinator_->FindServer(s); },
      .channel = Quick<ChannelOptions>(drill), .patience = kPatience}));
  parameters_.session.CreateAll();
  coordinator_->SetReady();
}

bool DrillChief::Train(const Injector& injector) {
  double saved_at = Now();
  while (!injector.over()) {
    coordinator_->Open({.epoch = 0, .begin = batches_, .end = batches_ + kWindow,
                        .first_step = batches_});
    double moved_at = Now();
    int64_t done = 0;
    for (coordinator::Coordinator::Progress p; !p.complete;) {
      p = coordinator_->Await(Millis(50));
      if (std::exchange(done, p.done) != p.done) moved_at = Now();
      if (Now() - moved_at > 20) return Hangs();
      if (Now() - saved_at > 0.7) {
        Save();
        saved_at = Now();
      }
    }
    batches_ += kWindow;
  }
  return true;
}

int DrillChief::Judge() {
  int wrong = 0;
  parameters_.session.PullDense();
  for (int64_t v = 0; v < kVariables; ++v) {
    for (int64_t i = 0; i < kElements; ++i) {
      double sum = 0;
      for (int64_t b = 0; b < batches_; ++b) {
        for (int w = 0; w < (drill_.sync() ? kWorkers : 1); ++w) sum -= DenseOf(b, v, i, w);
      }
      const float got = parameters_.weights[v * kElements + i];
      if (got != sum && ++wrong < 10) {
        std::printf("WRONG: dense_%d[%d] is %g, expected %g\n", static_cast<int>(v),
                    static_cast<int>(i), got, sum);
      }
    }
  }
  for (int64_t b = 0; b < batches_; ++b) wrong += JudgeRows(b, wrong);
  return wrong;
}

bool DrillChief::Hangs() {
  std::printf("HANGS: window from batch %lld:", static_cast<long long>(batches_));
  for (const auto& w : coordinator_->WorkerStates()) {
    std::printf(" worker %u %s %lld-%lld;", w.id, w.state.c_str(),
                static_cast<long long>(w.lease.begin), static_cast<long long>(w.lease.end));
  }
  std::printf("\n");
  for (int s = 0; s < kServers; ++s) {
    const std::string packed = parameters_.session.client().Call(s, ps::kStats, "");
    const auto stats = ps::Unpack<ps::ServerStats>(ps::AsBytes(packed), "statistics");
    std::printf("server %d: %llu wait;", s, static_cast<unsigned long long>(stats.waiting));
    for (const auto& w : stats.workers) {
      std::printf(" worker %u step %lld%s waits %.1f s;", w.worker,
                  static_cast<long long>(w.steps), w.active ? "" : " evicted",
                  w.waiting_seconds);
    }
    std::printf("\n");
  }
  return false;
}

uint64_t DrillChief::bases() {
  uint64_t bases = 0;
  for (int s = 0; s < kServers; ++s) {
    const std::string packed = parameters_.session.client().Call(s, ps::kStats, "");
    bases += ps::Unpack<ps::ServerStats>(ps::AsBytes(packed), "statistics").bases;
  }
  return bases;
}

int DrillChief::JudgeRows(int64_t batch, int wrong_before) {
  std::array<int64_t, kServers> ids{};
  for (int s = 0; s < kServers; ++s) ids[s] = static_cast<int64_t>(RowOf(batch, s));
  parameters_.session.LookUp(-1, 0, DType::kInt64, ids.data(), kServers, parameters_.rows.data(),
                             parameters_.local.data());
  int wrong = 0;
  for (int s = 0; s < kServers; ++s) {
    const float* row = parameters_.rows.data() + parameters_.local[s] * kWorkers;
    bool right = true;
    float sum = 0;
    for (int w = 0; w < kWorkers; ++w) {
      sum -= row[w];
      right &= drill_.sync() ? row[w] == -1 : row[w] == 0 || row[w] == -1;
    }
    right &= sum == (drill_.sync() ? kWorkers : 1);
    if (!right && ++wrong + wrong_before < 10) {
      std::printf("WRONG: batch %lld on server %d: %g %g %g\n", static_cast<long long>(batch), s,
                  row[0], row[1], row[2]);
    }
  }
  return wrong;
}

std::vector<int64_t> DrillChief::Evict(uint32_t worker, uint64_t generation) {
  std::vector<int64_t> clocks;
  for (int s = 0; s < kServers; ++s) {
    try {
      const std::string packed = parameters_.session.client().Call(
          s, ps::kEvict, ps::EvictControl{worker, generation});
      clocks.push_back(ps::Unpack<ps::WorkerReply>(ps::AsBytes(packed), "an eviction").clock);
    } catch (const NotFoundError&) {
      clocks.push_back(0);
    }
  }
  return clocks;
}

void DrillChief::Save() {
  const std::string prefix = fmt::format("{}/ckpt-{}", drill_.dir, ++saves_);
  ps::PsClient& client = parameters_.session.client();
  std::vector<std::string> entries;
  for (const std::string& packed :
       client.CallAll(ps::kSave, ps::Pack(ps::SaveControl{.prefix = prefix}))) {
    entries.push_back(ps::Unpack<ps::SaveReply>(ps::AsBytes(packed), "a saved part").entries);
  }
  CommitBundleShards(PosixEnv(), prefix, entries);
  client.CallAll(ps::kCommit, ps::Pack(ps::CommitControl{prefix}));
}

}  // namespace tributary::drill
