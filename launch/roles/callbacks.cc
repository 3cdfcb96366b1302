#include "launch/roles/callbacks.h"

#include "launch/config/block_callbacks.h"
#include "launch/config/yaml_writer.h"
#include "launch/roles/terminal.h"
#include "trainer/callbacks/progress.h"

namespace tributary {
namespace {

void Set(OptionNode::Map* options, const std::string& key, OptionNode value) {
  for (OptionNode::Entry& entry : *options) {
    if (entry.key == key) {
      entry.value = std::move(value);
      return;
    }
  }
  options->push_back({key, std::move(value)});
}

OptionNode::Map CheckpointOptions(const Options& block) {
  OptionNode::Map options = {{"every", block.Every("every").ToString()},
                             {"max_to_keep", block.Int("keep")},
                             {"keep_every_n_hours", block.Float("keep_every_n_hours")},
                             {"resume", block.String("resume")}};
  if (block.Has("best")) options.push_back({"best", block.String("best")});
  if (block.Every("every").never()) options.push_back({"save_at_end", false});
  return options;
}

OptionNode::Map SummaryOptions(const Options& block) {
  return {{"every", block.Every("every").ToString()},
          {"histograms", block.Every("histograms").ToString()},
          {"images", block.Int("images")},
          {"write_graph", block.Bool("graph")}};
}

bool HasSummary(const Options& block) {
  return !block.Every("every").never() || !block.Every("histograms").never() ||
         block.Int("images") > 0;
}

// The job's callback that stands for the one that a block makes; null: none.
const Options* FindOwn(const std::vector<Options>& callbacks, const char* name) {
  for (const Options& options : callbacks) {
    if (options.name() == name && StandsForBlock(options)) return &options;
  }
  return nullptr;
}

// What somebody has written down in `own` comes before what its block says.
void Override(const Options& own, OptionNode::Map* options) {
  const OptionNode written = own.ToNode();
  for (const OptionNode::Entry& entry : *written.AsMap()->front().value.AsMap()) {
    if (own.Origin(entry.key) != "default") Set(options, entry.key, entry.value);
  }
}

OptionNode::Map CheckpointOptionsOf(const JobConfig& job) {
  const std::vector<Options> own = job.options.Children("callbacks");
  OptionNode::Map options = CheckpointOptions(job.checkpoint());
  if (const Options* callback = FindOwn(own, "ModelCheckpoint")) Override(*callback, &options);
  return options;
}

// A job goes on from its own checkpoints, not from what another callback keeps as well.
CallbackPtr Beside(const Options& options, const CallbackContext& context) {
  if (options.name() != "ModelCheckpoint" || options.Origin("resume") != "default") {
    return Callbacks().Build(options, context);
  }
  OptionNode::Map own = {{"resume", "never"}};
  Override(options, &own);
  return Callbacks().Make("ModelCheckpoint", std::move(own), context);
}

}  // namespace

std::string ResumeMode(const JobConfig& job) {
  for (const OptionNode::Entry& entry : CheckpointOptionsOf(job)) {
    if (entry.key == "resume") return *entry.value.AsString();
  }
  return "auto";
}

std::vector<CallbackPtr> MakeCallbacks(const JobConfig& job, const RunDir& dir, bool quiet) {
  const CallbackContext context{.run_dir = dir.path(), .job_text = WriteYaml(ForWriting(job.options))};
  const std::vector<Options> own = job.options.Children("callbacks");
  std::vector<CallbackPtr> callbacks;
  for (const Options& options : own) {
    if (!StandsForBlock(options)) callbacks.push_back(Beside(options, context));
  }
  const Options* summaries = FindOwn(own, "TensorBoard");
  if (summaries || HasSummary(job.summary())) {
    OptionNode::Map options = SummaryOptions(job.summary());
    if (summaries) Override(*summaries, &options);
    callbacks.push_back(Callbacks().Make("TensorBoard", std::move(options), context));
  }
  if (!quiet) {
    ProgressOptions options{.terminal = OutputIsTerminal()};
    if (const Options* progress = FindOwn(own, "Progress")) {
      options.every = progress->Every("every");
    }
    callbacks.push_back(MakeProgress(std::move(options)));
  }
  callbacks.push_back(
      Callbacks().Make("ModelCheckpoint", CheckpointOptionsOf(job), context));
  return callbacks;
}

}  // namespace tributary
