// tributary doctor: this machine, as a job will find it, and what is wrong with it.

#include <dnnl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/parallel.h"
#include "core/base/strings.h"
#include "core/io/env.h"
#include "core/runtime/report.h"
#include "distribute/cluster/cluster.h"
#include "launch/cli/build_info.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "trainer/data/files.h"

namespace tributary {
namespace {

struct Finding {
  std::string name, value;
  std::string warning;  // "" when all is well
};

std::string CpuField(const std::string& field) {
  std::ifstream stream("/proc/cpuinfo");
  std::string line;
  while (std::getline(stream, line)) {
    if (StartsWith(line, field)) return std::string(Trim(line.substr(line.find(':') + 1)));
  }
  return "unknown";
}

Finding Isa() {
  const std::string flags = " " + CpuField("flags") + " ";
  std::vector<std::string> found;
  for (const char* isa : {"sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16",
                          "amx_tile"}) {
    if (flags.find(fmt::format(" {} ", isa)) != std::string::npos) found.push_back(isa);
  }
  const bool avx2 = flags.find(" avx2 ") != std::string::npos;
  return {"instruction sets", found.empty() ? "none known" : Join(found, " "),
          avx2 ? "" : "without AVX2 training is several times slower"};
}

Finding Cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof(set), &set);
  const int online = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  const int mine = CPU_COUNT(&set);
  return {"cores", fmt::format("{} of {} for this process, {} compute threads", mine, online,
                               NumThreads()),
          NumThreads() > mine ? "more compute threads than cores" : ""};
}

Finding Memory() {
  const uint64_t page = sysconf(_SC_PAGE_SIZE);
  const uint64_t total = page * sysconf(_SC_PHYS_PAGES);
  const uint64_t available = page * sysconf(_SC_AVPHYS_PAGES);
  return {"memory", fmt::format("{} free of {}", FormatBytes(available), FormatBytes(total)),
          available < (uint64_t{256} << 20) ? "less than 256 MiB are free" : ""};
}

// Node-shared buckets live there.
Finding SharedMemory() {
  Env* env = PosixEnv();
  if (!env->IsDirectory("/dev/shm")) return {"shared memory", "no /dev/shm", "ranks of a host can't share variables; use node_shared: false"};
  const int64_t free = env->FreeBytes("/dev/shm");
  return {"shared memory", FormatBytes(free) + " free in /dev/shm",
          free < (int64_t{64} << 20) ? "less than 64 MiB: large models need node_shared: false" : ""};
}

// Asks the library without starting MPI.
Finding Mpi() {
  const std::string version = MpiVersion();
  const bool known = version.find("Open MPI") != std::string::npos;
  return {"MPI", version, known ? "" : "tested with Open MPI 4.1 only"};
}

Finding Mpirun() {
  const char* path = std::getenv("PATH");
  for (const std::string& dir : Split(path ? path : "", ':')) {
    if (access((dir + "/mpirun").c_str(), X_OK) == 0) return {"mpirun", dir + "/mpirun", ""};
  }
  return {"mpirun", "not in PATH", "needed for several processes: apt install openmpi-bin"};
}

Finding OneDnn() {
  const dnnl_version_t* v = dnnl_version();
  return {"oneDNN", fmt::format("{} ({} threads runtime)", OneDnnVersion(),
                                v->cpu_runtime == DNNL_RUNTIME_OMP ? "OpenMP" : "other"),
          v->cpu_runtime == DNNL_RUNTIME_OMP ? "" : "expected the OpenMP build"};
}

Finding Limit(const char* name, int resource, rlim_t least, const char* why) {
  rlimit limit{};
  getrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
  const bool unlimited = limit.rlim_cur == RLIM_INFINITY;
  return {name, unlimited ? "unlimited" : fmt::format("{}", limit.rlim_cur),
          !unlimited && limit.rlim_cur < least ? why : ""};
}

