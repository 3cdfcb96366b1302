#include "distribute/liveness/liveness_monitor.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

#include "core/base/logging.h"
#include "core/base/strings.h"
#include "distribute/comm/node_shared/shared_region.h"

namespace tributary {
namespace {

constexpr int kTag = 1;

// glibc's header declares these without extern "C".
int PidfdOpen(int pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }
int PidfdKill(int fd) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0));
}

// 'R', 'S', 'T' (stopped), ... of /proc/<pid>/stat; '?' when it can't be read.
char ProcessState(int pid) {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(stat, line);
  const size_t end = line.rfind(')');
  return end == std::string::npos || end + 2 >= line.size() ? '?' : line[end + 2];
}

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

// Between leaders: fixed size, so that a message is one small MPI packet.
struct LivenessMonitor::Message {
  enum : int32_t { kAlive = 0, kFinished = 1, kFailed = 2 };
  int32_t kind = kAlive;
  int32_t rank = 0;
  int64_t blocked_ms = 0;  // the longest that a rank of the host has been waiting
  char text[BoardFailure::kTextBytes] = {};
};

LivenessMonitor::LivenessMonitor(Communicator& world, const HostLayout& hosts,
                                 LivenessOptions options)
    : options_(std::move(options)), rank_(world.rank()), hosts_(hosts), health_(world.health()),
      step_watch_(std::max(options_.stuck_after, options_.dead_after)) {
  host_ = world.Split(hosts.host, world.rank());
  // Of its own health: mail that gets lost is judged here, not there.
  mail_ = world.Split(0, world.rank(), std::make_shared<JobHealth>());
  memory_ = MakeSharedRegion(*host_, Board::Bytes(host_->size()));
  board_ = Board(memory_.get());

  std::vector<int32_t> pid{getpid()}, pids(host_->size());
  host_->AllGather(pid, pids);
  const auto now = Clock::now();
  const std::vector<int> ranks = hosts.RanksOf(hosts.host);
  for (size_t i = 0; i < ranks.size(); ++i) {
    Peer peer{.rank = ranks[i], .pid = pids[i], .last_heartbeat = now};
    // Where the kernel has no pidfd, missing heartbeats tell.
    if (peer.rank != rank_ && peer.pid != pid[0]) peer.pidfd = PidfdOpen(peer.pid);
    peers_.push_back(peer);
  }
  for (int h = 0; h < hosts.num_hosts && hosts.local_rank < 2; ++h) {
    const std::vector<int> members = hosts.RanksOf(h);
    const int deputy = members.size() > 1 ? members[1] : members[0];
    if (h != hosts.host) {
      other_hosts_.push_back({.leader = members[0], .deputy = deputy, .last_message = now});
    }
  }
  last_turn_ = stall_warned_ = now;
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  for (const Peer& peer : peers_) polled_.push_back({peer.pidfd, POLLIN, 0});
  polled_.push_back({wake_fd_, POLLIN, 0});
  thread_ = std::thread([this] { Loop(); });
}

LivenessMonitor::~LivenessMonitor() {
  if (ending_ == Ending::kNone) {
    ReportFailure(fmt::format("rank {} ended without finishing", rank_));
  }
  stop_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof(one));
  thread_.join();
  for (const Peer& peer : peers_) {
    if (peer.pidfd >= 0) close(peer.pidfd);
  }
  close(wake_fd_);
}

void LivenessMonitor::Finish() {
  ending_ = Ending::kFinished;
  board_.slot(hosts_.local_rank).state.store(RankState::kFinished, std::memory_order_release);
}

void LivenessMonitor::ReportFailure(const std::string& reason) {
  if (ending_.exchange(Ending::kReported) != Ending::kNone) return;
  const auto until = Clock::now() + options_.grace;
  const std::string said =
      fmt::format("rank {} ({}) failed: {}", rank_, hosts_.names[rank_], reason);
  // The job fails for the first failure that was found, which may be another's.
  BoardFailure& first = board_.failure();
  if (health_->failed()) {
    first.Post(health_->failed_rank(), health_->reason());
  } else {
    first.Post(rank_, said);
    while (!first.posted() && Clock::now() < until) std::this_thread::yield();
    const bool own = !first.posted() || first.rank == rank_;
    health_->Fail(own ? rank_ : first.rank, own ? said : first.text);
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof(one));
  const auto all_saw = [&] {
    for (int r = 0; r < host_->size(); ++r) {
      if (r == hosts_.local_rank) continue;
      if (board_.slot(r).state.load() == RankState::kRunning &&
          board_.slot(r).has_seen_failure.load() == 0) {
        return false;
      }
    }
    return true;
  };
  while (!all_saw() && Clock::now() < until) std::this_thread::sleep_for(Millis(5));
  board_.slot(hosts_.local_rank).state.store(RankState::kFinished, std::memory_order_release);
}

