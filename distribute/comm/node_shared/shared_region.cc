#include "distribute/comm/node_shared/shared_region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

namespace tributary {
namespace {

constexpr size_t kPage = 4096;

std::shared_ptr<void> HeapRegion(size_t bytes) {
  void* memory = std::aligned_alloc(kPage, bytes);
  if (memory == nullptr) {
    throw ResourceExhaustedError("[node_shared] no memory for {} bytes", bytes);
  }
  std::memset(memory, 0, bytes);
  return {memory, [](void* p) { std::free(p); }};
}

// Threads of one process: the first one's pointer serves all.
std::shared_ptr<void> ShareAmongThreads(Communicator& host, size_t bytes) {
  using Region = std::shared_ptr<void>;
  std::vector<int64_t> address{0};
  if (host.rank() == 0) address[0] = reinterpret_cast<int64_t>(new Region(HeapRegion(bytes)));
  host.Broadcast(address, 0);
  const auto* holder = reinterpret_cast<const Region*>(address[0]);
  Region region = *holder;
  // If this throws, others may still be reading the holder: it stays.
  host.Barrier();
  if (host.rank() == 0) delete holder;
  return region;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// A memory file with its pages reserved, or a negative errno.
int MakeMemoryFile(size_t bytes) {
  if (bytes > AvailableMemory()) return -ENOSPC;
  const int fd = memfd_create("tributary", MFD_CLOEXEC);
  if (fd < 0) return -errno;
  const int error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  if (error == 0) return fd;
  close(fd);
  return -error;
}

// Throws on every rank when `error` is not 0 on any.
void AgreeOn(Communicator& host, int error, size_t bytes, const char* what) {
  std::vector<int32_t> worst{error};
  host.AllReduce(worst, ReduceOp::kMax);
  if (worst[0] == 0) return;
  throw ResourceExhaustedError(
      "[node_shared] can't {} {} bytes of memory shared by the {} ranks of this host: {} ({} MiB "
      "are available); run fewer ranks a host, or set node_shared: false",
      what, bytes, host.size(), std::strerror(worst[0]), AvailableMemory() >> 20);
}

std::shared_ptr<void> ShareAmongProcesses(Communicator& host, size_t bytes) {
  std::vector<int64_t> owner{getpid(), 0};
  if (host.rank() == 0) owner[1] = MakeMemoryFile(bytes);
  host.Broadcast(owner, 0);
  if (owner[1] < 0) AgreeOn(host, static_cast<int>(-owner[1]), bytes, "reserve");
  const std::string path = fmt::format("/proc/{}/fd/{}", owner[0], owner[1]);
  const Descriptor fd(host.rank() == 0 ? static_cast<int>(owner[1])
                                       : open(path.c_str(), O_RDWR | O_CLOEXEC));
  int error = fd.get() < 0 ? errno : 0;
  void* memory = MAP_FAILED;
  if (error == 0) {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
    if (memory == MAP_FAILED) error = errno;
  }
  std::shared_ptr<void> region;
  if (error == 0) region = {memory, [bytes](void* p) { munmap(p, bytes); }};
  AgreeOn(host, error, bytes, "map");  // also: everyone has opened the file
  return region;
}

size_t ReadNumber(const char* path, size_t otherwise) {
  size_t value = 0;
  return std::ifstream(path) >> value ? value : otherwise;
}

}  // namespace

std::shared_ptr<void> MakeSharedRegion(Communicator& host, size_t bytes) {
  bytes = std::max(kPage, (bytes + kPage - 1) / kPage * kPage);
  std::vector<int64_t> mine{getpid()}, pids(host.size());
  host.AllGather(mine, pids);
  const bool one_process = std::count(pids.begin(), pids.end(), mine[0]) == host.size();
  return one_process ? ShareAmongThreads(host, bytes) : ShareAmongProcesses(host, bytes);
}

size_t AvailableMemory() {
  constexpr size_t kUnlimited = std::numeric_limits<size_t>::max();
  size_t available = kUnlimited;
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  size_t kib = 0;
  while (meminfo >> key >> kib) {
    if (key == "MemAvailable:") {
      available = kib << 10;
      break;
    }
    std::getline(meminfo, unit);
  }
  const size_t limit = ReadNumber("/sys/fs/cgroup/memory.max", kUnlimited);
  const size_t used = ReadNumber("/sys/fs/cgroup/memory.current", 0);
  if (limit != kUnlimited) available = std::min(available, limit > used ? limit - used : 0);
  return available;
}

}  // namespace tributary