// What a checkpoint pays for being durable, in the working folder.
Finding Fsync() {
  const std::string path = fmt::format(".tributary-doctor-{}", getpid());
  const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
  if (fd < 0) return {"fsync", "not measured", "the working folder is not writable"};
  unlink(path.c_str());
  const std::string block(1 << 16, 'x');
  double worst = 0, sum = 0;
  constexpr int kTrials = 8;
  for (int i = 0; i < kTrials; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const bool fine = write(fd, block.data(), block.size()) == static_cast<ssize_t>(block.size()) &&
                      fsync(fd) == 0;
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (!fine) {
      close(fd);
      return {"fsync", "failed", "checkpoints can't be made durable here"};
    }
    worst = std::max(worst, ms);
    sum += ms;
  }
  close(fd);
  return {"fsync", fmt::format("{:.2f} ms for 64 KiB (worst {:.2f})", sum / kTrials, worst),
          sum / kTrials > 200 ? "slow: save checkpoints less often" : ""};
}

Finding Disk() {
  const int64_t free = PosixEnv()->FreeBytes(".");
  return {"disk", FormatBytes(free) + " free here",
          free < (int64_t{100} << 20) ? "less than 100 MiB for checkpoints" : ""};
}

Finding DataFolders() {
  const std::vector<std::string> dirs = data::DataDirs(PosixEnv());
  const std::string mnist = data::FindDataFile(PosixEnv(), "mnist", {"t10k-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte"});
  const char* set = std::getenv("TRIBUTARY_DATA_DIR");
  if (set && *set && !PosixEnv()->IsDirectory(set)) {
    return {"data folder", set, "TRIBUTARY_DATA_DIR names no folder"};
  }
  return {"data folder", (dirs.empty() ? "none" : Join(dirs, ", ")) + (mnist.empty() ? "" : " (has MNIST)"),
          mnist.empty() ? "no MNIST: run launch/scripts/fetch_data mnist, or use source: digits" : ""};
}

Finding LaunchedBy() {
  const Cluster cluster = ResolveCluster();
  return {"launch", fmt::format("{}: {} of {}, {}", cluster.resolver, cluster.task.ToString(),
                                cluster.world_size, cluster.host), ""};
}

std::vector<Finding> Examine() {
  std::vector<Finding> findings;
  for (const auto& [name, value] : BuildFacts()) findings.push_back({name, value, ""});
  findings.push_back({"CPU", CpuField("model name"), ""});
  for (const auto& examine : {Isa, Cores, Memory, SharedMemory, OneDnn, Mpi, Mpirun, LaunchedBy,
                              Disk, Fsync, DataFolders}) {
    try {
      findings.push_back(examine());
    } catch (const std::exception& e) {
      findings.push_back({"?", "", e.what()});
    }
  }
  findings.push_back(Limit("open files", RLIMIT_NOFILE, 256, "fewer than 256: raise ulimit -n"));
  findings.push_back(Limit("locked memory", RLIMIT_MEMLOCK, 0, ""));
  findings.push_back(Limit("stack bytes", RLIMIT_STACK, 1 << 20, "less than 1 MiB: raise ulimit -s"));
  return findings;
}

std::function<int()> SetUp(const CommandLine& line) {
  auto json = std::make_shared<bool>(false);
  line.Add("--json", json.get(), "One JSON object");
  return [json] {
    const std::vector<Finding> findings = Examine();
    int warnings = 0;
    nlohmann::ordered_json object;
    for (const Finding& finding : findings) {
      object[finding.name] = {{"value", finding.value}};
      if (!finding.warning.empty()) object[finding.name]["warning"] = finding.warning;
      warnings += !finding.warning.empty();
      if (*json) continue;
      fmt::print("{:<17} {}\n", finding.name, finding.value);
      if (!finding.warning.empty()) fmt::print("{:<17} ! {}\n", "", finding.warning);
    }
    if (*json) fmt::print("{}\n", object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    else fmt::print("{}\n", warnings == 0 ? "nothing is wrong" : fmt::format("{} warning{}", warnings, warnings == 1 ? "" : "s"));
    return static_cast<int>(kExitOk);
  };
}

const CommandRegistrar registrar("doctor", {"Examine this machine", 7, SetUp, true});

}  // namespace
}  // namespace tributary
