#pragma once
// Finds out that a rank is lost, and sees to it that no rank is left waiting.
//
// A thread in every rank shows a heartbeat, and how long the rank has been waiting, on
// the board of its host and watches the others: a process that is gone is noticed at
// once (pidfd), one that is stopped after `dead_after` (heartbeats), a failure that a
// rank reports at once. A rank whose step hangs while others wait for it reports that
// itself (step_watch.h). The leaders of the hosts (their lowest ranks) tell each other
// by messages; the next rank of a host stands in when its leader is lost. mpirun
// notices only processes that are gone, and not even those under --enable-recovery.
//
// On a loss the monitor logs an error that names the rank, fails the JobHealth (so
// that everything that polls it ends with UnavailableError), and after `grace`
// ends the process with kExitPeersLost: a blocking MPI call can't be unwound. A
// stopped process of this host is killed first, or mpirun would wait for it.

#include <poll.h>

#include <functional>
#include <memory>
#include <thread>

#include "distribute/comm/host_layout.h"
#include "distribute/liveness/board.h"
#include "distribute/liveness/step_watch.h"

namespace tributary {

// EX_UNAVAILABLE of sysexits.h.
inline constexpr int kExitPeersLost = 69;

struct LivenessOptions {
  Millis period{100};
  Millis suspect_after{2000};   // a warning
  Millis dead_after{5000};
  Millis stuck_after{7000};     // a step that hangs; at least dead_after, see step_watch.h
  Millis stall_warning{10'000}; // a wait this long is logged, with whom it is for
  Millis grace{1000};           // for the other threads to unwind
  bool kill_stopped = true;
  // What ends the process; tests put something else.
  std::function<void(int exit_code)> end_process;
};

class LivenessMonitor {
 public:
  // Collective. `world` is used during construction only (groups are split off).
  LivenessMonitor(Communicator& world, const HostLayout& hosts, LivenessOptions options);
  // Stops watching. A rank that goes without Finish or ReportFailure counts as lost.
  ~LivenessMonitor();

  // This rank has done its part: its end is no failure.
  void Finish();
  // This rank fails. Tells everyone and waits a moment (at most `grace`) until the
  // ranks of this host have seen it, since mpirun ends them as soon as this process
  // is gone. No-op once the job has failed.
  void ReportFailure(const std::string& reason);

 private:
  struct Peer {
    int rank = 0;  // in the world
    int pid = 0;
    int pidfd = -1;
    uint64_t heartbeats = 0;
    Clock::time_point last_heartbeat;
    bool suspected = false, gone = false;
  };
  struct OtherHost {
    int leader = 0, deputy = 0;  // world ranks; equal on a host of one rank
    Clock::time_point last_message;
    int64_t blocked_ms = 0;  // of its ranks, the longest
    bool finished = false, suspected = false, may_send = true;
    int32_t last_sent = 0;  // Message::kind
  };
  struct Message;
  enum class Ending { kNone, kFinished, kReported };

  void Loop();
  void ShowSigns(Clock::time_point now);
  void WatchPeers(Clock::time_point now);
  void WatchOwnCalls(Clock::time_point now);
  void WatchOwnStep(Clock::time_point now);
  // The longest that a rank of this host, but `except`, has been waiting.
  int64_t LongestBlocked(int except) const;
  void TalkToHosts(Clock::time_point now);
  void Receive(OtherHost& host, int sender, Clock::time_point now);
  void JudgeSilence(OtherHost& host, Clock::time_point now);
  void ActOnFailure(Clock::time_point now);
  void Lost(int rank, const std::string& reason);
  void Sleep();
  std::string Describe(const Peer& peer) const;

  const LivenessOptions options_;
  const int rank_;
  const HostLayout hosts_;
  std::shared_ptr<JobHealth> health_;
  std::shared_ptr<Communicator> host_, mail_;
  std::shared_ptr<void> memory_;
  Board board_;
  std::vector<Peer> peers_;            // of this host, by local rank; own included
  std::vector<OtherHost> other_hosts_;  // empty unless this rank is leader or deputy
  Clock::time_point last_turn_, failed_at_, stall_warned_;
  StepWatch step_watch_;
  bool failure_logged_ = false, own_step_hangs_ = false;
  std::atomic<bool> stop_{false};
  std::atomic<Ending> ending_{Ending::kNone};
  int wake_fd_ = -1;
  std::vector<pollfd> polled_;  // one a peer, then wake_fd_
  std::thread thread_;
};

}  // namespace tributary
