// Writes samples of everything that TensorFlow and TensorBoard shall read, and
// checks what they wrote. See check_ours.py and write_theirs.py.

#include <cstdio>

#include "core/graph/graphdef.h"
#include "core/io/bundle_writer.h"
#include "core/proto/event.pb.h"
#include "core/runtime/execute.h"
#include "core/tensor/npy.h"
#include "core/tensor/proto.h"
#include "ops/array_ops.h"
#include "ops/nn_ops.h"
#include "trainer/checkpoint/checkpoint_manager.h"
#include "trainer/checkpoint/model_graph.h"
#include "trainer/loop/trainer.h"
#include "trainer/summary/summary_writer.h"

namespace tributary {
namespace {

struct Sample {
  ModelPtr model;
  OptimizerPtr optimizer;
  Shape input;
  DType input_dtype = DType::kFloat32;
};

Sample Mlp() {
  return {Sequential::Make({MakeLayer("Flatten"),
                            MakeLayer("Dense", {{"units", 8}, {"activation", "relu"}}),
                            MakeLayer("Dropout", {{"rate", 0.5}}),
                            MakeLayer("Dense", {{"units", 3}})}),
          Optimizers().Make("Adam", {{"learning_rate", 0.01}}),
          {6, 4, 3}};
}

Sample Convnet() {
  return {Sequential::Make({MakeLayer("Conv2D", {{"filters", 4}, {"kernel_size", 3},
                                                 {"activation", "relu"}}),
                            MakeLayer("DepthwiseConv2D", {{"kernel_size", 3}, {"padding", "same"},
                                                          {"depth_multiplier", 2}}),
                            MakeLayer("BatchNormalization"),
                            MakeLayer("MaxPooling2D", {{"pool_size", 2}}), MakeLayer("Flatten"),
                            MakeLayer("Dense", {{"units", 3}, {"name", "logits"}})}),
          Optimizers().Make("SGD", {{"learning_rate", 0.01}, {"momentum", 0.9}}),
          {6, 8, 8, 1}};
}

Sample Functional() {
  const KerasTensor tokens = Input({5}, DType::kInt32);
  const LayerPtr embedding = MakeLayer("Embedding", {{"input_dim", 7}, {"output_dim", 4}});
  const KerasTensor x = (*MakeLayer("Flatten"))((*embedding)(tokens));
  const KerasTensor a = (*MakeLayer("Dense", {{"units", 6}, {"activation", "tanh"}}))(x);
  const KerasTensor b = (*MakeLayer("Dense", {{"units", 6}}))(x);
  const KerasTensor sum = (*MakeLayer("Add"))({a, b});
  const KerasTensor normal = (*MakeLayer("LayerNormalization"))(sum);
  return {Model::Make({tokens}, {(*MakeLayer("Dense", {{"units", 3}}))(normal)}),
          Optimizers().Make("RMSprop", {{"learning_rate", 0.01}}),
          {6, 5},
          DType::kInt32};
}

const std::vector<std::pair<std::string, Sample (*)()>> kSamples = {
    {"mlp", &Mlp}, {"convnet", &Convnet}, {"functional", &Functional}};

Tensor SomeInput(const Sample& sample) {
  Tensor x = Tensor::Empty(sample.input_dtype, sample.input);
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    if (sample.input_dtype == DType::kInt32) {
      x.mutable_data<int32_t>()[i] = static_cast<int32_t>(i * 5 % 7);
    } else {
      x.mutable_data<float>()[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    }
  }
  return x;
}

// A trainer whose variables and slots exist; trained for `epochs` one-batch epochs.
std::unique_ptr<Trainer> Train(const Sample& sample, const Tensor& x, int64_t epochs) {
  TrainerOptions options;
  options.loss = Losses().Make("MeanSquaredError", {});
  options.optimizer = sample.optimizer;
  auto trainer = std::make_unique<Trainer>(sample.model, options);
  const Tensor target = Tensor::Full<float>({6, 3}, 0.5f);
  const auto data = data::Dataset::FromTensorSlices({x, target}).Batch(6);
  if (epochs == 0) {
    trainer->Build({x.spec(), target.spec()});
  } else {
    trainer->Fit(data, {.epochs = epochs});
  }
  return trainer;
}

void WriteModel(const std::string& name, const Sample& sample, const std::string& dir) {
  const Tensor x = SomeInput(sample);
  const auto trainer = Train(sample, x, 3);
  const TrackablePtr root = TrackModules(trainer->modules());
  CheckpointContent content{root, {{"step", Tensor(trainer->step())}, {"config", Tensor("{}")}}};
  {
    CheckpointManager manager({.directory = dir + "/checkpoints"});
    manager.Save(content);
    manager.Save(content);
    manager.Wait();
  }
  WriteNpy(PosixEnv(), dir + "/x.npy", x);
  WriteNpy(PosixEnv(), dir + "/y.npy", (*sample.model)(x));
  std::string manifest;
  int number = 0;
  for (const TrackedVariable& v : ListVariables(root)) {
    const std::string file = fmt::format("variable-{}.npy", number++);
    WriteNpy(PosixEnv(), dir + "/" + file, v.node->tensor);
    manifest += fmt::format("{}{{\"key\": \"{}\", \"name\": \"{}\", \"file\": \"{}\"}}",
                            manifest.empty() ? "" : ",\n ", v.key, v.node->full_name, file);
  }
  WriteFileAtomically(PosixEnv(), dir + "/variables.json", "[" + manifest + "]\n");
}

void WriteShards(const std::string& dir) {
  PosixEnv()->CreateDirs(dir);
  BundleWriter writer(PosixEnv(), dir + "/ckpt-1", 2);
  Tensor whole = Tensor::Empty(DType::kFloat32, {4, 3});
  for (int i = 0; i < 12; ++i) whole.mutable_data<float>()[i] = static_cast<float>(i);
  writer.AddSlice("sliced", {4, 3}, {0, 0}, whole.Slice(0, 1), 0);
  writer.AddSlice("sliced", {4, 3}, {1, 0}, whole.Slice(1, 4), 1);
  writer.Add("text", Tensor::FromVector<std::string>(
                         {"", std::string("\0\xff", 2), std::string(300, 'x')}));
  writer.Add("empty", Tensor::Zeros(DType::kFloat32, {0, 5}), 1);
  for (const DType dtype : {DType::kHalf, DType::kBFloat16, DType::kFloat64, DType::kInt8,
                            DType::kInt16, DType::kInt32, DType::kInt64, DType::kUint8,
                            DType::kBool}) {
    Tensor t = Tensor::Zeros(dtype, {2});
    DispatchPlain(dtype, "sample", [&](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        t.mutable_data<T>()[1] = T(1.0f);
      } else {
        t.mutable_data<T>()[1] = T(1);
      }
    });
    writer.Add(DTypeName(dtype), t, 1);
  }
  writer.Finish();
}

// y = x W, as the summaries shall show it.
std::string SmallGraph() {
  Graph graph;
  const GraphScope scope(&graph);
  const Tensor x = ops::Placeholder(DType::kFloat32, {-1, 2}, "x");
  ops::MatMul(x, Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2}));
  return GraphDefBytes(graph);
}

