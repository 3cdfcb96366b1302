#include "tests/multiprocess/ps_job.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/io/bundle_reader.h"
#include "core/io/env.h"
#include "trainer/checkpoint/checkpoint_state.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using SteadyClock = std::chrono::steady_clock;

// Clicks that need no data set; a step takes about a millisecond.
constexpr char kJob[] = R"(job: ps_clicks
seed: 5
data:
  train:
    source: zipf
    ids: [10, 1000, 5000]
    dense: 4
    exponent: 1.05
    count: 4096
    seed: 7
    shuffle: 4096
    batch: 64
model:
  - DLRM:
      features:
        dense: {Numeric: {width: 4, normalize: false}}
        c0: {Identity: {buckets: 10}}
        c1: {Identity: {buckets: 1000}}
        c2: {Hashed: {dtype: int64, buckets: 500}}
      embedding_dim: 8
      bottom_units: [16, 8]
      top_units: [16]
loss: BinaryCrossentropy
optimizer: {Adam: {learning_rate: 1.0e-3, lazy: true}}
checkpoint: {every: 20 steps, keep: 3}
strategy: {ParameterServer: {}}
)";

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The third field of a process's state, and its parent: {'R', 1}.
std::pair<char, pid_t> StateOf(pid_t pid) {
  const std::string text = ReadAll("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {0, 0};
  std::istringstream rest(text.substr(name_end + 1));
  char state = 0;
  pid_t parent = 0;
  rest >> state >> parent;
  return {state, parent};
}

}  // namespace

pid_t ParentOf(pid_t pid) { return StateOf(pid).second; }

bool IsThere(pid_t pid) {
  const char state = StateOf(pid).first;
  return state != 0 && state != 'Z' && state != 'X';
}

// --- PsJob -----------------------------------------------------------------------------------

PsJob::PsJob(const std::string& folder, const std::string& name, PsJobOptions options)
    : folder_(folder), run_dir_(folder + "/" + name), output_file_(folder + "/" + name + ".out"),
      options_(std::move(options)) {
  std::ofstream(folder_ + "/job.yaml") << kJob;
}

PsJob::~PsJob() {
  if (launcher_ > 0) {
    kill(launcher_, SIGKILL);
    waitpid(launcher_, nullptr, 0);
  }
  for (const pid_t pid : Processes()) kill(pid, SIGKILL);
}

std::vector<std::string> PsJob::CommandLine() const {
  std::vector<std::string> line;
  const PsJobOptions& o = options_;
  const bool one = o.carrier == "inproc";
  if (!one) {
    line = {"mpirun", "--oversubscribe", "--bind-to", "none", "-n",
            std::to_string(1 + o.workers + o.servers)};
    if (geteuid() == 0) line.push_back("--allow-run-as-root");
  }
  const auto set = [&](const std::string& what) {
    line.push_back("--set");
    line.push_back(what);
  };
  line.insert(line.end(), {TRIBUTARY_PROGRAM, "train", folder_ + "/job.yaml"});
  set("run_dir=" + run_dir_);
  set("train.epochs=" + std::to_string(o.epochs));
  set("strategy.ParameterServer.consistency=" + o.consistency);
  set("strategy.ParameterServer.servers=" + std::to_string(o.servers));
  set("strategy.ParameterServer.carrier=" + o.carrier);
  if (one) set("strategy.ParameterServer.workers=" + std::to_string(o.workers));
  std::istringstream more(o.more);
  for (std::string word; more >> word;) line.push_back(word);
  return line;
}

