#pragma once
// Keeps the checkpoints of a run (tf.train.CheckpointManager): numbers them,
// writes them behind the training, retires old ones, finds the newest that is
// whole.
//
// A save is crash-safe: data under temporary names, synced, named; the index
// last, whose renaming is the commit; the `checkpoint` file after that. A name
// is never written twice.
//
// Called by one thread; writing happens on the manager's own.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_state.h"

namespace tributary {

struct CheckpointManagerOptions {
  std::string directory;
  std::string name = "ckpt";      // files are <name>-<number>.*
  int max_to_keep = 5;            // 0: all
  double keep_every_n_hours = 0;  // 0: no; else one in so many hours is kept for ever
  bool asynchronous = true;       // false: Save returns when the checkpoint is durable
  int num_shards = 1;
  // When there is no checkpoint, or none is whole: throw, rather than start anew.
  bool resume_required = false;
  // Writes a checkpoint: all of it, or nothing when it throws. WriteCheckpoint unless set.
  std::function<void(Env* env, const std::string& prefix, const CheckpointContent& content)> write;
  // Called by the writing thread once a checkpoint is durable.
  std::function<void(const std::string& path)> on_saved;
  Env* env = PosixEnv();
  std::function<double()> clock;  // seconds since the epoch; the system's when empty
};

// What RestoreOrInitialize found.
struct RestoredCheckpoint {
  std::string path;
  std::map<std::string, Tensor> extras;
};

class CheckpointManager {
 public:
  // Creates the directory, takes it for this process and removes what a crash
  // left. Throws FailedPreconditionError naming the holder (pid and host) when
  // another process writes there.
  explicit CheckpointManager(CheckpointManagerOptions options);
  // Waits for the save under way; logs its error.
  ~CheckpointManager();
  CheckpointManager(const CheckpointManager&) = delete;
  CheckpointManager& operator=(const CheckpointManager&) = delete;

  // Copies `content` now and writes it behind the caller's back; waits first for
  // a save still under way. `number` (the training step, say) names the files;
  // without it the save counter does. Adds the edge "save_counter". Returns the
  // path prefix.
  //
  // A full disk is logged (not each time in a row) and counted, its remains are removed, and training goes
  // on; the next Save tries again. Any other error of an earlier save is thrown
  // here. Throws AlreadyExistsError when the number is taken.
  std::string Save(const CheckpointContent& content, std::optional<int64_t> number = {});

  // Until nothing is under way. Throws the error of the last save, a full disk
  // too.
  void Wait();

  // Restores the newest checkpoint that is whole into content.root. One that is
  // corrupt is named in the log, moved aside to corrupt-<name>, and the previous
  // one is used; the log says how many steps are lost (by the extra "step").
  // Empty when there is none: `initialize` (if given) has then been called. With
  // resume_required DataLossError is thrown when none is whole, NotFoundError when
  // there is none.
  // Throws whatever CheckpointFile::Restore throws for a checkpoint of another
  // model.
  std::optional<RestoredCheckpoint> RestoreOrInitialize(
      const TrackablePtr& root, const std::function<void()>& initialize = {},
      const RestoreOptions& options = {});

  // Path prefix of the newest durable checkpoint, "" when there is none.
  std::string latest_checkpoint() const;
  // Managed path prefixes, oldest first.
  std::vector<std::string> checkpoints() const;
  const std::string& directory() const { return options_.directory; }
  int64_t save_counter() const { return save_counter_; }
  // Saves that failed since the start.
  int64_t failures() const;

 private:
  struct Job;

  double Now() const;
  std::string PathOf(const std::string& base) const;
  void RemoveLeftovers();
  void LoadState();
  int64_t NextNumber() const;

  void Loop();
  void RunJob(const Job& job);
  void CheckSpace(const Job& job) const;
  void LogDiskFull(const std::string& base, const std::string& why);
  void Record(const std::string& base);
  // `state` has been written, and is what state_ is.
  void Sweep(CheckpointState state);
  // Whether it is gone.
  bool RemoveCheckpoint(const std::string& base);
  std::vector<std::string> FilesOf(const std::string& base) const;
  void SetAside(const std::string& base, const std::string& why);
  std::optional<RestoredCheckpoint> TryRestore(const std::string& base, const TrackablePtr& root,
                                               const RestoreOptions& options);
  // Error of the last save, if it must be thrown now.
  void RethrowLocked(bool disk_full_too);

  CheckpointManagerOptions options_;
  Env* env_;
  std::unique_ptr<FileLock> lock_;
  int64_t save_counter_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  CheckpointState state_;
  std::unique_ptr<Job> job_;  // waiting or under way
  bool stop_ = false;
  std::exception_ptr error_;
  bool error_is_disk_full_ = false;
  int64_t failures_ = 0;
  struct {
    int64_t failures = 0;  // in a row
    double logged = 0;     // when the last was, by Now()
  } disk_full_;            // of the writing thread
  std::thread thread_;
};

}  // namespace tributary
