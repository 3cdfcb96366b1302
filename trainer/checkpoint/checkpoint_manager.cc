#include "trainer/checkpoint/checkpoint_manager.h"

#include <unistd.h>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/base/strings.h"
#include "core/io/bundle_format.h"

namespace tributary {
namespace {

constexpr const char* kLockFile = ".tributary-lock";
constexpr const char* kCounterEdge = "save_counter";
constexpr const char* kStepExtra = "step";
constexpr double kSpaceFactor = 1.2;
constexpr int64_t kSpaceReserve = 1 << 20;
constexpr int64_t kDiskFullLogEvery = 10;
constexpr double kDiskFullLogSeconds = 60;

std::string Holder() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return fmt::format("process {} on host {}", getpid(), host);
}

// The training step that a checkpoint holds, also when parts of it are broken;
// `otherwise` when it can't be read.
int64_t StepOf(Env* env, const std::string& path, int64_t otherwise) {
  try {
    return CheckpointFile(env, path).Extra(kStepExtra).item<int64_t>();
  } catch (const Error&) {
    return otherwise;
  }
}

}  // namespace

struct CheckpointManager::Job {
  std::string base;
  CheckpointContent content;
};

CheckpointManager::CheckpointManager(CheckpointManagerOptions options)
    : options_(std::move(options)), env_(options_.env) {
  if (options_.max_to_keep < 0) {
    throw InvalidArgumentError("[checkpoint] max_to_keep must not be negative, got {}",
                               options_.max_to_keep);
  }
  env_->CreateDirs(options_.directory);
  lock_ = env_->Lock(PathOf(kLockFile), Holder());
  RemoveLeftovers();
  LoadState();
  if (state_.last_preserved == 0) state_.last_preserved = Now();
  if (!state_.all.empty()) {
    state_.last_preserved = std::min(state_.last_preserved, state_.all.front().timestamp - 1e-3);
  }
  if (options_.asynchronous) thread_ = std::thread([this] { Loop(); });
}

CheckpointManager::~CheckpointManager() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
}

double CheckpointManager::Now() const {
  if (options_.clock) return options_.clock();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

std::string CheckpointManager::PathOf(const std::string& base) const {
  return JoinPath(options_.directory, base);
}

// We hold the lock, so whatever is temporary here is a dead process's.
void CheckpointManager::RemoveLeftovers() {
  const std::vector<std::string> files = env_->List(options_.directory);
  const std::set<std::string> present(files.begin(), files.end());
  for (const std::string& file : files) {
    if (!StartsWith(file, options_.name + "-") && !StartsWith(file, "checkpoint.tmp-")) continue;
    const size_t data = file.find(".data-");
    const bool orphan = data != std::string::npos && file.find(kBundleTempMark) == std::string::npos &&
                        !present.contains(file.substr(0, data) + ".index");
    if (!orphan && file.find(kBundleTempMark) == std::string::npos &&
        !StartsWith(file, "checkpoint.tmp-")) {
      continue;
    }
    LogInfo("[checkpoint] removing {}, left by an interrupted save", PathOf(file));
    env_->Remove(PathOf(file));
  }
}

// What is managed: entries newer than the last preserved one (the others are kept
// for ever), and what a crash between commit and state file left unlisted. Without
// a readable state, the newest ones.
void CheckpointManager::LoadState() {
  std::vector<int64_t> numbers = CheckpointNumbers(env_, options_.directory, options_.name);
  if (auto state = ReadCheckpointState(env_, options_.directory)) {
    int64_t newest_listed = -1;
    for (const int64_t number : numbers) {
      const bool listed = std::any_of(state->all.begin(), state->all.end(), [&](const auto& e) {
        return e.path == fmt::format("{}-{}", options_.name, number);
      });
      if (listed) newest_listed = number;
    }
    std::erase_if(numbers, [&](int64_t number) { return number <= newest_listed; });
    std::erase_if(state->all, [&](const auto& entry) {
      return entry.timestamp <= state->last_preserved ||
             !env_->Exists(BundleIndexName(PathOf(entry.path)));
    });
    state_ = std::move(*state);
  } else if (const auto keep = static_cast<size_t>(options_.max_to_keep);
             keep > 0 && numbers.size() > keep) {
    numbers.erase(numbers.begin(), numbers.end() - static_cast<std::ptrdiff_t>(keep));
  }
  for (const int64_t number : numbers) {
    state_.all.push_back({fmt::format("{}-{}", options_.name, number), Now()});
  }
}

int64_t CheckpointManager::NextNumber() const {
  const std::vector<int64_t> numbers =
      CheckpointNumbers(env_, options_.directory, options_.name);
  return std::max(save_counter_, numbers.empty() ? 0 : numbers.back() + 1);
}

std::string CheckpointManager::Save(const CheckpointContent& content,
                                    std::optional<int64_t> number) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !job_; });
    RethrowLocked(/*disk_full_too=*/false);
  }
  ++save_counter_;
  auto job = std::make_unique<Job>();
  job->base = fmt::format("{}-{}", options_.name, number ? *number : NextNumber());
  const std::string path = PathOf(job->base);
  if (env_->Exists(BundleIndexName(path))) {
    throw AlreadyExistsError("[checkpoint] {} exists; a checkpoint is never overwritten", path);
  }
  job->content = content.Snapshot();
  job->content.root->Add(kCounterEdge, Trackable::Variable(kCounterEdge, Tensor(save_counter_)));
  if (!thread_.joinable()) {
    RunJob(*job);
    const std::lock_guard lock(mutex_);
    RethrowLocked(/*disk_full_too=*/false);
    return path;
  }
  {
    const std::lock_guard lock(mutex_);
    job_ = std::move(job);
  }
  changed_.notify_all();
  return path;
}

