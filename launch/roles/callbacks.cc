#include "launch/roles/callbacks.h"

#include "launch/config/yaml_writer.h"

namespace tributary {
namespace {

OptionNode CheckpointOptions(const Options& block) {
  OptionNode::Map options = {{"every", block.Every("every").ToString()},
                             {"max_to_keep", block.Int("keep")},
                             {"keep_every_n_hours", block.Float("keep_every_n_hours")},
                             {"resume", block.String("resume")}};
  if (block.Has("best")) options.push_back({"best", block.String("best")});
  if (block.Every("every").never()) options.push_back({"save_at_end", false});
  return options;
}

}  // namespace

std::vector<CallbackPtr> MakeCallbacks(const JobConfig& job, const RunDir& dir, bool quiet) {
  const CallbackContext context{.run_dir = dir.path(), .job_text = WriteYaml(job.options)};
  std::vector<CallbackPtr> callbacks;
  for (const Options& options : job.options.Children("callbacks")) {
    callbacks.push_back(Callbacks().Build(options, context));
  }
  const Options& summary = job.summary();
  if (!summary.Every("every").never() || !summary.Every("histograms").never() ||
      summary.Int("images") > 0) {
    callbacks.push_back(Callbacks().Make(
        "TensorBoard",
        {{"every", summary.Every("every").ToString()},
         {"histograms", summary.Every("histograms").ToString()},
         {"images", summary.Int("images")},
         {"write_graph", summary.Bool("graph")}},
        context));
  }
  if (!quiet) callbacks.push_back(Callbacks().Make("Progress", OptionNode::Map(), context));
  callbacks.push_back(
      Callbacks().Make("ModelCheckpoint", CheckpointOptions(job.checkpoint()), context));
  return callbacks;
}

}  // namespace tributary
