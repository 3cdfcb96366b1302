#pragma once
// A parameter server: one shard of the variables and tables, its log, its checkpoints.
//
//   PsServer ps({.shard = 1, .shards = 4, .dir = run + "/ps", ...});
//   ps.Recover(last_commit);                        // restart: checkpoint + log
//   auto server = Listen(address, ps.handler(), options);
//
// Who owns what: the shard, the log and everything that waits belong to the transport's
// one thread, which calls Handle. A mutex that nobody else holds for long lets another
// thread look on (stats) and the saver thread answer; a request takes it once. A
// checkpoint is copied on the server's thread at the cut and written by the saver.
//
// A log that has grown long is replaced by a base, a copy of this shard alone, which is taken
// and written like a checkpoint (restart_point.h); what a restart reads stays bounded also
// where nobody saves.
//
// Order of a push: admitted (nothing changed yet), appended to the log, applied, then
// answered: what was acknowledged survives the death of the process.

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "distribute/ps/key_lists.h"
#include "distribute/ps/push_log.h"
#include "distribute/ps/restart_point.h"
#include "distribute/ps/shard.h"
#include "distribute/ps/shard_checkpoint.h"
#include "distribute/ps/stats.h"
#include "distribute/transport/transport.h"

namespace tributary::ps {

class LapClock;

enum class Durability : uint8_t {
  kLog,         // survives the death of the process
  kFsync,       // and of the machine
  kCheckpoint,  // no log: what came after the last checkpoint is lost
};

struct PsServerOptions {
  int shard = 0, shards = 1;
  ConsistencyOptions consistency;
  Durability durability = Durability::kLog;
  std::string dir;  // of the log; empty: none, whatever `durability` says
  // Bytes of log after what a restart begins with, at which a base is made. 0: 1 GiB, or 4 times
  // the bytes of weights and slots where that is more.
  uint64_t log_limit = 0;
  Env* env = nullptr;  // null: the real one
};

class PsServer {
 public:
  explicit PsServer(PsServerOptions options);
  ~PsServer();

  // Before anything is served: restores `checkpoint` (empty: none), replays the log that
  // goes on from it and begins a new segment. Returns how many frames were replayed.
  // Throws DataLossError when the log is damaged before its end, or goes on from a later base
  // only.
  uint64_t Recover(const std::string& checkpoint);

  // The same from what this server has noted itself: the last checkpoint that was committed
  // or restored, or a later base, and the log.
  uint64_t Recover();
  // Instead of Recover: what an earlier job has left in `dir` is removed.
  void Begin();

  // The transport's thread (or a test); requests of one worker in order.
  void Handle(const Request& request, Responder responder);
  Handler handler() {
    return [this](const Request& request, Responder r) { Handle(request, std::move(r)); };
  }

  // Any thread.
  ServerStats stats() const;
  // For tests: waits until a save and a base under way are written.
  void WaitForSave();
  Shard& shard() { return shard_; }

 private:
  struct Waiting {
    Request request;
    Responder responder;
    std::vector<KeyList> lists;  // for each part whose ids are left out
    bool pull = false;
    int64_t done_step = -1;  // waits until this step is complete
    int64_t pull_step = -1;  // waits until a pull at this step and pace is allowed
    int64_t pull_pace = 0;   // answered: that it counts as
    uint32_t flags = 0;
    std::chrono::steady_clock::time_point since;
  };
  struct Barrier {
    std::set<uint32_t> workers;
    std::vector<Responder> responders;
  };
  struct Save {
    SaveControl control;
    Responder responder;
  };
  struct TargetCounters {
    uint64_t pulls = 0, pushes = 0, pulled_keys = 0, pushed_keys = 0;
    HotKeys hot;
    std::unique_ptr<PartStats> parts;  // of tables
  };
  class ApplyTimes;
  struct WorkerCounters {
    uint64_t pushes = 0, duplicates = 0, waits = 0;
    double waited_seconds = 0;
    int64_t slowest = INT64_MAX;  // of the others' paces at its last pull
  };

