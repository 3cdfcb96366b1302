#include "launch/config/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "launch/config/json_schema.h"
#include "launch/config/paths.h"
#include "launch/config/yaml_reader.h"
#include "launch/config/yaml_writer.h"
#include "schema_check.h"
#include "tests/temp_dir.h"

namespace tributary {
namespace {

using ::testing::HasSubstr;

constexpr char kJob[] = R"(job: tiny
seed: 7
data:
  train: {source: mnist, split: "test[:9000]", shuffle: 9000, batch: 32}
model:
  - Flatten
  - Dense: {units: 128, activation: relu}
  - Dense: {units: 10, name: logits}
loss: SparseCategoricalCrossentropy
metrics: [accuracy]
optimizer: {Adam: {learning_rate: 1.0e-3}}
train: {epochs: 10}
checkpoint: {every: 1 epoch}
)";

JobConfig Parse(const std::string& text, std::vector<std::string> overrides = {}) {
  JobSources sources;
  sources.overrides = std::move(overrides);
  sources.check_files = false;
  return ParseJob(text, "tiny.yaml", sources);
}

std::string ErrorOf(const std::string& text, std::vector<std::string> overrides = {}) {
  try {
    Parse(text, std::move(overrides));
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Job, HasEveryValueAndWhereItCameFrom) {
  const JobConfig job = Parse(kJob, {"train.epochs=3"});
  EXPECT_EQ(job.name, "tiny");
  EXPECT_EQ(job.run_dir, "runs/tiny");
  EXPECT_EQ(job.seed, 7u);
  EXPECT_EQ(job.options.Origin("seed"), "tiny.yaml:2:7");
  EXPECT_EQ(job.train().Int("epochs"), 3);
  EXPECT_EQ(job.train().Origin("epochs"), "--set #1");
  EXPECT_EQ(job.train().Origin("accumulate"), "default");
  EXPECT_EQ(job.data().Child("train").name(), "mnist");
  EXPECT_EQ(job.options.Children("model")[1].Int("units"), 128);
}

TEST(Job, IsCalledLikeItsFileUnlessItSaysOtherwise) {
  const std::string text(kJob);
  EXPECT_EQ(Parse(text.substr(text.find('\n') + 1)).name, "tiny");
}

TEST(Job, TheEnvironmentComesBetweenTheFileAndSet) {
  JobSources sources;
  sources.check_files = false;
  sources.overrides = {"train.epochs=5"};
  setenv("TRIBUTARY_SET", "seed=3; train.epochs=4", 1);
  const JobConfig job = ParseJob(kJob, "tiny.yaml", sources);
  unsetenv("TRIBUTARY_SET");
  EXPECT_EQ(job.seed, 3u);
  EXPECT_EQ(job.options.Origin("seed"), "env TRIBUTARY_SET");
  EXPECT_EQ(job.train().Int("epochs"), 5);
}

TEST(Job, WrittenOutReadsBackTheSame) {
  const JobConfig job = Parse(kJob);
  EXPECT_EQ(Parse(WriteYaml(job.options)).CanonicalJson(), job.CanonicalJson());
  EXPECT_EQ(Parse(WriteYaml(job.options, true)).CanonicalJson(), job.CanonicalJson());
  EXPECT_THAT(WriteYaml(job.options, true), HasSubstr("# tiny.yaml:12:"));
}

TEST(Job, TheHashSeesWhatDecidesTheResultOnly) {
  const std::string hash = Parse(kJob).Hash();
  EXPECT_EQ(hash.size(), 16u);
  EXPECT_EQ(Parse(kJob, {"job=other", "checkpoint.keep=1", "train.epochs=10"}).Hash(), hash);
  EXPECT_NE(Parse(kJob, {"model[1].units=129"}).Hash(), hash);
  EXPECT_NE(Parse(kJob, {"seed=8"}).Hash(), hash);
}

TEST(Set, ReachesListsThingsAndTheirOptions) {
  const JobConfig job = Parse(
      kJob, {"model[1].units=7", "model.2.Dense.units=8", "optimizer.learning_rate=0.5",
             "data.train.batch=64", "metrics=[]", "checkpoint.every=100 steps"});
  EXPECT_EQ(job.options.Children("model")[1].Int("units"), 7);
  EXPECT_EQ(job.options.Children("model")[2].Int("units"), 8);
  EXPECT_EQ(job.options.Child("optimizer").Float("learning_rate"), 0.5);
  EXPECT_EQ(job.data().Child("train").Int("batch"), 64);
  EXPECT_TRUE(job.options.Children("metrics").empty());
  EXPECT_EQ(job.checkpoint().Every("every").count, 100);
}

TEST(Set, ReplacesAThingByItsName) {
  const JobConfig job = Parse(kJob, {"optimizer.SGD.momentum=0.5"});
  EXPECT_EQ(job.options.Child("optimizer").name(), "SGD");
  EXPECT_EQ(job.options.Child("optimizer").Float("momentum"), 0.5);
  EXPECT_EQ(Parse(kJob, {"optimizer=SGD"}).options.Child("optimizer").name(), "SGD");
  EXPECT_EQ(Parse(kJob, {"optimizer={SGD: {momentum: 0.1}}"}).options.Child("optimizer").Float("momentum"), 0.1);
}

TEST(Set, IsWhereItsValuesComeFrom) {
  EXPECT_EQ(Parse(kJob, {"optimizer.SGD.momentum=0.5"}).options.Origin("optimizer"), "--set #1");
  EXPECT_EQ(Parse(kJob, {"optimizer.learning_rate=0.5"}).options.Origin("optimizer"),
            "tiny.yaml:11:12");
  EXPECT_THAT(ErrorOf(kJob, {"model=null"}), HasSubstr("--set #1: error: `model` has no value"));
  const Options& options = Parse(kJob).options;
  EXPECT_EQ(options.String("run_dir"), "runs/tiny");
  EXPECT_EQ(options.Origin("run_dir"), "default");
  const std::string text(kJob);
  const JobConfig unnamed = Parse(text.substr(text.find('\n') + 1));
  EXPECT_EQ(unnamed.options.String("job"), "tiny");
  EXPECT_EQ(unnamed.options.Origin("job"), "the file's name");
}

TEST(Set, BracketsAndDepthAreChecked) {
  EXPECT_THAT(ErrorOf(kJob, {"model[1=4"}), HasSubstr("this bracket stands alone"));
  EXPECT_THAT(ErrorOf(kJob, {"model1]=4"}), HasSubstr("this bracket stands alone"));
  std::string deep = "a";
  for (int i = 0; i < 40; ++i) deep += ".a";
  EXPECT_THAT(ErrorOf(kJob, {deep + "=1"}), HasSubstr("more than 30 keys deep"));
}

TEST(Job, BytesThatAreNoTextAreNamedAndNotShown) {
  EXPECT_THAT(ErrorOf("job: a\x07\n"), HasSubstr("byte 0x07 is a control character"));
  EXPECT_THAT(ErrorOf(std::string("\xff\xfej\0o\0b\0", 8)), HasSubstr("save the job as UTF-8"));
  EXPECT_THAT(ErrorOf(std::string("j\0o\0b\0", 6)), HasSubstr("save the job as UTF-8"));
  const std::string error = ErrorOf("job: \xc3\xa4 a\x9b\xfe\n");
  EXPECT_THAT(error, HasSubstr("byte 0x9b is no UTF-8 text"));
  EXPECT_THAT(error, HasSubstr("job: \xc3\xa4 a??\n"));
}

TEST(Job, ATagIsAllThatIsWrongWithItsValue) {
  const std::string error = ErrorOf(std::string(kJob) + "run_dir: !!str a\n", {"seed=!!int 1"});
  EXPECT_THAT(error, HasSubstr("2 errors"));
  EXPECT_EQ(error.find("quotes"), std::string::npos) << error;
}

TEST(Set, NullGoesBackToTheDefault) {
  EXPECT_EQ(Parse(kJob, {"train.epochs=null"}).train().Int("epochs"), 1);
  EXPECT_EQ(Parse(kJob, {"train=null"}).train().Int("epochs"), 1);
}

TEST(Set, MistakesAreReportedWithItsNumberAndTheValidatorsWords) {
  const std::string error = ErrorOf(
      kJob, {"seed=2", "train.epochs=many", "trian.epochs=3", "model[9].units=1", "nothing", "=3",
             "seed.x=1", "a..b=1", "metrics=[", "optimizer.lr=1"});
  EXPECT_THAT(error, HasSubstr("--set #2: error: expected an integer of at least 1, got 'many'"));
  EXPECT_THAT(error, HasSubstr("      | train.epochs=many\n      |              ^\n"));
  EXPECT_THAT(error, HasSubstr("--set #3: error: unknown key 'trian'; did you mean 'train'?"));
  EXPECT_THAT(error, HasSubstr("--set #4: error: expected an index from 0 to 2, got '9'"));
  EXPECT_THAT(error, HasSubstr("--set #5: error: expected `key.key=value`"));
  EXPECT_THAT(error, HasSubstr("--set #6: error: expected `key.key=value`"));
  EXPECT_THAT(error, HasSubstr("--set #7: error: `seed` is a value, not a block"));
  EXPECT_THAT(error, HasSubstr("--set #8: error: expected `key.key=value`; a key is empty"));
  EXPECT_THAT(error, HasSubstr("--set #9: error: this is not YAML"));
  EXPECT_THAT(error, HasSubstr("--set #10: error: unknown key 'lr' in `Adam`; it is called `learning_rate` here"));
}

TEST(LoadJob, NamesTheNearestFile) {
  const TempDir folder("load_job");
  const std::string path = folder.Write("mnist.yaml", kJob);
  EXPECT_EQ(LoadJob(path).name, "tiny");
  try {
    LoadJob(folder.path() + "/mnits.yaml");
    FAIL();
  } catch (const NotFoundError& e) {
    EXPECT_THAT(e.what(), HasSubstr("did you mean '" + path + "'?"));
  }
  EXPECT_THROW(LoadJob(folder.path()), NotFoundError);
  // Only what is there is proposed, with all that was wrong put right.
  folder.Write("jobs/deep/a.yaml", kJob);
  EXPECT_EQ(NearPath(folder.path() + "/jbos/other/thing.yaml"), "");
  EXPECT_EQ(NearPath(folder.path() + "/jbos/depe/a.yml"),
            "; did you mean '" + folder.path() + "/jobs/deep/a.yaml'?");
}

TEST(Schema, AcceptsTheJobAndWhatItResolvesTo) {
  const SchemaCheck schema(JobJsonSchema());
  std::vector<OptionProblem> problems;
  EXPECT_TRUE(schema.Accepts(JsonOf(ReadYaml(kJob, 0, &problems))));
  const std::string resolved = WriteYaml(Parse(kJob).options);
  EXPECT_TRUE(schema.Accepts(JsonOf(ReadYaml(resolved, 0, &problems)))) << resolved;
  EXPECT_TRUE(problems.empty());
}

// The jobs in configs/, without looking for their files.
// For editors. After a new layer, option, ...: TRIBUTARY_UPDATE_GOLDEN=1 launch_tests
// --gtest_filter='Schema.*'.
TEST(Schema, IsTheOneBesideTheConfigs) {
  const std::string path = TRIBUTARY_SOURCE_DIR "/configs/job.schema.json";
  if (std::getenv("TRIBUTARY_UPDATE_GOLDEN")) std::ofstream(path) << JobJsonSchema();
  std::ifstream file(path);
  const std::string committed(std::istreambuf_iterator<char>(file), {});
  EXPECT_TRUE(committed == JobJsonSchema())
      << path << " is not what `tributary config schema` prints; write it anew by "
      << "TRIBUTARY_UPDATE_GOLDEN=1 launch_tests --gtest_filter='Schema.*'";
}

TEST(Schema, AgreesWithTheValidatorOnAllConfigs) {
  const SchemaCheck schema(JobJsonSchema());
  int jobs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(TRIBUTARY_SOURCE_DIR) + "/configs")) {
    if (entry.path().extension() != ".yaml") continue;
    ++jobs;
    std::ifstream stream(entry.path());
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    EXPECT_EQ(ErrorOf(text), "accepted") << entry.path();
    std::vector<OptionProblem> problems;
    EXPECT_TRUE(schema.Accepts(JsonOf(ReadYaml(text, 0, &problems)))) << entry.path();
  }
  EXPECT_GE(jobs, 6);
}

}  // namespace
}  // namespace tributary