void WriteLogs(const std::string& dir) {
  {
    SummaryWriter writer({.directory = dir});
    for (int step = 1; step <= 5; ++step) writer.Scalar("loss", step, step);
    Tensor weights = Tensor::Empty(DType::kFloat32, {10, 10});
    for (int i = 0; i < 100; ++i) weights.mutable_data<float>()[i] = static_cast<float>(i) / 7;
    writer.Histogram("weights", weights, 1);
    Tensor image = Tensor::Empty(DType::kUint8, {2, 4, 6, 3});
    for (int i = 0; i < 144; ++i) image.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i % 72);
    writer.Image("image", image, 1);
    writer.Image("grey", Tensor::FromVector<float>({-1, 0.5f, 1, 2}, {2, 2, 1}), 1);
    writer.Text("job", "# a job", 0);
    writer.Graph(SmallGraph());
  }
  SummaryWriter resumed({.directory = dir});
  resumed.Start(4);
  for (int step = 4; step <= 6; ++step) resumed.Scalar("loss", 10 * step, step);
}

// What the callback leaves of a run: an autoencoder of small images.
void WriteRun(const std::string& dir) {
  Tensor x = Tensor::Empty(DType::kFloat32, {6, 4, 5, 1});
  for (int i = 0; i < 120; ++i) x.mutable_data<float>()[i] = static_cast<float>(i % 20) / 19;
  TrainerOptions options;
  options.loss = Losses().Make("MeanSquaredError", {});
  options.optimizer = Optimizers().Make("SGD", {});
  Trainer trainer(Sequential::Make({MakeLayer("Flatten"), MakeLayer("Dense", {{"units", 20}})}),
                  options);
  const CallbackContext context{.run_dir = dir, .job_text = "job: pictures"};
  const CallbackPtr board = Callbacks().Make(
      "TensorBoard", {{"images", 3}, {"every", "1 steps"}, {"histograms", "1 epochs"}}, context);
  trainer.Fit(data::Dataset::FromTensorSlices({x, x.Reshaped({6, 20})}).Batch(6),
              {.epochs = 2, .callbacks = {board}});
}