  // These take the responder when they answer or wait; what they throw is its answer.
  void Dispatch(const Request& request, Responder& responder);
  void HandleMutation(const Request& request, Responder& responder);
  void HandleStep(const Request& request, Shard::Verdict verdict, std::vector<KeyList> lists,
                  Responder& responder);
  void HandleBarrier(const Request& request, Responder& responder);
  void HandleCommit(const Request& request);
  void HandleRestore(const Request& request);
  ServerStats Collect() const;
  bool Ready(const Waiting& w) const;
  void AnswerOrWait(Waiting w);
  void Answer(Waiting& w);
  void ReplyStep(Waiting& w);
  const uint64_t* MakeRoom(uint32_t worker, ConstBytes payload);
  void AddReply(const PartControl& part, const uint64_t* ids, float** out, LapClock* laps);
  void ReplyWorker(uint32_t worker, Responder& responder);
  // What the worker's parts mean that leave out their ids; what it has sent to be kept is kept.
  // Throws UnknownListError, InvalidArgumentError, FailedPreconditionError (fenced).
  std::vector<KeyList> ListsOf(const Request& request);
  KeptLists* KeptOf(const FrameHeader& header);  // null: it has not joined
  void Keep(const PartControl& part, std::span<const uint64_t> ids, KeptLists* kept);
  void Log(const MutatingFrame& frame, uint32_t flags = 0);
  void Release();
  void TakeCut();
  bool logs() const;
  void OpenLog();
  uint64_t RecoverFrom(RestartPoint::Start start);
  uint64_t LogBytes() const;  // that a restart would replay
  uint64_t LogLimit() const;
  void TakeBase();
  void WriteBase(const ShardSnapshot& snapshot, const std::string& prefix,
                 const std::stop_token& stop);
  void BaseFailed(const std::string& prefix, const std::exception& error);
  void RestoreFrom(const std::string& checkpoint);
  void FailWaiting(uint32_t worker, const std::exception& error);
  uint64_t Replay(uint64_t segment);
  // What is admitted and in the log; counts it.
  void Apply(const MutatingFrame& frame);
  void CountPush(const MutatingFrame& frame);
  TargetCounters& CountersOf(PartKind kind, uint32_t target);

  const PsServerOptions options_;
  Env* env_;
  const LogPlace place_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const uint64_t version_salt_;  // versions of another life of this server do not count

  mutable std::mutex mutex_;
  Shard shard_;
  std::unique_ptr<PushLogWriter> log_;
  uint64_t next_segment_ = 1;
  std::map<uint64_t, uint64_t> closed_;  // bytes of earlier segments
  RestartPoint restart_;
  std::map<std::string, uint64_t> saved_;  // prefix -> first segment, not yet committed
  std::deque<Waiting> waiting_;
  std::map<std::string, Barrier> barriers_;
  std::vector<Save> saves_;  // waiting for their cut
  std::jthread saver_, base_saver_;
  std::atomic<bool> saving_ = false, basing_ = false, base_failed_ = false;
  std::atomic<uint64_t> bases_ = 0;
  struct {
    uint64_t first = 0, bytes = 0;  // of the log that a restart would have replayed
  } refused_;                       // when a base could not be written

  StepMessage message_;
  std::vector<float> values_;     // of the reply under way, encoded
  std::vector<float> piece_;      // of rows, before they are encoded
  std::vector<PartReply> replies_;
  std::vector<std::byte> control_;
  std::vector<ConstBytes> payload_;
  std::map<uint32_t, KeptLists> kept_;  // by worker
  std::map<std::pair<PartKind, uint32_t>, TargetCounters> counters_;
  std::map<uint32_t, WorkerCounters> workers_;
  std::vector<std::pair<uint32_t, PartStats*>> pushed_;  // tables of the push under way
  static constexpr size_t kStaleness = 65;
  std::vector<uint64_t> staleness_ = std::vector<uint64_t>(kStaleness);
  PartStats dense_{.staleness = std::vector<uint64_t>(kStaleness)};
  LatencyHistogram pull_us_, push_us_;
  uint64_t duplicates_ = 0, fenced_ = 0, errors_ = 0, sampled_ = 0;
  uint64_t ids_left_out_ = 0, unknown_lists_ = 0;
};

}  // namespace tributary::ps
