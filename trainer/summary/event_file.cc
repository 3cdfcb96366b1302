#include "trainer/summary/event_file.h"

#include <unistd.h>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/proto/event.pb.h"

namespace tributary {
namespace {

constexpr const char* kVersion = "brain.Event:2";
constexpr const char* kWriter = "tributary.trainer.summary";
constexpr const char* kMark = "tfevents";

double WallTime() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

// Greater than the name of any event file in the directory, so that a resumed run
// is read after the one that it continues.
std::string NextFileName(const EventFileOptions& options) {
  static std::atomic<int> counter{0};
  auto seconds = static_cast<int64_t>(WallTime());
  for (const std::string& name : options.env->List(options.directory)) {
    long long taken = 0;
    if (std::sscanf(name.c_str(), "events.out.tfevents.%10lld", &taken) == 1 &&
        taken < 9999999999) {
      seconds = std::max<int64_t>(seconds, taken + 1);
    }
  }
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return fmt::format("events.out.tfevents.{:010d}.{}.{}.{}{}", seconds, host, getpid(), counter++,
                     options.suffix);
}

}  // namespace

EventFileWriter::EventFileWriter(EventFileOptions options) : options_(std::move(options)) {
  options_.env->CreateDirs(options_.directory);
  path_ = JoinPath(options_.directory, NextFileName(options_));
  file_ = options_.env->OpenWritable(path_, OpenMode::kCreate);
  proto::Event first;
  first.set_wall_time(WallTime());
  first.set_file_version(kVersion);
  first.mutable_source_metadata()->set_writer(kWriter);
  std::string record;
  AppendRecord(&record, first.SerializeAsString());
  file_->Append(record);
  file_->Flush();
  thread_ = std::thread([this] { Loop(); });
}

EventFileWriter::~EventFileWriter() { Close(); }

void EventFileWriter::Write(std::function<void(proto::Event*)> make) {
  std::unique_lock lock(mutex_);
  if (stop_) return;
  if (broken_) {
    ++dropped_;
    return;
  }
  done_.wait(lock, [this] {
    return static_cast<int64_t>(queue_.size()) < options_.max_queue || stop_;
  });
  queue_.push_back({WallTime(), std::move(make)});
  ++accepted_;
  // The thread wakes by itself; only a long queue is worth a signal.
  if (static_cast<int64_t>(queue_.size()) * 2 >= options_.max_queue) work_.notify_one();
}

void EventFileWriter::Flush() {
  std::unique_lock lock(mutex_);
  const int64_t target = accepted_;
  flush_ = true;
  work_.notify_one();
  done_.wait(lock, [&] { return flushed_ >= target; });
}

void EventFileWriter::Close() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_one();
  if (thread_.joinable()) thread_.join();
}

int64_t EventFileWriter::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void EventFileWriter::Loop() {
  const auto period = std::chrono::duration<double>(options_.flush_seconds);
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait_for(lock, period, [this] {
      return flush_ || stop_ || static_cast<int64_t>(queue_.size()) * 2 >= options_.max_queue;
    });
    std::deque<Item> batch = std::exchange(queue_, {});
    const bool last = stop_;
    flush_ = false;
    done_.notify_all();  // there is room again
    lock.unlock();
    for (const Item& item : batch) WriteItem(item);
    Guarded([this] { file_->Flush(); });
    if (last) Guarded([this] { file_->Close(); });
    lock.lock();
    flushed_ += static_cast<int64_t>(batch.size());
    done_.notify_all();
    if (last && queue_.empty()) return;
  }
}

void EventFileWriter::WriteItem(const Item& item) {
  proto::Event event;
  event.set_wall_time(item.wall_time);
  try {
    item.make(&event);
  } catch (const std::exception& error) {
    LogWarning("[summary] an event was dropped: {}", error.what());
    const std::lock_guard lock(mutex_);
    ++dropped_;
    return;
  }
  std::string record;
  AppendRecord(&record, event.SerializeAsString());
  if (!Guarded([&] { file_->Append(record); })) {
    const std::lock_guard lock(mutex_);
    ++dropped_;
  }
}

// False when the file is, or becomes, unusable.
bool EventFileWriter::Guarded(const std::function<void()>& file_action) {
  if (broken_) return false;
  try {
    file_action();
    return true;
  } catch (const std::exception& error) {
    LogError("[summary] {}; no more summaries are written to {}, training goes on", error.what(),
             path_);
    broken_ = true;
    return false;
  }
}

EventFileReader::EventFileReader(Env* env, const std::string& path)
    : file_(env->OpenReadable(path)), reader_(file_.get()) {}

EventFileReader::~EventFileReader() = default;

bool EventFileReader::Read(proto::Event* event) {
  std::string record;
  const int64_t offset = reader_.offset();
  const RecordRead result = reader_.Read(&record);
  torn_ = result == RecordRead::kTorn;
  if (result != RecordRead::kRecord) return false;
  if (!event->ParseFromString(record)) {
    throw DataLossError("[summary] {} is corrupt; a record is no event; at offset {}",
                        file_->path(), offset);
  }
  return true;
}

std::vector<std::string> ListEventFiles(Env* env, const std::string& dir) {
  std::vector<std::string> paths;
  for (const std::string& name : env->List(dir)) {
    if (name.find(kMark) != std::string::npos) paths.push_back(JoinPath(dir, name));
  }
  return paths;
}

}  // namespace tributary
