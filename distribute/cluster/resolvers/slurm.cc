// A step started by srun. The variables of the step are read, not those of the
// allocation: a batch script itself is no task (slurm_cluster_resolver.py).

#include "distribute/cluster/resolvers/slurm.h"

#include <charconv>

#include "distribute/cluster/cluster.h"

namespace tributary {
namespace {

constexpr int kMaxTasks = 1 << 20;
constexpr int kPortBase = 8888;  // as TensorFlow's resolver numbers them

[[noreturn]] void BadList(const std::string& text, const char* why) {
  throw InvalidArgumentError("[cluster] Slurm list '{}': {}", text, why);
}

int ToInt(std::string_view digits, const std::string& whole) {
  int value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec != std::errc() || result.ptr != digits.data() + digits.size() || value < 0 ||
      digits.empty()) {
    BadList(whole, "expected a number");
  }
  return value;
}

// Splits at commas outside brackets.
std::vector<std::string> SplitOutside(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    if (c == '[' || c == '(') ++depth;
    if (c == ']' || c == ')') --depth;
    if (depth < 0 || depth > 1) BadList(text, "brackets don't match");
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (depth != 0) BadList(text, "brackets don't match");
  return parts;
}

void ExpandOne(const std::string& part, const std::string& whole,
               std::vector<std::string>& hosts) {
  const size_t open = part.find('[');
  if (open == std::string::npos) {
    if (part.empty()) BadList(whole, "an empty name");
    hosts.push_back(part);
    return;
  }
  if (std::count(part.begin(), part.end(), '[') > 4) BadList(whole, "too many brackets");
  const size_t close = part.find(']', open);
  const std::string head = part.substr(0, open), tail = part.substr(close + 1);
  for (const std::string& range : Split(part.substr(open + 1, close - open - 1), ',')) {
    const size_t dash = range.find('-');
    const std::string first = range.substr(0, dash);
    const int low = ToInt(first, whole);
    const int high =
        dash == std::string::npos ? low : ToInt(std::string_view(range).substr(dash + 1), whole);
    if (high < low || high - low >= kMaxTasks) BadList(whole, "a range is reversed or too long");
    for (int i = low; i <= high; ++i) {
      // Leading zeros are part of the name; a second bracket may follow.
      ExpandOne(fmt::format("{}{:0{}}{}", head, i, first.size(), tail), whole, hosts);
      if (hosts.size() > kMaxTasks) BadList(whole, "too many hosts");
    }
  }
}

}  // namespace

std::vector<std::string> ExpandHostList(const std::string& text) {
  std::vector<std::string> hosts;
  for (const std::string& part : SplitOutside(text)) ExpandOne(part, text, hosts);
  return hosts;
}

std::vector<int> ExpandTasksPerNode(const std::string& text) {
  std::vector<int> counts;
  for (const std::string& part : SplitOutside(text)) {
    const size_t open = part.find("(x");
    const int count = ToInt(std::string_view(part).substr(0, open), text);
    int times = 1;
    if (open != std::string::npos) {
      if (part.back() != ')') BadList(text, "expected N(xM)");
      times = ToInt(std::string_view(part).substr(open + 2, part.size() - open - 3), text);
    }
    if (times > kMaxTasks) BadList(text, "too many nodes");
    counts.insert(counts.end(), times, count);
    if (counts.size() > kMaxTasks) BadList(text, "too many nodes");
  }
  return counts;
}

namespace {

Cluster Resolve(const Environment& env) {
  Cluster cluster;
  cluster.world_size = IntVariable(env, "SLURM_STEP_NUM_TASKS", 1, kMaxTasks);
  if (!env("SLURM_PROCID")) {
    throw FailedPreconditionError(
        "[cluster] SLURM_STEP_NUM_TASKS says that {} tasks were started, but SLURM_PROCID, which "
        "says which of them this is, is missing; pass both on to the program (a container or "
        "`env -i` may drop them), or set cluster.resolver to none to train alone",
        cluster.world_size);
  }
  cluster.rank = IntVariable(env, "SLURM_PROCID", 0, cluster.world_size - 1);
  cluster.task = {kWorker, cluster.rank};
  cluster.is_chief = cluster.rank == 0;
  if (env("PMIX_RANK") || env("PMI_RANK")) cluster.communicator = "mpi";
  const auto nodes = env("SLURM_STEP_NODELIST"), tasks = env("SLURM_STEP_TASKS_PER_NODE");
  if (!nodes || !tasks) {
    for (int i = 0; i < cluster.world_size; ++i) cluster.spec.AddTask({kWorker, i}, "");
    return cluster;
  }
  const std::vector<std::string> hosts = ExpandHostList(*nodes);
  const std::vector<int> counts = ExpandTasksPerNode(*tasks);
  if (hosts.size() != counts.size()) {
    throw InvalidArgumentError(
        "[cluster] SLURM_STEP_NODELIST '{}' names {} hosts, SLURM_STEP_TASKS_PER_NODE '{}' "
        "counts {}",
        *nodes, hosts.size(), *tasks, counts.size());
  }
  int rank = 0;
  for (size_t h = 0; h < hosts.size(); ++h) {
    for (int i = 0; i < counts[h] && rank < cluster.world_size; ++i, ++rank) {
      cluster.spec.AddTask({kWorker, rank}, fmt::format("{}:{}", hosts[h], kPortBase + i));
      if (rank == cluster.rank) {
        cluster.local_rank = i;
        cluster.local_size = counts[h];
        cluster.host = hosts[h];
      }
    }
  }
  if (rank != cluster.world_size) {
    throw InvalidArgumentError("[cluster] SLURM_STEP_TASKS_PER_NODE '{}' sums to {} tasks; "
                               "SLURM_STEP_NUM_TASKS says {}",
                               *tasks, rank, cluster.world_size);
  }
  return cluster;
}

TRB_REGISTER_CLUSTER_RESOLVER(
    "slurm", {.priority = 10,
              .detects =
                  [](const Environment& env) {
                    // One of several that doesn't know which must not train alone.
                    const auto tasks = env("SLURM_STEP_NUM_TASKS");
                    return tasks && (env("SLURM_PROCID") || *tasks != "1");
                  },
              .resolve = Resolve});

}  // namespace
}  // namespace tributary
