#include "launch/roles/job_run.h"

#include <cstdlib>

#include "core/base/logging.h"
#include "core/base/parallel.h"
#include "core/io/env.h"
#include "distribute/job/job_context.h"
#include "distribute/strategies/parameter_server/config.h"
#include "launch/roles/model_builder.h"
#include "launch/roles/pipeline.h"
#include "launch/roles/run_dir.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_state.h"
#include "trainer/checkpoint/model_graph.h"
#include "trainer/loop/preprocess.h"
#include "trainer/model/random_seed.h"

namespace tributary {

JobRun::JobRun(const JobConfig& job, std::shared_ptr<Strategy> strategy, JobData which) {
  SetRandomSeed(job.seed);
  const auto read = [&](const char* name) -> std::optional<data::Dataset> {
    if (!job.data().Has(name)) return std::nullopt;
    return MakeDataset(job.data().Child(name), job.seed);
  };
  model = MakeModel(job.options);
  const bool with_train = which != JobData::kWithoutTrain || NeedsAdapt(*model);
  const auto read_others = [&] {
    if (which == JobData::kTrainOnly) return;
    validation = read("validation");
    test = read("test");
  };
  if (!with_train) read_others();
  if (with_train || (!validation && !test)) train = read("train");
  if (with_train) read_others();
  const Preprocessor features(model, train ? *train : test ? *test : *validation);
  for (std::optional<data::Dataset>* set : {&train, &validation, &test}) {
    if (*set) *set = features.Apply(**set);
  }
  TrainerOptions options;
  options.loss = Losses().Build(job.options.Child("loss"));
  options.metrics = job.options.Children("metrics");
  options.optimizer = Optimizers().Build(job.options.Child("optimizer"));
  options.strategy = std::move(strategy);
  options.accumulate_steps = static_cast<int>(job.train().Int("accumulate"));
  options.check_finite = job.train().Bool("terminate_on_nan");
  trainer = std::make_unique<Trainer>(model, std::move(options));
}

const data::Dataset& JobRun::Set(const std::string& name) const {
  const std::optional<data::Dataset>* set = name == "train"        ? &train
                                            : name == "validation" ? &validation
                                            : name == "test"       ? &test
                                                                   : nullptr;
  if (!set) {
    throw InvalidArgumentError("[data] '{}' is no data set; expected train, validation or test",
                               name);
  }
  if (!*set) throw FailedPreconditionError("[data] the job has no data.{}", name);
  return **set;
}

namespace {

const data::Dataset& AnySet(const JobRun& run) {
  return run.train ? *run.train : run.test ? *run.test : *run.validation;
}

}  // namespace

std::string JobRun::Prepare() {
  trainer->Prepare(AnySet(*this).element_spec());
  trainer->CheckLoss();
  std::string facts;
  for (const auto& [name, set] : {std::pair("train", &train), std::pair("validation", &validation),
                                  std::pair("test", &test)}) {
    if (!*set) continue;
    facts += fmt::format("{}{}: {}, {} examples of", facts.empty() ? "" : "; ", name,
                         (*set)->ToString(), (*set)->rows());
    for (const TensorSpec& spec : (*set)->element_spec()) facts += " " + spec.ToString();
  }
  return facts;
}

void JobRun::Build() { trainer->Build(AnySet(*this).element_spec()); }

std::string JobRun::FindCheckpoint(const JobConfig& job, const std::string& prefix) {
  Env* env = PosixEnv();
  const std::string folder = prefix.empty() ? RunDir(job).checkpoints() : prefix;
  std::string path = prefix;
  if (prefix.empty() || env->IsDirectory(prefix)) {
    path = LatestCheckpoint(env, folder);
    if (path.empty()) path = LatestCheckpoint(env, folder + "/checkpoints");
  }
  if (path.empty()) {
    throw NotFoundError("[checkpoint] there is none in {}; train the job first, or name one by "
                        "--checkpoint",
                        folder);
  }
  return path;
}

void JobRun::RestoreModel(const std::string& checkpoint) {
  Build();
  std::vector<Module::Child> parts = trainer->modules();
  std::erase_if(parts, [](const Module::Child& part) { return part.attribute != "model"; });
  CheckpointFile(PosixEnv(), checkpoint).Restore(TrackModules(parts));
  if (ParameterService* elsewhere = trainer->strategy().parameters()) {
    elsewhere->Restore(PosixEnv(), checkpoint, trainer->step());
  }
}

std::shared_ptr<Strategy> MakeStrategy(const JobConfig& job, const JobContext& context) {
  if (job.options.IsObject("strategy")) return Strategies().Build(job.options.Child("strategy"));
  const char* name = context.cluster().world_size > 1 ? "multi_worker_mirrored" : "one_device";
  return Strategies().Make(name, OptionNode::Map());
}

std::shared_ptr<Strategy> MakeLocalStrategy(const JobConfig& job) {
  const bool servers = job.options.IsObject("strategy") &&
                       job.options.Child("strategy").name() == ParameterServerTable().name;
  return servers ? Strategies().Build(job.options.Child("strategy"))
                 : Strategies().Make("one_device", OptionNode::Map());
}

FitOptions MakeFitOptions(const JobConfig& job, const JobRun& run) {
  const Options& train = job.train();
  FitOptions options;
  options.epochs = train.Int("epochs");
  if (train.Has("steps_per_epoch")) options.steps_per_epoch = train.Int("steps_per_epoch");
  if (train.Has("steps")) options.max_steps = train.Int("steps");
  options.validation = run.validation ? run.validation : run.test;
  options.validation_freq = train.Int("validation_freq");
  return options;
}

void SetComputeThreads(const JobConfig& job, int processes_here) {
  if (job.train().Has("threads")) {
    SetNumThreads(static_cast<int>(job.train().Int("threads")));
  } else if (!std::getenv("TRIBUTARY_NUM_THREADS") && processes_here > 1) {
    // A launcher that binds has cut our cores already; one that does not has given
    // all of them to each process.
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    SetNumThreads(std::min(NumThreads(), std::max(1, cores / processes_here)));
  }
}

}  // namespace tributary
