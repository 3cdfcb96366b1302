#include "launch/roles/run_dir.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/logging.h"
#include "core/base/strings.h"
#include "core/io/env.h"
#include "launch/config/block_callbacks.h"
#include "launch/config/yaml_writer.h"
#include "launch/roles/callbacks.h"
#include "trainer/checkpoint/checkpoint_state.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kMadeBy = "# Resolved from ";  // how our job.yaml begins

bool IsFresh(const JobConfig& job, bool fresh) {
  return fresh || ResumeMode(job) == "never";
}

// `runs/a/` and `runs/./a` are `runs/a`.
std::string Normal(const std::string& path) {
  std::string normal = fs::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

// `runs/a` to the first of runs/a.1, runs/a.2, ... that is free.
// A link stays, and leads to a new folder.
void MoveAside(const std::string& asked) {
  Env* env = PosixEnv();
  const bool link = fs::is_symlink(asked);
  const std::string path = link ? fs::canonical(asked).string() : asked;
  int n = 1;
  while (env->Exists(fmt::format("{}.{}", path, n))) ++n;
  const std::string aside = fmt::format("{}.{}", path, n);
  env->Rename(path, aside);
  if (link) env->CreateDirs(path);
  LogInfo("[job] the earlier run in {} is now {}", path, aside);
}

// Whether this process works in `path` or below it: its paths would lead elsewhere.
bool HoldsWorkingFolder(const std::string& path) {
  std::error_code code;
  const fs::path folder = fs::canonical(path, code);
  if (code) return false;
  const fs::path here = fs::current_path(code);
  return std::mismatch(folder.begin(), folder.end(), here.begin(), here.end()).first ==
         folder.end();
}

}  // namespace

std::string RunDir::log_file(const std::string& task_type, int task_index) const {
  return fmt::format("{}/logs/{}-{}.log", path_, task_type, task_index);
}

// Permission bits do not tell of /proc and of file systems that are read-only.
void RunDir::CheckWritable() const {
  Env* env = PosixEnv();
  std::string folder = Normal(path_);
  while (!env->Exists(folder) && folder != "." && folder != "/") folder = DirName(folder);
  if (!env->IsDirectory(folder)) {
    throw AlreadyExistsError("[run_dir] {} can't be made: {} is there and is no folder; take "
                             "another run_dir", path_, folder);
  }
  std::string probe = JoinPath(folder, ".tributary-XXXXXX");
  if (!mkdtemp(probe.data())) {
    throw PermissionDeniedError("[run_dir] {} can't be written: nothing can be made in {}: {}; "
                                "take another run_dir", path_, folder, std::strerror(errno));
  }
  rmdir(probe.c_str());
}

// Our job.yaml, or checkpoints that this or another program of ours has written.
bool RunDir::IsRun() const {
  Env* env = PosixEnv();
  const std::string job = path_ + "/job.yaml";
  if (env->Exists(job) && !env->IsDirectory(job)) {
    std::ifstream file(job);
    std::string line;
    if (std::getline(file, line) && StartsWith(line, kMadeBy)) return true;
  }
  return env->Exists(checkpoints() + "/checkpoint") ||
         !LatestCheckpoint(env, checkpoints()).empty();
}

bool RunDir::WouldMoveAside(const JobConfig& job, bool fresh) const {
  if (!IsFresh(job, fresh)) return false;
  if (fresh && ResumeMode(job) == "required") {
    throw FailedPreconditionError("[job] checkpoint.resume: required goes on from a checkpoint, and "
                                  "--fresh starts over; leave one of them out");
  }
  Env* env = PosixEnv();
  if (!env->IsDirectory(path_)) return false;
  // What processes of a job write that come before its chief is no run yet.
  const std::vector<std::string> files = env->List(path_);
  const bool nothing = std::all_of(files.begin(), files.end(), [&](const std::string& file) {
    if (file == "summaries") {
      const std::vector<std::string> below = env->List(summaries());
      return below.empty() || below == std::vector<std::string>{"evaluator"};
    }
    return file == "cluster" || file == "logs" || file == "ps" ||
           StartsWith(file, "job.yaml.tmp-") || StartsWith(file, ".tributary-");
  });
  if (nothing) return false;
  if (!IsRun()) {
    throw AlreadyExistsError("[job] a fresh start would move {} aside, and that is no run of "
                             "Tributary (it holds no job.yaml of a run and no checkpoints); take "
                             "another run_dir", path_);
  }
  if (HoldsWorkingFolder(path_)) {
    throw AlreadyExistsError("[job] a fresh start would move {} aside, and this process works in "
                             "it; start from another folder, or take another run_dir", path_);
  }
  return true;
}

void RunDir::Prepare(const JobConfig& job, bool fresh) const {
  Env* env = PosixEnv();
  CheckWritable();
  if (WouldMoveAside(job, fresh)) {
    MoveAside(Normal(path_));
  } else if (!IsFresh(job, fresh)) {
    if (ResumeMode(job) == "required" && LatestCheckpoint(env, checkpoints()).empty()) {
      throw NotFoundError("[job] there is no checkpoint in {} to go on from, and checkpoint.resume "
                          "is required; look at run_dir, or take resume: auto to start from "
                          "nothing", checkpoints());
    }
    CompareWithBefore(job);
  }
  env->CreateDirs(path_ + "/logs");
  WriteFileAtomically(env, path_ + "/job.yaml",
                      fmt::format("{}{}; hash {}.\n{}", kMadeBy, job.file, job.Hash(),
                                  WriteYaml(ForWriting(job.options))));
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
