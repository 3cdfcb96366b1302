// Whole training steps as plans: what fusing, folding and memory planning must
// not change, and what they must save.
#include <gmock/gmock.h>

#include "core/runtime/function.h"
#include "core/runtime/report.h"
#include "tests/ops/plan/mlp_step.h"

namespace tributary {
namespace {

constexpr int64_t kBatch = 8;

struct Training {
  std::vector<float> losses, weights;
  PlanReport report;
};

Training Train(const PlanOptions& options, int64_t traced_batch = kBatch, int steps = 10) {
  MlpStep mlp({16, 32, 32, 4});
  Graph graph;
  mlp.Trace(&graph, traced_batch);
  const auto plan = mlp.Build(graph, kBatch, options);
  plan->BindInput(0, MlpStep::Pattern({kBatch, 16}, 3));
  plan->BindInput(1, MlpStep::Labels(kBatch, 4));
  Training run;
  for (int i = 0; i < steps; ++i) {
    plan->Run();
    run.losses.push_back(plan->output(0).item<float>());
  }
  run.weights = mlp.Values();
  run.report = plan->report();
  return run;
}

void ExpectNear(const std::vector<float>& a, const std::vector<float>& b, float tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance) << "at " << i;
}

TEST(TrainingStepPlanTest, TheLossFalls) {
  const Training run = Train({});
  EXPECT_LT(run.losses.back(), run.losses.front());
}

TEST(TrainingStepPlanTest, FusingChangesNothing) {
  PlanOptions plain;
  plain.fuse = false;
  const Training fused = Train({}), unfused = Train(plain);
  EXPECT_GT(fused.report.nodes_fused, 0) << ReportText(fused.report);
  EXPECT_LT(fused.report.steps.size(), unfused.report.steps.size());
  ExpectNear(fused.losses, unfused.losses, 1e-6f);
  ExpectNear(fused.weights, unfused.weights, 1e-6f);
}

TEST(TrainingStepPlanTest, MemoryReuseChangesNoBit) {
  PlanOptions naive;
  naive.reuse_memory = false;
  const Training planned = Train({}), unplanned = Train(naive);
  EXPECT_EQ(planned.losses, unplanned.losses);
  EXPECT_EQ(planned.weights, unplanned.weights);
  EXPECT_LT(planned.report.arena_bytes, unplanned.report.arena_bytes);
  EXPECT_LT(planned.report.arena_bytes, planned.report.naive_bytes);
}

TEST(TrainingStepPlanTest, FoldingAndMergingChangeNoBit) {
  PlanOptions plain;
  plain.fold = plain.cse = false;
  const Training all = Train({}), none = Train(plain);
  EXPECT_EQ(all.losses, none.losses);
  EXPECT_EQ(all.weights, none.weights);
  EXPECT_LE(all.report.steps.size(), none.report.steps.size());
}

TEST(TrainingStepPlanTest, AnOpenBatchGivesTheSameStep) {
  const Training fixed = Train({}), open = Train({}, -1);
  ExpectNear(fixed.losses, open.losses, 1e-6f);
  ExpectNear(fixed.weights, open.weights, 1e-6f);
  EXPECT_EQ(fixed.report.steps.size(), open.report.steps.size())
      << ReportText(fixed.report, "fixed") << ReportText(open.report, "open");
}

TEST(TrainingStepPlanTest, APlanDoesWhatTheTapeDoes) {
  MlpStep eager({16, 32, 32, 4});
  const Tensor x = MlpStep::Pattern({kBatch, 16}, 3);
  const Tensor labels = MlpStep::Labels(kBatch, 4);
  std::vector<float> losses;
  for (int i = 0; i < 10; ++i) {
    GradientTape tape;
    const Tensor loss = eager.Loss(x, labels);
    losses.push_back(loss.item<float>());
    const auto variables = eager.variables();
    const Grads grads = tape.Gradient(loss, variables);
    for (size_t k = 0; k < variables.size(); ++k) {
      ops::ResourceApplyGradientDescent(variables[k]->handle(), Tensor(eager.learning_rate()),
                                        grads[k].dense());
    }
  }
  const Training planned = Train({});
  ExpectNear(planned.losses, losses, 1e-6f);
  ExpectNear(planned.weights, eager.Values(), 1e-6f);
}

TEST(TrainingStepPlanTest, AFunctionDoesWhatEagerExecutionDoes) {
  MlpStep mlp({16, 8, 4});
  Function loss("loss", [&](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    return {mlp.Loss(in[0], in[1])};
  });
  for (const int64_t batch : {1, 3, 8}) {
    const Tensor x = MlpStep::Pattern({batch, 16}, 5), labels = MlpStep::Labels(batch, 4);
    EXPECT_NEAR(loss({x, labels})[0].item<float>(), mlp.Loss(x, labels).item<float>(), 1e-6f);
  }
  EXPECT_EQ(loss.trace_count(), 3);
}

TEST(TrainingStepPlanTest, ATapeSeesThroughAFunction) {
  MlpStep mlp({4, 3});
  Function f("f", [&](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    return {mlp.Loss(in[0], in[1])};
  });
  const Tensor x = MlpStep::Pattern({2, 4}, 5), labels = MlpStep::Labels(2, 3);
  f({x, labels});
  GradientTape tape;
  const Grads grads = tape.Gradient(f({x, labels})[0], mlp.variables());
  ASSERT_TRUE(grads[0].defined());
  EXPECT_EQ(grads[0].dense().shape(), (Shape{4, 3}));
}

// Gradients side by side in a bucket, updated by one op over the flat variable.
TEST(TrainingStepPlanTest, AFlatBucketTrainsAsSeparateVariablesDo) {
  const Tensor x = MlpStep::Pattern({kBatch, 16}, 3), labels = MlpStep::Labels(kBatch, 4);
  MlpStep separate({16, 32, 32, 4}), flat({16, 32, 32, 4});
  const std::vector<float> initial = flat.Values();
  const auto bucket = Variable::Create("bucket", Tensor::FromVector(initial));
  int64_t offset = 0;
  std::vector<int64_t> offsets;
  for (const auto& v : flat.variables()) {
    const int64_t count = v->storage().NumElements();
    v->MoveTo(bucket->storage().Slice(offset, offset + count));
    offsets.push_back(offset);
    offset += count;
  }
  Graph graph;
  std::vector<Node*> targets;
  Tensor xs, ys, loss;
  {
    GraphScope scope(&graph);
    xs = graph.Placeholder(DType::kFloat32, x.shape(), "x");
    ys = graph.Placeholder(DType::kInt64, labels.shape(), "labels");
    loss = flat.Loss(xs, ys);
    std::vector<Tensor> handles, grads;
    for (const auto& v : flat.variables()) handles.push_back(graph.Capture(v));
    for (const Grad& g : Gradients({loss}, handles)) grads.push_back(g.dense());
    const Tensor packed = ops::FlatPack(grads, offsets, offset, "gradients");
    ops::ResourceApplyGradientDescent(graph.Capture(bucket), Tensor(0.1f), packed);
    for (const auto& node : graph.nodes()) {
      if (node->schema().stateful && !node->variable()) targets.push_back(node.get());
    }
  }
  std::shared_ptr<Buffer> memory;
  PlanOptions options;
  options.bucket_memory = [&](const std::string&, size_t bytes) {
    return memory = Buffer::Allocate(bytes);
  };
  const auto plan = Plan::Build(graph, {xs, ys}, {x.spec(), labels.spec()}, {loss}, targets,
                                options);
  for (const auto& step : plan->report().steps) EXPECT_NE(step.op, "copy");
  plan->BindInput(0, x);
  plan->BindInput(1, labels);
  Graph other;
  separate.Trace(&other, kBatch);
  const auto reference = separate.Build(other, kBatch);
  reference->BindInput(0, x);
  reference->BindInput(1, labels);
  for (int i = 0; i < 10; ++i) {
    plan->Run();
    reference->Run();
    EXPECT_EQ(plan->output(0).item<float>(), reference->output(0).item<float>()) << "step " << i;
  }
  EXPECT_EQ(flat.Values(), separate.Values());
}

}  // namespace
}  // namespace tributary