void PsJob::Start() {
  ASSERT_EQ(launcher_, 0) << "it runs already";
  const std::vector<std::string> line = CommandLine();
  std::vector<char*> arguments;
  for (const std::string& word : line) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int out = open(output_file_.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_APPEND | O_CLOEXEC,
                       0644);
  ASSERT_GE(out, 0) << output_file_;
  launcher_ = fork();
  if (launcher_ == 0) {
    setpgid(0, 0);  // a terminal's Ctrl-C is the test's alone
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(out, 1);
    dup2(out, 2);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(out);
}

int PsJob::Wait(double seconds) {
  int status = 0;
  const bool ended = WaitFor("the end of the job", seconds, [&] {
    return waitpid(launcher_, &status, WNOHANG) == launcher_;
  });
  if (!ended) return -1;
  launcher_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool PsJob::WaitFor(const std::string& what, double seconds,
                    const std::function<bool()>& condition) {
  const auto give_up = SteadyClock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (SteadyClock::now() >= give_up) {
      ADD_FAILURE() << "waited " << seconds << " s for " << what << "\n" << Output();
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

bool PsJob::WaitForStep(int64_t step, double seconds) {
  return WaitFor("step " + std::to_string(step), seconds, [&] { return LatestStep() >= step; });
}

bool PsJob::WaitForOutput(const std::string& text, double seconds, int times) {
  return WaitFor("'" + text + "'", seconds, [&] { return Count(text) >= times; });
}

std::string PsJob::Output() const { return ReadAll(output_file_); }

int PsJob::Count(const std::string& text) const {
  const std::string output = Output();
  int found = 0;
  for (size_t at = output.find(text); at != std::string::npos; at = output.find(text, at + 1)) {
    ++found;
  }
  return found;
}

int64_t PsJob::LatestStep() const {
  int64_t latest = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run_dir_ + "/checkpoints", error)) {
    const std::string name = entry.path().filename();
    if (name.find("ckpt-") != 0 || !name.ends_with(".index")) continue;
    latest = std::max<int64_t>(latest, std::strtoll(name.c_str() + 5, nullptr, 10));
  }
  return latest;
}

pid_t PsJob::PidOf(const std::string& task) const {
  return std::atoi(ReadAll(run_dir_ + "/cluster/" + task).c_str());
}

void PsJob::Signal(const std::string& task, int number) {
  const pid_t pid = PidOf(task);
  if (pid <= 1 || kill(pid, number) != 0) {
    ADD_FAILURE() << "there is no " << task << " to signal: pid " << pid << "\n" << Output();
  }
}

std::vector<pid_t> PsJob::Processes() const {
  std::vector<pid_t> pids;
  const std::string mark = "run_dir=" + run_dir_;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::string text = ReadAll(entry.path().string() + "/cmdline");
    std::replace(text.begin(), text.end(), '\0', ' ');
    if (text.find(mark + " ") == std::string::npos) continue;
    if (IsThere(std::stoi(name))) pids.push_back(std::stoi(name));
  }
  return pids;
}

// --- What it has learnt ----------------------------------------------------------------------

namespace {

std::vector<float> Values(const BundleReader& reader, const std::string& name) {
  const Tensor t = reader.Read(name);
  return {t.data<float>(), t.data<float>() + t.NumElements()};
}

// A table's rows, whatever order its servers wrote them in.
void ReadRows(const BundleReader& reader, const std::string& table, PsState* state) {
  const Tensor ids = reader.Read(table + "/ids");
  const auto rows = static_cast<size_t>(ids.NumElements());
  for (const auto& [name, info] : reader.tensors()) {
    if (name.find(table + "/") != 0 || info.dtype_name != "float32" || rows == 0) continue;
    const std::vector<float> all = Values(reader, name);
    const size_t width = all.size() / rows;
    for (size_t r = 0; r < rows; ++r) {
      const std::string key = name + "[" + std::to_string(ids.data<int64_t>()[r]) + "]";
      EXPECT_FALSE(state->contains(key)) << key << " is there twice";
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(r * width);
      (*state)[key].assign(first, first + static_cast<std::ptrdiff_t>(width));
    }
  }
}

}  // namespace

PsState FinalState(const std::string& run_dir) {
  const std::string prefix = LatestCheckpoint(PosixEnv(), run_dir + "/checkpoints");
  EXPECT_NE(prefix, "") << run_dir;
  PsState state;
  if (prefix.empty()) return state;
  const BundleReader reader(PosixEnv(), prefix);
  std::vector<std::string> tables;
  for (const auto& [name, info] : reader.tensors()) {
    if (name.ends_with("/ids")) tables.push_back(name.substr(0, name.size() - 4));
  }
  for (const std::string& table : tables) ReadRows(reader, table, &state);
  for (const auto& [name, info] : reader.tensors()) {
    const bool row = std::any_of(tables.begin(), tables.end(), [&](const std::string& table) {
      return name.find(table + "/") == 0;
    });
    if (row || info.dtype_name != "float32") continue;
    state[name] = Values(reader, name);
  }
  EXPECT_GE(state.size(), 10u) << prefix;
  return state;
}

double LargestDifference(const PsState& a, const PsState& b) {
  double largest = 0;
  for (const auto& [name, values] : a) {
    const auto it = b.find(name);
    if (it == b.end()) continue;
    EXPECT_EQ(values.size(), it->second.size()) << name;
    for (size_t i = 0; i < std::min(values.size(), it->second.size()); ++i) {
      largest = std::max(largest, static_cast<double>(std::abs(values[i] - it->second[i])));
    }
  }
  return largest;
}

}  // namespace tributary
