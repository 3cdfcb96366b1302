#include "distribute/cluster/resolvers/tf_config.h"

#include <nlohmann/json.hpp>

namespace tributary {
namespace {

using Json = nlohmann::json;

template <typename... Args>
[[noreturn]] void Bad(fmt::format_string<Args...> format, Args&&... args) {
  throw InvalidArgumentError("[cluster] TF_CONFIG: {}",
                             fmt::format(format, std::forward<Args>(args)...));
}

Json ParseJson(const std::string& text) {
  // The library keeps the last of two equal keys; a cluster with a job given
  // twice must be refused.
  std::vector<std::set<std::string>> keys;
  const auto on_event = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      Bad("key '{}' is given twice", value.get<std::string>());
    }
    return true;
  };
  try {
    return Json::parse(text, on_event);
  } catch (const Json::parse_error& e) {
    const size_t at = e.byte > 0 ? e.byte - 1 : 0;
    const size_t from = at > 20 ? at - 20 : 0;
    Bad("not valid JSON at byte {}, near `{}`; check quotes and commas", e.byte,
        text.substr(std::min(from, text.size()), 40));
  }
}

const Json* Find(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

int ToIndex(const Json& value, const std::string& path) {
  int64_t index = -1;
  if (value.is_number_integer()) {
    index = value.get<int64_t>();
  } else if (value.is_string()) {
    const std::string text = value.get<std::string>();
    const bool digits = !text.empty() && text.size() < 10 &&
                        text.find_first_not_of("0123456789") == std::string::npos;
    if (digits) index = std::stoi(text);
  }
  if (index < 0 || index > 1'000'000) {
    Bad("{}: expected an index, got {}", path, value.dump());
  }
  return static_cast<int>(index);
}

void AddTask(ClusterSpec& spec, const Task& task, const Json& address, const std::string& path) {
  if (!address.is_string() || address.get<std::string>().empty()) {
    Bad("{}: expected \"host:port\", got {}", path, address.dump());
  }
  spec.AddTask(task, address.get<std::string>());
}

ClusterSpec ToSpec(const Json& cluster) {
  ClusterSpec spec;
  if (!cluster.is_object()) Bad("cluster: expected an object, got {}", cluster.type_name());
  for (const auto& [job, tasks] : cluster.items()) {
    const std::string path = "cluster." + job;
    RoleOf({job, 0});
    if (tasks.is_array()) {
      for (size_t i = 0; i < tasks.size(); ++i) {
        AddTask(spec, {job, static_cast<int>(i)}, tasks[i], fmt::format("{}[{}]", path, i));
      }
    } else if (tasks.is_object()) {
      for (const auto& [key, address] : tasks.items()) {
        AddTask(spec, {job, ToIndex(Json(key), path)}, address, path + "." + key);
      }
    } else {
      Bad("{}: expected a list or an object of addresses, got {}", path, tasks.type_name());
    }
  }
  return spec;
}

std::string HostOf(const std::string& address) { return address.substr(0, address.rfind(':')); }

Task ToTask(const Json& task) {
  if (!task.is_object()) Bad("task: expected an object, got {}", task.type_name());
  const Json *type = Find(task, "type"), *index = Find(task, "index");
  if (type == nullptr || !type->is_string()) Bad("task.type is missing or no text");
  if (index == nullptr) Bad("task.index is missing");
  return {type->get<std::string>(), ToIndex(*index, "task.index")};
}

}  // namespace

Cluster ParseTfConfig(const std::string& text) {
  Cluster cluster;
  if (Trim(text).empty()) return cluster;
  const Json json = ParseJson(text);
  if (!json.is_object()) Bad("expected a JSON object, got {}", json.type_name());
  if (const Json* spec = Find(json, "cluster")) cluster.spec = ToSpec(*spec);
  const Json* task = Find(json, "task");
  if (task != nullptr) {
    // `{"task": {}}` beside an empty cluster is what TensorFlow writes for local runs.
    if (!(cluster.spec.empty() && task->is_object() && task->empty())) cluster.task = ToTask(*task);
  } else if (!cluster.spec.empty()) {
    Bad("`cluster` is given without `task`; every process needs its own task type and index");
  }
  if (cluster.spec.empty() && RoleOf(cluster.task) != Role::kEvaluator) {
    cluster.task = {kWorker, 0};
    return cluster;
  }
  cluster.spec.Validate(cluster.task);
  cluster.is_chief = IsChief(cluster.spec, cluster.task);
  if (cluster.role() == Role::kTrainer) {
    cluster.world_size = WorkerCount(cluster.spec, cluster.task);
    cluster.rank = IdInCluster(cluster.spec, cluster.task);
  }
  if (cluster.spec.HasTask(cluster.task)) {
    const std::string& address = cluster.spec.Address(cluster.task);
    cluster.host = HostOf(address);
  }
  return cluster;
}

namespace {

// Chief and workers reach each other at their addresses. (With parameter servers they
// have nothing to say to each other.)
Cluster ByTcp(Cluster cluster) {
  if (cluster.role() != Role::kTrainer || cluster.world_size == 1 || cluster.spec.HasJob(kPs)) {
    return cluster;
  }
  cluster.communicator = "tcp";
  cluster.local_size = 0;
  int rank = 0;
  for (const Task& task : cluster.spec.Tasks()) {
    if (RoleOf(task) != Role::kTrainer) continue;
    const bool here = HostOf(cluster.spec.Address(task)) == cluster.host;
    cluster.local_size += here;
    cluster.local_rank += here && rank < cluster.rank;
    ++rank;
  }
  return cluster;
}

// Under mpirun both describe the job: they must agree, and MPI carries it.
Cluster Resolve(const Environment& env) {
  Cluster cluster = ParseTfConfig(*env("TF_CONFIG"));
  const ClusterResolver& mpirun = ClusterResolverRegistry().Get("mpirun");
  if (!mpirun.detects(env)) return ByTcp(cluster);
  const Cluster mpi = mpirun.resolve(env);
  if (cluster.spec.empty()) return mpi;
  if (mpi.world_size == 1) return ByTcp(cluster);
  if (cluster.role() != Role::kTrainer || cluster.world_size != mpi.world_size ||
      cluster.rank != mpi.rank) {
    throw InvalidArgumentError(
        "[cluster] TF_CONFIG says {} ({} of {}), mpirun says rank {} of {}; unset TF_CONFIG, or "
        "give each rank its own",
        cluster.task.ToString(), cluster.rank, cluster.world_size, mpi.rank, mpi.world_size);
  }
  cluster.communicator = mpi.communicator;
  cluster.local_rank = mpi.local_rank;
  cluster.local_size = mpi.local_size;
  return cluster;
}

TRB_REGISTER_CLUSTER_RESOLVER(
    "tf_config", {.priority = 30,
                  .detects = [](const Environment& env) { return env("TF_CONFIG").has_value(); },
                  .resolve = Resolve});

}  // namespace
}  // namespace tributary
