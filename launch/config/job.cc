#include "launch/config/job.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/option_check.h"
#include "core/base/strings.h"
#include "launch/config/job_checks.h"
#include "launch/config/job_schema.h"
#include "launch/config/key_hints.h"
#include "launch/config/overrides.h"
#include "launch/config/paths.h"
#include "launch/config/yaml_reader.h"

namespace tributary {
namespace {

constexpr size_t kMaxJobBytes = YamlLimits().bytes + 1;

void ApplyOverrides(const JobSources& from, Sources* sources, OptionNode* root,
                    std::vector<OptionProblem>* problems) {
  if (const char* text = std::getenv("TRIBUTARY_SET"); text && from.environment) {
    for (const std::string& assignment : Split(text, ';')) {
      if (Trim(assignment).empty()) continue;
      const int source = sources->Add("env TRIBUTARY_SET", std::string(Trim(assignment)));
      ApplyOverride(sources->Text(source), source, JobTable(), root, problems);
    }
  }
  for (size_t i = 0; i < from.overrides.size(); ++i) {
    const int source = sources->Add(fmt::format("--set #{}", i + 1), from.overrides[i]);
    ApplyOverride(from.overrides[i], source, JobTable(), root, problems);
  }
}

nlohmann::json Sorted(const Options& options) {
  return nlohmann::json::parse(options.ToJson());  // an object whose keys sort
}

// What the job is called and where it writes, also where nobody has said so.
Options WithPlace(const Options& options, const std::string& name, const std::string& run_dir) {
  auto data = std::make_shared<Options::Data>(options.data());
  for (Options::Data::Entry& entry : data->entries) {
    if (options.Has(entry.name)) continue;
    if (entry.name == "job") {
      entry.value.v = name;
      entry.origin = "the file's name";
    } else if (entry.name == "run_dir") {
      entry.value.v = run_dir;
    }
  }
  return Options(std::move(data));
}

}  // namespace

std::string JobConfig::CanonicalJson() const { return Sorted(options).dump(); }

std::string JobConfig::Hash() const {
  nlohmann::json json = Sorted(options);
  for (const char* key : {"job", "run_dir", "checkpoint", "summary", "cluster"}) json.erase(key);
  uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a
  for (const char c : json.dump()) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  }
  return fmt::format("{:016x}", hash);
}

JobConfig ParseJob(const std::string& text, const std::string& file, const JobSources& from) {
  Sources sources;
  std::vector<OptionProblem> problems;
  const int main_source = sources.Add(file, text);
  sources.SetIsFile(main_source);
  OptionNode root = ReadYaml(text, main_source, &problems);
  if (root.IsNull() && problems.empty()) {
    throw ConfigError(sources, {{{main_source, 1, 1}, "", "the job is empty"}});
  }
  ApplyOverrides(from, &sources, &root, &problems);
  OptionCheckContext context;
  context.origin = [&](const OptionMark& mark) { return sources.Where(mark); };
  context.hint = WhereKeyBelongs;
  if (from.check_files) context.find_path = CheckInputPath;
  JobConfig job;
  job.file = file;
  job.text = text;
  // Without a readable tree every key would be missing: say only what stopped it.
  if (!root.IsNull() || problems.empty()) {
    job.options =
        CheckOptions(JobTable(), root, "", {main_source, 1, 1}, context, &problems);
  }
  CheckJob(job.options, root, from.processes, &problems);
  if (!problems.empty()) throw ConfigError(sources, std::move(problems));
  job.name = job.options.Has("job") ? job.options.String("job")
                                    : std::filesystem::path(file).stem().string();
  if (job.name.empty()) job.name = "job";
  job.run_dir = job.options.Has("run_dir") ? job.options.String("run_dir")
                                           : "runs/" + job.name;
  job.options = WithPlace(job.options, job.name, job.run_dir);
  job.seed = static_cast<uint64_t>(job.options.Int("seed"));
  return job;
}

JobConfig LoadJob(const std::string& path, const JobSources& from) {
  std::error_code code;
  if (!std::filesystem::exists(path, code)) {
    throw NotFoundError("[job] there is no file '{}'{}", path, NearPath(path));
  }
  if (std::filesystem::is_directory(path, code)) {
    throw NotFoundError("[job] '{}' is a folder; expected a YAML file", path);
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    throw PermissionDeniedError("[job] '{}' cannot be read: {}", path, std::strerror(errno));
  }
  std::string text(kMaxJobBytes, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  return ParseJob(text, path, from);
}

}  // namespace tributary
