// tributary predict JOB: a saved model's outputs, as .npy or on the terminal.

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/io/env.h"
#include "core/tensor/npy.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "launch/cli/job_arguments.h"
#include "launch/roles/job_run.h"

namespace tributary {
namespace {

struct Arguments : SavedModelArguments {
  std::string output;
  int64_t limit = 0;
  bool json = false;
};

// Class and its score for rows of scores, else the values.
std::string RowText(const Tensor& output, int64_t row) {
  const int64_t width = output.NumElements() / std::max<int64_t>(output.dim(0), 1);
  const float* values = output.data<float>() + row * width;
  if (output.rank() == 2 && width > 1) {
    const int64_t top = std::max_element(values, values + width) - values;
    return fmt::format("class {}  ({:.4f})", top, values[top]);
  }
  return fmt::format("{:.4f}", fmt::join(values, values + std::min<int64_t>(width, 8), " ")) +
         (width > 8 ? " ..." : "");
}

// Its bytes are then all that standard output gets.
bool IsStandardOutput(const std::string& file) {
  struct stat target, out;
  return !file.empty() && ::stat(file.c_str(), &target) == 0 && ::fstat(STDOUT_FILENO, &out) == 0 &&
         target.st_dev == out.st_dev && target.st_ino == out.st_ino && !S_ISCHR(out.st_mode);
}

int Predict(const JobConfig& job, const Arguments& arguments) {
  SetComputeThreads(job, 1);
  JobRun run(job, MakeLocalStrategy(job),
             arguments.set == "train" ? JobData::kAll : JobData::kWithoutTrain);
  data::Dataset set = run.Set(arguments.set);
  const std::string checkpoint = JobRun::FindCheckpoint(job, arguments.checkpoint);
  run.RestoreModel(checkpoint);
  if (arguments.limit > 0) {
    const int64_t batches = (arguments.limit + set.batch_size() - 1) / set.batch_size();
    set = set.Take(batches);
  }
  std::vector<Tensor> outputs = run.trainer->Predict(set);
  for (Tensor& output : outputs) {
    if (arguments.limit > 0 && output.dim(0) > arguments.limit) {
      output = output.Slice(0, arguments.limit);
    }
  }
  const bool quiet = IsStandardOutput(arguments.output);
  nlohmann::ordered_json json = {{"job", job.name}, {"checkpoint", checkpoint}};
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::string file = arguments.output;
    if (!file.empty() && outputs.size() > 1) {
      file.insert(file.size() - (file.ends_with(".npy") ? 4 : 0), fmt::format("-{}", i));
    }
    if (IsStandardOutput(file)) {  // goes on where it stands, whatever that is
      const std::string bytes = SerializeNpy(outputs[i]);
      std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    } else if (!file.empty()) {
      WriteNpy(PosixEnv(), file, outputs[i]);
    }
    json["outputs"].push_back({{"shape", outputs[i].shape().dims()}, {"file", file}});
  }
  if (quiet) return kExitOk;
  if (arguments.json) {
    fmt::print("{}\n", json.dump(2));
    return kExitOk;
  }
  const int64_t shown = arguments.output.empty() ? outputs[0].dim(0) : 0;
  for (int64_t row = 0; row < shown; ++row) fmt::print("{}: {}\n", row, RowText(outputs[0], row));
  if (!arguments.output.empty()) {
    fmt::print("{} rows of {} in {}\n", outputs[0].dim(0), checkpoint, arguments.output);
  }
  return kExitOk;
}

std::function<int()> SetUp(const CommandLine& line) {
  auto job = AddJobArguments(line);
  auto arguments = std::make_shared<Arguments>();
  AddSavedModelArguments(line, arguments.get());
  line.Add("--output", &arguments->output, "Write the outputs into this .npy file, or a pipe");
  line.Add("--limit", &arguments->limit, "Only so many examples").Positive();
  line.Add("--json", &arguments->json, "One JSON object about what was written");
  return [=] { return Predict(job->Load(), *arguments); };
}

const CommandRegistrar registrar("predict", {"Run a saved model on data", 3, SetUp, true});

}  // namespace
}  // namespace tributary