void Write(const std::string& root) {
  for (const auto& [name, make] : kSamples) WriteModel(name, make(), root + "/" + name);
  WriteShards(root + "/shards");
  WriteLogs(root + "/logs");
  WriteRun(root + "/run");
  WriteNpy(PosixEnv(), root + "/array.npy",
           Tensor::FromVector<float>({0, 1, 2, 3, 4, 5}, {2, 3}));
  WriteNpy(PosixEnv(), root + "/scalar.npy", Tensor(7));
}

void ReadModel(const std::string& name, const Sample& sample, const std::string& dir) {
  const Tensor x = ReadNpy(PosixEnv(), dir + "/x.npy");
  const Tensor expected = ReadNpy(PosixEnv(), dir + "/y.npy");
  const auto trainer = Train(sample, x, 0);
  const CheckpointFile file(PosixEnv(), LatestCheckpoint(PosixEnv(), dir + "/checkpoints"));
  file.Verify();
  std::vector<Module::Child> modules = trainer->modules();  // Keras saves no metrics
  std::erase_if(modules, [](const auto& child) { return child.attribute == "metrics"; });
  file.Restore(TrackModules(modules));
  const Tensor y = (*sample.model)(x);
  for (int64_t i = 0; i < y.NumElements(); ++i) {
    const float difference = std::abs(y.data<float>()[i] - expected.data<float>()[i]);
    if (!(difference < 1e-5f)) {
      throw InternalError("{}: output {} differs from Keras's by {}", name, i, difference);
    }
  }
  if (sample.optimizer->iterations() != 2) {
    throw InternalError("{}: expected 2 iterations, got {}", name, sample.optimizer->iterations());
  }
  fmt::print("interop: we restore TensorFlow's {}\n", name);
}

void ReadLogs(const std::string& dir) {
  int scalars = 0;
  for (const std::string& path : ListEventFiles(PosixEnv(), dir)) {
    EventFileReader reader(PosixEnv(), path);
    proto::Event event;
    while (reader.Read(&event)) {
      for (const auto& value : event.summary().value()) {
        if (value.tag() != "loss") continue;
        const float loss = TensorFromProto(value.tensor()).item<float>();
        if (loss != 0.5f * static_cast<float>(event.step())) throw InternalError("wrong scalar");
        ++scalars;
      }
    }
  }
  if (scalars != 3) throw InternalError("expected 3 scalars, got {}", scalars);
}

void Read(const std::string& root) {
  for (const auto& [name, make] : kSamples) ReadModel(name, make(), root + "/" + name);
  ReadLogs(root + "/logs");
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  try {
    if (argc == 3 && std::string(argv[1]) == "write") {
      tributary::Write(argv[2]);
    } else if (argc == 3 && std::string(argv[1]) == "read") {
      tributary::Read(argv[2]);
    } else {
      std::fprintf(stderr, "usage: interop_samples write|read DIR\n");
      return 64;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "interop_samples: %s\n", error.what());
    return 1;
  }
}
