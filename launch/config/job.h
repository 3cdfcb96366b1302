#pragma once
// A validated job: the YAML file, TRIBUTARY_SET and --set, checked against the
// tables, with where every value came from.

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/options.h"
#include "launch/config/diagnostics.h"

namespace tributary {

struct JobConfig {
  std::string file;     // the YAML's path, or "" when read from text
  std::string name;     // `job`
  std::string run_dir;
  uint64_t seed = 0;
  Options options;      // everything, by JobTable()
  std::string text;     // the YAML as it was written

  const Options& data() const { return options.Child("data"); }
  const Options& train() const { return options.Child("train"); }
  const Options& checkpoint() const { return options.Child("checkpoint"); }
  const Options& summary() const { return options.Child("summary"); }
  const Options& cluster() const { return options.Child("cluster"); }

  // Every value, in one line with sorted keys: equal for equal jobs.
  std::string CanonicalJson() const;
  // 16 hexadecimal digits over what decides the result of a training: all but
  // the job's name and folder and the checkpoint, summary and cluster blocks.
  std::string Hash() const;
};

struct JobSources {
  std::vector<std::string> overrides;  // --set, in order
  // Inputs must exist (not for `config schema` and tests of texts).
  bool check_files = true;
  // Also apply TRIBUTARY_SET, `a.b=c;d=e`. --set comes after it.
  bool environment = true;
  // Processes of this launch, for checks of batch sizes.
  int processes = 1;
};

// Reads and validates. Throws ConfigError with every mistake; NotFoundError (with
// the nearest name) or PermissionDeniedError for the file itself.
JobConfig LoadJob(const std::string& path, const JobSources& sources = {});
// The same for text; `file` is what messages call it.
JobConfig ParseJob(const std::string& text, const std::string& file,
                   const JobSources& sources = {});

}  // namespace tributary