void LivenessMonitor::Loop() {
  while (!stop_) {
    const auto now = Clock::now();
    // This process itself was stopped, or starved: what it didn't see is no proof.
    if (now - last_turn_ > options_.dead_after / 2) {
      for (Peer& peer : peers_) peer.last_heartbeat = now;
      for (OtherHost& host : other_hosts_) host.last_message = now;
      step_watch_.Forget(now);
    }
    last_turn_ = now;
    ShowSigns(now);
    if (board_.failure().posted()) {
      health_->Fail(board_.failure().rank, board_.failure().text);
    }
    if (!health_->failed()) WatchPeers(now);
    if (!health_->failed()) WatchOwnCalls(now);
    if (!health_->failed()) WatchOwnStep(now);
    if (!other_hosts_.empty()) TalkToHosts(now);
    if (health_->failed()) ActOnFailure(now);
    Sleep();
  }
  // The last word to the other hosts.
  if (!other_hosts_.empty()) TalkToHosts(Clock::now());
}

void LivenessMonitor::ShowSigns(Clock::time_point now) {
  BoardSlot& slot = board_.slot(hosts_.local_rank);
  slot.heartbeats.fetch_add(1, std::memory_order_relaxed);
  slot.blocked_ms.store(health_->BlockedMillis(now), std::memory_order_relaxed);
}

std::string LivenessMonitor::Describe(const Peer& peer) const {
  return fmt::format("rank {} (pid {} on {})", peer.rank, peer.pid, hosts_.names[peer.rank]);
}

void LivenessMonitor::WatchPeers(Clock::time_point now) {
  for (size_t i = 0; i < peers_.size(); ++i) {
    Peer& peer = peers_[i];
    const BoardSlot& slot = board_.slot(static_cast<int>(i));
    if (peer.rank == rank_ || peer.pid == getpid()) continue;
    // Read in this order: a rank that finished sets its state before it goes.
    const bool gone = peer.gone;
    if (slot.state.load(std::memory_order_acquire) == RankState::kFinished) continue;
    if (gone) {
      // It may have posted a failure in its last moment.
      if (board_.failure().posted()) return;
      return Lost(peer.rank, Describe(peer) + " died");
    }
    const uint64_t heartbeats = slot.heartbeats.load(std::memory_order_relaxed);
    if (heartbeats != peer.heartbeats) {
      peer.heartbeats = heartbeats;
      peer.last_heartbeat = now;
      peer.suspected = false;
      continue;
    }
    const auto silent = now - peer.last_heartbeat;
    if (silent > options_.dead_after) {
      const char state = ProcessState(peer.pid);
      Lost(peer.rank,
           fmt::format("{} hangs: no heartbeat for {:.1f} s{}", Describe(peer), Seconds(silent),
                       state == 'T' || state == 't' ? " (the process is stopped)" : ""));
      if (options_.kill_stopped && peer.pidfd >= 0) PidfdKill(peer.pidfd);
      return;
    }
    if (silent > options_.suspect_after && !peer.suspected) {
      peer.suspected = true;
      LogWarning("{} has shown no heartbeat for {:.1f} s", Describe(peer), Seconds(silent));
    }
  }
}

void LivenessMonitor::WatchOwnCalls(Clock::time_point now) {
  // Whoever waits in no call is the one that the others wait for.
  const auto busy = [&] {
    std::vector<int> ranks;
    for (size_t i = 0; i < peers_.size(); ++i) {
      const BoardSlot& slot = board_.slot(static_cast<int>(i));
      if (peers_[i].rank != rank_ && slot.blocked_ms.load(std::memory_order_relaxed) == 0) {
        ranks.push_back(peers_[i].rank);
      }
    }
    return ranks;
  };
  const auto names = [](const std::vector<int>& ranks) {
    return ranks.empty() ? std::string("a rank of another host")
                         : fmt::format("rank {}", fmt::join(ranks, ", "));
  };
  if (const auto call = health_->ExpiredCall(now)) {
    const std::vector<int> ranks = busy();
    return Lost(ranks.empty() ? JobHealth::kUnknownRank : ranks.front(),
                fmt::format("the deadline of {} on rank {} has passed; it waits for {}", *call,
                            rank_, names(ranks)));
  }
  const int64_t blocked = health_->BlockedMillis(now);
  if (blocked > options_.stall_warning.count() && now - stall_warned_ > options_.stall_warning) {
    stall_warned_ = now;
    LogWarning("waiting for {:.1f} s, for {}", static_cast<double>(blocked) / 1e3, names(busy()));
  }
}

int64_t LivenessMonitor::LongestBlocked(int except) const {
  int64_t longest = 0;
  for (size_t i = 0; i < peers_.size(); ++i) {
    if (peers_[i].rank == except) continue;
    const BoardSlot& slot = board_.slot(static_cast<int>(i));
    longest = std::max(longest, slot.blocked_ms.load(std::memory_order_relaxed));
  }
  return longest;
}

