// Evaluate and Predict.

#include "trainer/loop/trainer_impl.h"

namespace tributary {
namespace {

BoundPlan* PlanFor(std::map<int64_t, std::unique_ptr<BoundPlan>>& plans, int64_t rows,
                   std::unique_ptr<BoundPlan> (*make)(Program&, int64_t), Program& program) {
  std::unique_ptr<BoundPlan>& plan = plans[rows];
  if (!plan) plan = make(program, rows);
  return plan.get();
}

}  // namespace

Logs Trainer::Evaluate(const data::Dataset& data) {
  Build(data.element_spec());
  Program& program = impl_->program;
  if (!program.loss) throw FailedPreconditionError("[Trainer] Evaluate needs a loss");
  if (ParameterService* elsewhere = program.strategy->parameters()) elsewhere->Refresh();
  const InputShard shard = program.strategy->input_shard();
  data::Iterator it = data.ShardBatches(shard.index, shard.count).MakeIterator();
  program.eval.Reset();
  while (const data::Batch* batch = it.Next()) {
    if (batch->examples == 0) continue;
    BoundPlan* plan = PlanFor(impl_->eval_plans, batch->examples, MakeEvalPlan, program);
    plan->Bind(batch->tensors);
    plan->Run();
  }
  std::vector<double> state = program.eval.State();
  program.strategy->SumAcrossReplicas(state);
  return Impl::LogsOf(program.eval, state, "");
}

std::vector<Tensor> Trainer::Predict(const data::Dataset& data) {
  std::vector<TensorSpec> element = data.element_spec();
  const size_t inputs = impl_->built ? impl_->program.element.size() - 1
                                     : std::max<size_t>(1, model()->input_specs().size());
  if (element.size() == inputs) element.push_back(element.back());  // no target: any
  Build(element);
  if (ParameterService* elsewhere = strategy().parameters()) elsewhere->Refresh();
  std::vector<std::vector<Tensor>> parts;
  std::vector<Shape> shapes;
  data::Iterator it = data.MakeIterator();
  int64_t rows = 0;
  while (const data::Batch* batch = it.Next()) {
    BoundPlan* plan =
        PlanFor(impl_->predict_plans, batch->examples, MakePredictPlan, impl_->program);
    plan->Bind(batch->tensors);
    plan->Run();
    parts.resize(plan->plan()->num_outputs());
    for (size_t i = 0; i < parts.size(); ++i) {
      parts[i].push_back(plan->plan()->output(static_cast<int>(i)).Clone());
    }
    rows += batch->examples;
  }
  std::vector<Tensor> outputs;
  for (const std::vector<Tensor>& of_output : parts) {
    Shape shape = of_output[0].shape();
    shape.set_dim(0, rows);
    const Tensor all = Tensor::Empty(of_output[0].dtype(), shape);
    int64_t at = 0;
    for (const Tensor& part : of_output) {
      CopyTensor(part, all.Slice(at, at + part.dim(0)));
      at += part.dim(0);
    }
    outputs.push_back(all);
  }
  return outputs;
}

}  // namespace tributary
