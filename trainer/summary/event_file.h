#pragma once
// TensorBoard's event files (tensorflow/core/util/event.proto in TFRecord
// frames): writing behind the training, and reading.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "core/io/env.h"
#include "core/io/record.h"

namespace tributary {

namespace proto {
class Event;
}  // namespace proto

struct EventFileOptions {
  std::string directory;
  std::string suffix = ".v2";
  double flush_seconds = 10;     // how long an event may stay in memory
  int64_t max_queue = 1000;      // beyond, a new event waits for the disk
  Env* env = PosixEnv();
};

// One file of events, written by a thread of its own: a caller hands over a
// closure that makes the event and goes on. Safe from any thread.
//
// Summaries are never worth a training run: when the disk fails, the writer says
// so once, drops what follows and counts it.
class EventFileWriter {
 public:
  // Creates the directory, and "events.out.tfevents.<seconds>.<host>.<pid>.<n>.v2"
  // with its first record, which TensorBoard sorts by name: a later file has a
  // later name. Throws what Env throws.
  explicit EventFileWriter(EventFileOptions options);
  // Writes what is queued.
  ~EventFileWriter();
  EventFileWriter(const EventFileWriter&) = delete;
  EventFileWriter& operator=(const EventFileWriter&) = delete;

  // `make` runs on the writing thread; wall_time is set before it is called. What
  // it throws is logged and the event dropped.
  void Write(std::function<void(proto::Event*)> make);
  // Returns when everything handed over before is in the file.
  void Flush();
  // Flush, and nothing may be written after.
  void Close();

  const std::string& path() const { return path_; }
  int64_t dropped() const;

 private:
  struct Item {
    double wall_time;
    std::function<void(proto::Event*)> make;
  };

  void Loop();
  void WriteItem(const Item& item);
  bool Guarded(const std::function<void()>& file_action);

  EventFileOptions options_;
  std::string path_;
  std::unique_ptr<WritableFile> file_;  // the thread's

  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::deque<Item> queue_;
  int64_t accepted_ = 0;  // events handed over
  int64_t flushed_ = 0;   // of these, in the file or dropped
  bool flush_ = false;
  bool stop_ = false;
  int64_t dropped_ = 0;
  std::atomic<bool> broken_{false};
  std::thread thread_;
};

// Reads one event file in order.
class EventFileReader {
 public:
  // Throws NotFoundError.
  EventFileReader(Env* env, const std::string& path);
  ~EventFileReader();
  // False at the end, also when the last record is torn (a writer died, or is
  // writing): torn() tells. Throws DataLossError with file and offset.
  bool Read(proto::Event* event);
  bool torn() const { return torn_; }

 private:
  std::unique_ptr<ReadableFile> file_;
  RecordReader reader_;
  bool torn_ = false;
};

// The event files of a directory in the order in which TensorBoard reads them.
std::vector<std::string> ListEventFiles(Env* env, const std::string& dir);

}  // namespace tributary