void LivenessMonitor::WatchOwnStep(Clock::time_point now) {
  const Millis others_wait{
      std::max(LongestBlocked(rank_),
               board_.slot(0).elsewhere_blocked_ms.load(std::memory_order_relaxed))};
  const auto stuck = step_watch_.Look(*health_, others_wait, now);
  if (!stuck) return;
  own_step_hangs_ = true;
  Lost(rank_, fmt::format("{} {}", Describe(peers_[hosts_.local_rank]), *stuck));
}

void LivenessMonitor::TalkToHosts(Clock::time_point now) {
  const bool leads = hosts_.local_rank == 0;
  Message mine;
  if (health_->failed()) {
    mine.kind = Message::kFailed;
    mine.rank = health_->failed_rank();
    const std::string reason = health_->reason();
    std::memcpy(mine.text, reason.data(), std::min(reason.size(), sizeof(mine.text) - 1));
  } else if (ending_ == Ending::kFinished) {
    mine.kind = Message::kFinished;
  }
  if (!leads && mine.kind != Message::kFailed) return;
  mine.blocked_ms = LongestBlocked(JobHealth::kUnknownRank);
  for (OtherHost& host : other_hosts_) {
    try {
      // A sign of life answers one of theirs, so that few are ever on the way to a
      // host that hangs.
      if (!host.finished && (mine.kind != host.last_sent || (leads && host.may_send))) {
        mail_->Post({&mine, sizeof(Message), DType::kUint8}, host.leader, kTag);
        host.may_send = false;
        host.last_sent = mine.kind;
      }
      if (leads) Receive(host, host.leader, now);
      if (leads && host.deputy != host.leader) Receive(host, host.deputy, now);
    } catch (const Error& e) {
      LogDebug("heartbeat: {}", e.what());  // silence, below, is what counts
    }
    if (leads) JudgeSilence(host, now);
  }
  if (!leads) return;
  int64_t blocked_ms = 0;
  for (const OtherHost& host : other_hosts_) blocked_ms = std::max(blocked_ms, host.blocked_ms);
  board_.slot(0).elsewhere_blocked_ms.store(blocked_ms, std::memory_order_relaxed);
}

void LivenessMonitor::Receive(OtherHost& host, int sender, Clock::time_point now) {
  while (mail_->CanRecv(sender, kTag)) {
    Message message;
    mail_->Recv({&message, sizeof(Message), DType::kUint8}, sender, {.tag = kTag});
    host.last_message = now;
    host.suspected = false;
    host.may_send = true;
    host.blocked_ms = message.blocked_ms;
    if (message.kind == Message::kFinished) host.finished = true;
    if (message.kind == Message::kFailed) {
      message.text[sizeof(message.text) - 1] = '\0';
      Lost(message.rank, message.text);
    }
  }
}

void LivenessMonitor::JudgeSilence(OtherHost& host, Clock::time_point now) {
  const auto silent = now - host.last_message;
  if (host.finished || health_->failed()) return;
  const std::string& name = hosts_.names[host.leader];
  if (silent > options_.dead_after) {
    Lost(host.leader, fmt::format("rank {} on host {} hangs or is lost: no heartbeat for {:.1f} s",
                                  host.leader, name, Seconds(silent)));
  } else if (silent > options_.suspect_after && !host.suspected) {
    host.suspected = true;
    LogWarning("host {} (rank {}) has sent no heartbeat for {:.1f} s", name, host.leader,
               Seconds(silent));
  }
}

void LivenessMonitor::Lost(int rank, const std::string& reason) {
  health_->Fail(rank, reason);
}

void LivenessMonitor::ActOnFailure(Clock::time_point now) {
  board_.failure().Post(health_->failed_rank(), health_->reason());
  if (!failure_logged_) {
    failure_logged_ = true;
    failed_at_ = now;
    // A rank that fails itself has its own to say.
    if (ending_ != Ending::kReported) LogError("the job has failed: {}", health_->reason());
    board_.slot(hosts_.local_rank).has_seen_failure.store(1, std::memory_order_release);
  }
  // Its own failure leaves this process by its own road, unless that is blocked.
  const bool unwinds = health_->failed_rank() == rank_ && !own_step_hangs_;
  const auto patience = options_.grace * (unwinds ? 3 : 1);
  if (now - failed_at_ < patience || ending_ == Ending::kFinished) return;
  if (options_.end_process) {
    options_.end_process(kExitPeersLost);
  } else {
    _exit(kExitPeersLost);
  }
}

void LivenessMonitor::Sleep() {
  if (poll(polled_.data(), polled_.size(), static_cast<int>(options_.period.count())) <= 0) return;
  for (size_t i = 0; i < peers_.size(); ++i) {
    if (polled_[i].revents == 0) continue;
    peers_[i].gone = true;
    polled_[i].fd = -1;
  }
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof(count));
}

}  // namespace tributary
