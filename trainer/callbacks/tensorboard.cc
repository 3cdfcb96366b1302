// TensorBoard (keras.callbacks.TensorBoard) over SummaryWriter. All curves have the
// training step on their axis, so that one mark takes back what an abandoned run
// wrote after the step that is resumed.

#include "core/base/logging.h"
#include "core/graph/graphdef.h"
#include "trainer/callbacks/every.h"
#include "trainer/loop/trainer.h"
#include "trainer/summary/images.h"
#include "trainer/summary/summary_writer.h"

namespace tributary {
namespace {

class TensorBoard final : public Callback {
 public:
  TensorBoard(const Options& o, const CallbackContext& context)
      : directory_(context.Path(o.String("log_dir"))), job_text_(context.job_text),
        graph_(o.Bool("write_graph")), images_(o.Int("images")), every_(o.Every("every")),
        histograms_(o.Every("histograms")) {
    set_name("TensorBoard");
  }

  bool chief_only() const override { return true; }

  int64_t FirstStep(Trainer& trainer) override {
    Open(trainer);
    scalars_at_ = every_.FirstStep(trainer.step());
    histograms_at_ = histograms_.FirstStep(trainer.step());
    mark_ = every_.Now();
    mark_examples_ = trainer.examples();
    return graph_ || images_ > 0 ? 1 : Next();
  }

  int64_t OnStep(Trainer& trainer) override {
    if (graph_ || images_ > 0) {  // the first step: its plan and its batch exist now
      if (graph_) WriteGraph(trainer);
      if (images_ > 0) WriteInputs(trainer);
      graph_ = false;
      images_ = 0;
      Passed(1);
    }
    bool due = false;
    if (scalars_at_ == 0) {
      scalars_at_ = every_.OnStep(trainer.step(), &due);
      if (due) WriteStep(trainer);
    }
    due = false;
    if (histograms_at_ == 0) {
      histograms_at_ = histograms_.OnStep(trainer.step(), &due);
      if (due) WriteHistograms(trainer);
    }
    return Next();
  }

  void OnEpochEnd(Trainer& trainer, Logs& logs) override {
    Open(trainer);
    for (const auto& [name, value] : logs) {
      if (name == "learning_rate") continue;  // as it is now, below
      if (StartsWith(name, "val_")) {
        Validation(trainer).Scalar("epoch_" + name.substr(4), value, trainer.step());
      } else {
        train_->Scalar("epoch_" + name, value, trainer.step());
      }
    }
    train_->Scalar("epoch_learning_rate", trainer.optimizer()->learning_rate(),
                   trainer.step());
    if (histograms_.AtEpochEnd(trainer.epoch())) WriteHistograms(trainer);
    if (inputs_.defined()) WriteOutputs(trainer);
  }

  // A run that is killed resumes from the checkpoint: its curves reach as far.
  void OnCheckpoint(Trainer&) override { Flush(); }
  void OnTrainEnd(Trainer&) override { Flush(); }

 private:
  void Flush() {
    if (train_) train_->Flush();
    if (validation_) validation_->Flush();
  }

  // Waits are in steps from now; a due one stands at 0.
  void Passed(int64_t steps) {
    for (int64_t* wait : {&scalars_at_, &histograms_at_}) {
      if (*wait != kNever) *wait -= steps;
    }
  }
  int64_t Next() {
    const int64_t wait = std::min(scalars_at_, histograms_at_);
    if (wait != kNever) Passed(wait);
    return wait;
  }

  void Open(Trainer& trainer) {
    if (train_) return;
    train_ = std::make_unique<SummaryWriter>(EventFileOptions{directory_ + "/train"});
    first_step_ = trainer.step();
    if (first_step_ > 0) train_->Start(first_step_ + 1);
    if (!job_text_.empty()) train_->Text("job", "```yaml\n" + job_text_ + "\n```", 0);
  }

  SummaryWriter& Validation(Trainer&) {
    if (!validation_) {
      validation_ =
          std::make_unique<SummaryWriter>(EventFileOptions{directory_ + "/validation"});
      if (first_step_ > 0) validation_->Start(first_step_ + 1);
    }
    return *validation_;
  }

  void WriteGraph(Trainer& trainer) {
    if (const Graph* graph = trainer.LastTrainGraph()) {
      train_->Graph(GraphDefBytes(*graph, {.output_shapes = true}));
    }
  }

  // The first inputs that are images. Where the model has no other inputs they are
  // kept, to show what it makes of them.
  void WriteInputs(Trainer& trainer) {
    const std::vector<Tensor>* batch = trainer.LastBatch();
    if (!batch) return;
    for (size_t i = 0; i + 1 < batch->size(); ++i) {
      const Tensor images = AsImages((*batch)[i], images_);
      if (!images.defined()) continue;
      train_->Image("inputs", images, trainer.step(), static_cast<int>(images_));
      if (batch->size() == 2) inputs_ = (*batch)[i].Slice(0, images.dim(0)).Clone();
      return;
    }
    LogWarning("[summary] images: no input of this job is an image; expected [n, height, width] "
               "or [n, height, width, channels] of uint8 or float32");
  }

  // A model that draws images of its inputs' size (an autoencoder) is shown at work.
  void WriteOutputs(Trainer& trainer) {
    const Tensor outputs = (*trainer.model())(inputs_);
    if (outputs.NumElements() != inputs_.NumElements()) {
      inputs_ = Tensor();
      return;
    }
    const Tensor images = AsImages(outputs.Reshaped(inputs_.shape()), inputs_.dim(0));
    if (images.defined()) {
      train_->Image("outputs", images, trainer.step(), static_cast<int>(images.dim(0)));
    }
  }

  void WriteStep(Trainer& trainer) {
    const int64_t step = trainer.step();
    for (const auto& [name, value] : trainer.CurrentLogs()) {
      train_->Scalar("batch_" + name, value, step);
    }
    train_->Scalar("learning_rate", trainer.optimizer()->learning_rate(), step);
    const double now = every_.Now();
    const double seconds = now - mark_;
    if (seconds > 0 && trainer.examples() > mark_examples_) {
      train_->Scalar("examples_per_second", (trainer.examples() - mark_examples_) / seconds,
                     step);
    }
    mark_ = now;
    mark_examples_ = trainer.examples();
  }

  void WriteHistograms(Trainer& trainer) {
    for (const VariablePtr& variable : trainer.model()->trainable_variables()) {
      train_->Histogram(variable->name(), variable->storage(), trainer.step());
    }
  }

  std::string directory_, job_text_;
  bool graph_;
  int64_t images_;
  Tensor inputs_;  // of the first batch
  Every every_, histograms_;
  int64_t scalars_at_ = kNever, histograms_at_ = kNever;
  double mark_ = 0;
  int64_t mark_examples_ = 0, first_step_ = 0;
  std::unique_ptr<SummaryWriter> train_, validation_;
};

REGISTER_CALLBACK(
    OptionTable{"TensorBoard", "Writes curves, histograms, images and the graph for TensorBoard.",
                {Opt("log_dir").String().Default("summaries").Doc("from the run's folder"),
                 Opt("every").Every().Default("100 steps").Doc("loss, metrics and pace"),
                 Opt("histograms").Every().Default("never").Doc("of the weights"),
                 Opt("images").Int().Min(0).Max(1000).Default(0)
                     .Doc("inputs of the first batch to show; and at epoch ends what the "
                          "model makes of them, if that is images too"),
                 Opt("write_graph").Bool().Default(true)}},
    [](const Options& o, const CallbackContext& context) {
      return std::make_shared<TensorBoard>(o, context);
    });

}  // namespace
}  // namespace tributary