void CheckpointManager::Wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !job_; });
  RethrowLocked(/*disk_full_too=*/true);
}

void CheckpointManager::RethrowLocked(bool disk_full_too) {
  if (!error_ || (error_is_disk_full_ && !disk_full_too)) return;
  std::rethrow_exception(std::exchange(error_, nullptr));
}

void CheckpointManager::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return job_ || stop_; });
    if (!job_) return;
    const Job& job = *job_;
    lock.unlock();
    RunJob(job);
    lock.lock();
    job_.reset();
    changed_.notify_all();
  }
}

void CheckpointManager::RunJob(const Job& job) {
  std::exception_ptr error;
  bool disk_full = false;
  try {
    CheckSpace(job);
    if (options_.write) {
      options_.write(env_, PathOf(job.base), job.content);
    } else {
      WriteCheckpoint(env_, PathOf(job.base), job.content, options_.num_shards);
    }
    Record(job.base);
    if (const int64_t missed = std::exchange(disk_full_, {}).failures; missed > 0) {
      LogInfo("[checkpoint] {} is saved; {} before it were not", PathOf(job.base), missed);
    }
    if (options_.on_saved) options_.on_saved(PathOf(job.base));
  } catch (const ResourceExhaustedError& e) {
    error = std::current_exception();
    disk_full = true;
    LogDiskFull(job.base, e.what());
  } catch (const std::exception& e) {
    error = std::current_exception();
    LogError("[checkpoint] {} was not saved: {}", PathOf(job.base), e.what());
  }
  const std::lock_guard lock(mutex_);
  error_ = error;
  error_is_disk_full_ = disk_full;
  if (error) ++failures_;
}

// Every save meets the same disk: the first is told, then one in ten, or one a minute.
void CheckpointManager::LogDiskFull(const std::string& base, const std::string& why) {
  const double now = Now();
  const int64_t count = disk_full_.failures++;
  if (count % kDiskFullLogEvery != 0 && now - disk_full_.logged < kDiskFullLogSeconds) return;
  disk_full_.logged = now;
  LogError("[checkpoint] {} was not saved: {}; training goes on, the next save tries again{}",
           PathOf(base), why,
           count == 0 ? "" : fmt::format(" ({} saves in a row have failed so)", count + 1));
}

void CheckpointManager::CheckSpace(const Job& job) const {
  const int64_t free = env_->FreeBytes(options_.directory);
  const auto needed =
      static_cast<int64_t>(kSpaceFactor * static_cast<double>(job.content.Bytes())) + kSpaceReserve;
  if (free < needed) {
    throw ResourceExhaustedError("[checkpoint] {} has too little space; expected {} bytes free, "
                                 "got {}",
                                 options_.directory, needed, free);
  }
}

// The state file names the new one before an old one goes, and leaves out the old one
// only when that has gone: a crash in between finds it listed, and retires it then.
void CheckpointManager::Record(const std::string& base) {
  CheckpointState state;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(state_.all, [&](const auto& entry) { return entry.path == base; });
    state_.all.push_back({base, Now()});
    state = state_;
  }
  WriteCheckpointState(env_, options_.directory, state);
  Sweep(std::move(state));
}

void CheckpointManager::Sweep(CheckpointState state) {
  const auto limit = static_cast<size_t>(options_.max_to_keep);
  if (limit == 0 || state.all.size() <= limit) return;
  const auto kept = state.all.end() - static_cast<std::ptrdiff_t>(limit);
  std::vector<CheckpointState::Entry> stay;
  for (auto entry = state.all.begin(); entry != kept; ++entry) {
    const double hours = (entry->timestamp - state.last_preserved) / 3600;
    if (options_.keep_every_n_hours > 0 && hours >= options_.keep_every_n_hours) {
      state.last_preserved = entry->timestamp;
    } else if (!RemoveCheckpoint(entry->path)) {
      stay.push_back(*entry);
    }
  }
  stay.insert(stay.end(), kept, state.all.end());
  state.all = std::move(stay);
  {
    const std::lock_guard lock(mutex_);
    state_ = state;
  }
  WriteCheckpointState(env_, options_.directory, state);
}

