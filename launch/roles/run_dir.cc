#include "launch/roles/run_dir.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/logging.h"
#include "core/base/strings.h"
#include "core/io/env.h"
#include "launch/config/yaml_writer.h"
#include "trainer/checkpoint/checkpoint_state.h"

namespace tributary {
namespace {

using Json = nlohmann::json;

bool IsFresh(const JobConfig& job, bool fresh) {
  return fresh || job.checkpoint().String("resume") == "never";
}

// `runs/a` to the first of runs/a.1, runs/a.2, ... that is free.
void MoveAside(const std::string& path) {
  Env* env = PosixEnv();
  if (!env->Exists(path)) return;
  int n = 1;
  while (env->Exists(fmt::format("{}.{}", path, n))) ++n;
  const std::string aside = fmt::format("{}.{}", path, n);
  env->Rename(path, aside);
  LogInfo("[job] the earlier run in {} is now {}", path, aside);
}

}  // namespace

std::string RunDir::log_file(const std::string& task_type, int task_index) const {
  return fmt::format("{}/logs/{}-{}.log", path_, task_type, task_index);
}

void RunDir::Prepare(const JobConfig& job, bool fresh) const {
  Env* env = PosixEnv();
  if (IsFresh(job, fresh)) {
    MoveAside(path_);
  } else {
    CompareWithBefore(job);
  }
  env->CreateDirs(path_ + "/logs");
  WriteFileAtomically(env, path_ + "/job.yaml",
                      fmt::format("# Resolved from {}; hash {}.\n{}", job.file, job.Hash(),
                                  WriteYaml(job.options)));
}

void RunDir::CompareWithBefore(const JobConfig& job) const {
  Env* env = PosixEnv();
  const std::string file = path_ + "/job.yaml";
  if (!env->Exists(file) || LatestCheckpoint(env, checkpoints()).empty()) return;
  JobSources as_written;
  as_written.check_files = false;
  as_written.environment = false;
  std::optional<JobConfig> before;
  try {
    before = LoadJob(file, as_written);
  } catch (const std::exception& e) {
    LogWarning("[job] {} can't be compared with this job: {}", file, e.what());
    return;
  }
  const std::vector<std::string> changes =
      JobDifferences(before->CanonicalJson(), job.CanonicalJson());
  std::vector<std::string> model;
  for (const std::string& change : changes) {
    LogInfo("[job] since the run began: {}", change);
    if (StartsWith(change, "model")) model.push_back(change);
  }
  if (model.empty()) return;
  throw FailedPreconditionError(
      "[job] {} holds a run of another model ({}); expected the same one to go on; use --fresh "
      "to start over (the old run is kept), or another run_dir",
      path_, Join(model, "; "));
}

std::vector<std::string> JobDifferences(const std::string& before, const std::string& after) {
  const Json a = Json::parse(before).flatten(), b = Json::parse(after).flatten();
  const auto name = [](std::string pointer) {
    pointer.erase(0, 1);
    std::replace(pointer.begin(), pointer.end(), '/', '.');
    return pointer;
  };
  std::vector<std::string> changes;
  for (const auto& [key, value] : b.items()) {
    const auto it = a.find(key);
    if (it == a.end()) {
      changes.push_back(fmt::format("{}: nothing -> {}", name(key), value.dump()));
    } else if (*it != value) {
      changes.push_back(fmt::format("{}: {} -> {}", name(key), it->dump(), value.dump()));
    }
  }
  for (const auto& [key, value] : a.items()) {
    if (!b.contains(key)) changes.push_back(fmt::format("{}: {} -> nothing", name(key), value.dump()));
  }
  return changes;
}

}  // namespace tributary
