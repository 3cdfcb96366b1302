#include "launch/config/job_schema.h"

#include "core/base/strings.h"
#include "distribute/cluster/cluster.h"

namespace tributary {
namespace {

std::string CheckJobName(const OptionNode& node) {
  const auto* plain = node.AsPlain();
  const std::string& name = plain ? plain->text : *node.AsString();
  const bool plain_name =
      !name.empty() && name.size() <= 100 && name[0] != '.' && name[0] != '-' &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789._-") == std::string::npos;
  return plain_name ? "" : "a job's name becomes a folder's: expected letters, digits, '.', '_', '-'";
}

std::string CheckRunDir(const OptionNode& node) {
  const auto* plain = node.AsPlain();
  const std::string& path = plain ? plain->text : *node.AsString();
  return Trim(path).empty() ? "results go into this folder: expected a path" : "";
}

OptionSpec DataSet(const char* name, const char* doc) {
  return Opt(name).Tagged(
      "source", "data_source",
      {"", "", {Opt("batch").Int().Min(1).Max(1 << 24).Default(32)
                    .Doc("examples of one step, over all processes"),
                Opt("shuffle").Int().Min(0).Default(0)
                    .Doc("examples that are mixed at a time; 0 keeps the order"),
                Opt("skip").Int().Min(0).Default(0).Doc("leave out the first so many"),
                Opt("take").Int().Min(1).Doc("use only so many"),
                Opt("drop_remainder").Bool().Default(false)
                    .Doc("leave out a last batch that is not full"),
                Opt("prefetch").OneOf({"auto", "inline", "thread"}).Default("auto")
                    .Doc("prepare batches ahead, on a thread of its own")}})
      .Doc(doc);
}

OptionTable DataTable() {
  return {"data", "What to learn from.",
          {DataSet("train", "what the weights are fitted to").Required(),
           DataSet("validation", "measured while training; without it `test` is"),
           DataSet("test", "measured at the end and by `evaluate`")}};
}

OptionTable TrainTable() {
  return {"train", "How long and how.",
          {Opt("epochs").Int().Min(1).Default(1).Doc("passes over data.train"),
           Opt("steps").Int().Min(1).Doc("stop after so many steps in all"),
           Opt("steps_per_epoch").Int().Min(1).Doc("an epoch ends after so many steps"),
           Opt("accumulate").Int().Min(1).Default(1)
               .Doc("batches whose gradients are added up for one update"),
           Opt("validation_freq").Int().Min(1).Default(1)
               .Doc("measure on data.validation after so many epochs"),
           Opt("terminate_on_nan").Bool().Default(true)
               .Doc("stop before an update with a loss that is no number"),
           Opt("threads").Int().Min(1).Max(1024)
               .Doc("compute threads of a process; the cores it may use unless set")}};
}

OptionTable CheckpointTable() {
  return {"checkpoint", "What a run leaves to go on from.",
          {Opt("every").Every().Default("1 epoch").Doc("how often to save"),
           Opt("keep").Int().Min(1).Default(5).Doc("newest ones kept"),
           Opt("keep_every_n_hours").Float().Min(0).Default(0.0)
               .Doc("and for ever one in so many hours; 0: none"),
           Opt("best").String().Doc("keep the best by this figure too, e.g. val_accuracy"),
           Opt("resume").OneOf({"auto", "required", "never"}).Default("auto")
               .Doc("go on from the newest one in run_dir")}};
}

OptionTable SummaryTable() {
  return {"summary", "What TensorBoard shows.",
          {Opt("every").Every().Default("100 steps").Doc("loss, metrics and pace"),
           Opt("histograms").Every().Default("never").Doc("of the weights"),
           Opt("images").Int().Min(0).Max(1000).Default(0)
               .Doc("inputs to show; and what the model makes of them, if that is images"),
           Opt("graph").Bool().Default(true).Doc("the traced step")}};
}

OptionTable ClusterTable() {
  std::vector<std::string> resolvers = {"auto"};
  for (const std::string& name : ClusterResolverRegistry().Names()) resolvers.push_back(name);
  return {"cluster", "How the processes find each other.",
          {Opt("resolver").OneOf(resolvers).Default("auto")
               .Doc("who tells this process its place"),
           Opt("timeout").Float().Min(0.5).Max(3600).Default(5)
               .Doc("seconds until a silent process counts as lost")}};
}

OptionTable GraphNodeTable() {
  return {"", "", {Opt("inputs").String().List().Doc("names of the layers it reads")}};
}

}  // namespace

const OptionTable& JobTable() {
  static const OptionTable table{
      "", "A training job.",
      {Opt("job").String().Check(CheckJobName).Doc("its name; the file's unless set"),
       Opt("run_dir").String().Check(CheckRunDir).Doc("where results go; runs/<job> unless set"),
       Opt("seed").Int().Min(0).Default(0).Doc("of weights, shuffling and dropout"),
       Opt("data").Block(DataTable()).Required().Doc("what to learn from"),
       Opt("model").MapOf("layer", GraphNodeTable()).OrList().Required()
           .Doc("a list of layers, or named layers with `inputs:`"),
       Opt("loss").Of("loss").Required().Doc("what training makes small"),
       Opt("metrics").Of("metric").List(0, 64).Default(OptionNode::List{})
           .Doc("what else is measured"),
       Opt("optimizer").Of("optimizer").Default("SGD").Doc("how weights move"),
       Opt("train").Block(TrainTable()),
       Opt("strategy").Of("strategy").Also({"auto"}).Default("auto")
           .Doc("how processes share the work; auto: as the launch implies"),
       Opt("cluster").Block(ClusterTable()),
       Opt("checkpoint").Block(CheckpointTable()),
       Opt("summary").Block(SummaryTable()),
       Opt("callbacks").Of("callback").List(0, 64).Default(OptionNode::List{})
           .Doc("what else happens between steps")}};
  return table;
}

}  // namespace tributary