std::vector<std::string> CheckpointManager::FilesOf(const std::string& base) const {
  std::vector<std::string> files;
  for (const std::string& file : env_->List(options_.directory)) {
    if (file == base + ".index" || StartsWith(file, base + ".data-")) files.push_back(file);
  }
  // The index first, so that no half checkpoint looks whole.
  std::stable_partition(files.begin(), files.end(),
                        [](const std::string& file) { return EndsWith(file, ".index"); });
  return files;
}

// Room is made by the way; not being able to is no reason to stop.
bool CheckpointManager::RemoveCheckpoint(const std::string& base) {
  try {
    for (const std::string& file : FilesOf(base)) env_->Remove(PathOf(file));
    return true;
  } catch (const Error& error) {
    LogWarning("[checkpoint] the old {} could not be removed: {}; the next save tries again",
               PathOf(base), error.what());
    return false;
  }
}

void CheckpointManager::SetAside(const std::string& base, const std::string& why) {
  LogError("[checkpoint] {} can't be used: {}", PathOf(base), why);
  for (const std::string& file : FilesOf(base)) {
    std::string target = "corrupt-" + file;
    for (int i = 2; env_->Exists(PathOf(target)); ++i) target = fmt::format("corrupt-{}-{}", i, file);
    env_->Rename(PathOf(file), PathOf(target));
  }
  env_->SyncDir(options_.directory);
  LogWarning("[checkpoint] its files were renamed to {}", PathOf("corrupt-" + base + ".*"));
}

// Empty when `base` is corrupt; it has then been set aside.
std::optional<RestoredCheckpoint> CheckpointManager::TryRestore(const std::string& base,
                                                                const TrackablePtr& root,
                                                                const RestoreOptions& options) {
  try {
    const CheckpointFile file(env_, PathOf(base));
    file.Verify();
    RestoredCheckpoint restored{PathOf(base), {}};
    for (const std::string& name : file.ExtraNames()) restored.extras[name] = file.Extra(name);
    file.Restore(root, options);
    const auto counter = Trackable::Container();
    counter->Add(kCounterEdge, Trackable::Variable(kCounterEdge, Tensor(save_counter_)));
    file.Restore(counter, {.expect_partial = true});
    save_counter_ = counter->Find(kCounterEdge)->tensor.item<int64_t>();
    return restored;
  } catch (const DataLossError& error) {
    SetAside(base, error.what());
    const std::lock_guard lock(mutex_);
    std::erase_if(state_.all, [&](const auto& entry) { return entry.path == base; });
    return std::nullopt;
  }
}

std::optional<RestoredCheckpoint> CheckpointManager::RestoreOrInitialize(
    const TrackablePtr& root, const std::function<void()>& initialize,
    const RestoreOptions& options) {
  Wait();
  std::vector<int64_t> numbers = CheckpointNumbers(env_, options_.directory, options_.name);
  int64_t lost_step = -1;
  for (; !numbers.empty(); numbers.pop_back()) {
    const std::string base = fmt::format("{}-{}", options_.name, numbers.back());
    const int64_t step = StepOf(env_, PathOf(base), numbers.back());
    if (auto restored = TryRestore(base, root, options)) {
      if (lost_step >= 0) {
        LogWarning("[checkpoint] going on from {} instead; {} steps are lost ({} to {})",
                   restored->path, lost_step - step, step, lost_step);
      }
      return restored;
    }
    lost_step = std::max(lost_step, step);
  }
  if (lost_step >= 0 && options_.resume_required) {
    throw DataLossError("[checkpoint] no checkpoint in {} is whole and resuming is required; the "
                        "broken ones are kept as corrupt-*",
                        options_.directory);
  }
  if (options_.resume_required) {
    throw NotFoundError("[checkpoint] there is no checkpoint in {} and resuming is required; look "
                        "at the folder, or let it start anew", options_.directory);
  }
  if (lost_step >= 0) {
    LogWarning("[checkpoint] no checkpoint in {} is whole; starting anew, {} steps are lost",
               options_.directory, lost_step);
  }
  if (initialize) initialize();
  return std::nullopt;
}

std::string CheckpointManager::latest_checkpoint() const {
  const std::lock_guard lock(mutex_);
  return state_.all.empty() ? "" : PathOf(state_.all.back().path);
}

std::vector<std::string> CheckpointManager::checkpoints() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> paths;
  for (const CheckpointState::Entry& entry : state_.all) paths.push_back(PathOf(entry.path));
  return paths;
}

int64_t CheckpointManager::failures() const {
  const std::lock_guard lock(mutex_);
  return failures_;
}

}  // namespace tributary
