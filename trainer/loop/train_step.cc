// The traces: one training step, one step of an evaluation, one prediction.

#include <algorithm>
#include <optional>

#include "core/graph/node.h"
#include "core/runtime/gradients.h"
#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/state_ops.h"
#include "trainer/loop/check_finite.h"
#include "trainer/loop/program.h"
#include "trainer/optimizers/flat_update.h"

namespace tributary {
namespace {

constexpr const char* kMicro = "/micro";  // gradients of one of several batches

Tensor SumOf(Tensor first, const std::vector<Tensor>& rest) {
  for (const Tensor& x : rest) first = ops::Add(first, x);
  return first;
}

struct Forward {
  Tensor mean;                     // of the loss over this replica's rows
  std::vector<Tensor> penalties;   // of weights and layers
  Tensor prediction;
  std::vector<CallContext::RemoteLookup> lookups;
  Tensor total() const { return SumOf(mean, penalties); }
};

Forward RunForward(Program& program, const std::vector<Tensor>& in, CallContext& context) {
  Forward out;
  if (in.back().dim(0) != 0) {
    const std::vector<Tensor> inputs(in.begin(), in.end() - 1);
    out.prediction = program.model->CallAll(inputs, context)[0];
    out.mean = (*program.loss)(in.back(), out.prediction);
  }
  out.penalties = program.RegularizationLosses();
  for (const Tensor& loss : context.losses()) out.penalties.push_back(loss);
  out.lookups = context.remote_lookups();
  return out;
}

// Gradients of what this replica contributes: the sum over replicas is the gradient
// of the mean over the global batch. (A weight of the loss costs nothing; dividing
// the sum afterwards would be one more pass over all gradients.)
// First those of the trainable variables, then those of the rows of the lookups.
Grads TakeGradients(Program& program, const StepKey& key, const Forward& forward) {
  std::vector<Tensor> xs, ys, weights;
  for (const VariablePtr& variable : program.trainable) xs.push_back(variable->handle());
  for (const CallContext::RemoteLookup& l : forward.lookups) xs.push_back(l.rows.table->handle());
  const double group = 1.0 / static_cast<double>(key.group);
  if (forward.mean.defined()) {
    const double share = static_cast<double>(key.rows) / static_cast<double>(key.global_rows);
    ys.push_back(forward.mean);
    weights.push_back(ops::ScalarLike(forward.mean, share * group));
  }
  for (const Tensor& penalty : forward.penalties) {
    ys.push_back(penalty);
    weights.push_back(
        ops::ScalarLike(penalty, group / program.strategy->input_shard().count));
  }
  if (ys.empty()) return Grads(xs.size());
  return Gradients(ys, xs, weights);
}

// Gradients of the tables, one each; null where nothing depends on a table.
Grads TableGradients(const Program& program, const Grads& grads) {
  Grads out;
  for (const ParameterTable& table : program.tables) {
    const auto at = std::ranges::find(program.trainable, table.variable);
    out.push_back(grads[at - program.trainable.begin()]);
  }
  return out;
}

// Rows where the gradient is sparse; a penalty on the weights makes it dense.
void UpdateTables(Program& program, const Grads& grads) {
  for (size_t i = 0; i < grads.size(); ++i) {
    const ParameterTable& table = program.tables[i];
    std::vector<Tensor> slots;
    for (const VariablePtr& slot : table.slots) slots.push_back(slot->handle());
    if (grads[i].sparse()) {
      program.optimizer->UpdateRows(table.variable->handle(), slots,
                                    {grads[i].slices().values, grads[i].slices().indices});
    } else if (grads[i].defined()) {
      program.optimizer->Update(table.variable->handle(), slots, grads[i].dense());
    }
  }
}

// What the rows of each lookup get.
std::vector<LookupGradient> LookupGradients(const Program& program, const Forward& forward,
                                            const Grads& grads) {
  std::vector<LookupGradient> rows;
  for (size_t i = 0; i < forward.lookups.size(); ++i) {
    const Grad& grad = grads[program.trainable.size() + i];
    if (!grad.defined()) continue;
    TRB_CHECK(grad.sparse());
    rows.push_back({forward.lookups[i].table, static_cast<int>(i), grad.slices().values,
                    grad.slices().indices});
  }
  return rows;
}

// The factors of a gradient that is transpose(a) x b, where the strategy takes those.
std::optional<FlatBucket::Product> AsProduct(const Program& program, const StepKey& key,
                                             const Tensor& grad) {
  const int replicas = program.strategy->input_shard().count;
  const Node* node = grad.IsSymbolic() ? grad.node() : nullptr;
  const bool alike = key.phase == StepKey::Phase::kOnly && key.global_rows % replicas == 0;
  if (!alike || !node || node->op() != "MatMul" || grad.dtype() != DType::kFloat32) return {};
  if (!node->attrs().Get<bool>("transpose_a") || node->attrs().Get<bool>("transpose_b")) return {};
  const Tensor &a = node->input(0), &b = node->input(1);
  if (!a.shape().IsFullyDefined() || !b.shape().IsFullyDefined()) return {};
  if (!program.strategy->TakesProduct(a.dim(0), a.dim(1), b.dim(1))) return {};
  return FlatBucket::Product{0, a, b};
}

// Sets the gradients of `buckets`, and the products that stand for some of them.
void PackGradients(Program& program, const StepKey& key, const Grads& grads,
                   std::vector<FlatBucket>* buckets) {
  std::map<std::string, Tensor> by_name;
  for (size_t i = 0; i < program.trainable.size(); ++i) {
    const bool table = std::ranges::any_of(program.tables, [&](const ParameterTable& t) {
      return t.variable == program.trainable[i];
    });
    if (table) continue;
    if (grads[i].defined()) by_name[program.trainable[i]->name()] = Densify(grads[i]);
  }
  const bool micro = key.phase != StepKey::Phase::kOnly;
  for (FlatBucket& bucket : *buckets) {
    std::vector<Tensor> parts;
    std::vector<int64_t> offsets;
    for (size_t m = 0; m < bucket.members.size(); ++m) {
      const auto found = by_name.find(bucket.members[m].name);
      if (found == by_name.end()) continue;
      if (auto product = AsProduct(program, key, found->second)) {
        product->member = static_cast<int>(m);
        bucket.products.push_back(std::move(*product));
        continue;
      }
      parts.push_back(found->second);
      offsets.push_back(bucket.members[m].begin);
    }
    if (parts.empty()) {
      if (!bucket.products.empty()) continue;
      parts.push_back(ops::Zeros({1}, bucket.dtype));
      offsets.push_back(0);
    }
    bucket.gradient = ops::FlatPack(parts, offsets, bucket.size,
                                    bucket.name + (micro ? kMicro : ""), !bucket.products.empty());
  }
}

// Adds the gradients of this batch to those of its group, which they become with the last.
void Accumulate(Program& program, const StepKey& key, std::vector<FlatBucket>* buckets) {
  for (size_t b = 0; b < buckets->size(); ++b) {
    const VariablePtr& sum = program.accumulators[b];
    Tensor& gradient = (*buckets)[b].gradient;
    if (key.phase == StepKey::Phase::kFirst) {
      ops::AssignVariableOp(sum->handle(), gradient);
    } else {
      ops::AssignAddVariableOp(sum->handle(), gradient);
    }
    gradient = key.phase == StepKey::Phase::kLast ? sum->value() : Tensor();
  }
}

// Stops the step before it updates anything.
void CheckFigures(Program& program, const StepKey& key, const std::vector<FlatBucket>& buckets,
                  const Grads& tables, const std::vector<LookupGradient>& rows,
                  const Tensor& loss) {
  const Tensor flag = program.finite_flag->handle();
  std::vector<Tensor> checked;
  for (const FlatBucket& bucket : buckets) {
    if (bucket.products.empty()) {
      checked.push_back(bucket.gradient);
      continue;
    }
    if (bucket.gradient.defined()) {
      const std::vector<Tensor>& parts = bucket.gradient.node()->inputs();  // and no gaps
      checked.insert(checked.end(), parts.begin(), parts.end());
    }
    for (const FlatBucket::Product& p : bucket.products) {
      CheckFiniteProduct(flag, p.a, p.b, key.global_rows);
    }
  }
  for (const Grad& grad : tables) {
    if (grad.defined()) checked.push_back(grad.sparse() ? grad.slices().values : grad.dense());
  }
  for (const LookupGradient& row : rows) checked.push_back(row.values);
  if (loss.defined()) checked.push_back(loss);
  if (!checked.empty()) CheckFinite(flag, checked);
}

std::vector<Tensor> TraceTrainStep(Program& program, const StepKey& key,
                                   const std::vector<Tensor>& in,
                                   std::vector<Tensor>* lookups) {
  const InputShard shard = program.strategy->input_shard();
  CallContext context(true);
  context.set_random_step(program.step->value());
  context.set_row_offset(key.global_rows * shard.index / shard.count);
  if (ParameterService* elsewhere = program.strategy->parameters()) elsewhere->BuildRead();
  const Forward forward = RunForward(program, in, context);
  lookups->clear();
  for (const CallContext::RemoteLookup& l : forward.lookups) lookups->push_back(l.ids);
  const Grads grads = TakeGradients(program, key, forward);
  std::vector<FlatBucket> buckets = program.buckets;
  PackGradients(program, key, grads, &buckets);
  const Grads tables = TableGradients(program, grads);
  std::vector<LookupGradient> rows = LookupGradients(program, forward, grads);
  if (program.check_finite) CheckFigures(program, key, buckets, tables, rows, forward.mean);
  if (context.has_updates() && program.strategy->step_queue()) {
    throw UnimplementedError("[Trainer] a layer with moving averages (BatchNormalization) can't be "
                             "trained with {}; take LayerNormalization",
                             program.strategy->Describe());
  }
  context.RunUpdates();
  if (key.phase != StepKey::Phase::kOnly) Accumulate(program, key, &buckets);
  if (key.phase == StepKey::Phase::kOnly || key.phase == StepKey::Phase::kLast) {
    FlatUpdate update(program.optimizer.get(), std::move(buckets), std::move(rows));
    program.strategy->BuildUpdate(update);
    UpdateTables(program, tables);
  }
  if (!forward.mean.defined()) return {Tensor(0.0f)};
  const Tensor total = forward.total();
  if (key.with_metrics) {
    program.train.loss.Add(total, key.rows);
    for (const MetricPtr& metric : program.train.metrics) {
      metric->UpdateState(in.back(), forward.prediction);
    }
  }
  return {total};
}

PlanOptions WithBuckets(const Program& program) {
  PlanOptions options = program.plan_options;
  options.bucket_memory = [strategy = program.strategy](const std::string& bucket,
                                                        size_t bytes) {
    if (EndsWith(bucket, kMicro)) return Buffer::Allocate(bytes);
    return strategy->AllocateBucket(BucketKind::kGradients, bucket, bytes);
  };
  return options;
}

}  // namespace

std::unique_ptr<BoundPlan> MakeTrainPlan(Program& program, const StepKey& key) {
  std::vector<Tensor> lookups;
  auto plan = std::make_unique<BoundPlan>(
      "train_step",
      [&program, key, &lookups](const std::vector<Tensor>& in) {
        return TraceTrainStep(program, key, in, &lookups);
      },
      WithRows(program.element, key.rows), WithBuckets(program));
  plan->PlanLookups(lookups);
  return plan;
}

std::unique_ptr<BoundPlan> MakeEvalPlan(Program& program, int64_t rows) {
  return std::make_unique<BoundPlan>(
      "test_step",
      [&program, rows](const std::vector<Tensor>& in) -> std::vector<Tensor> {
        CallContext context(false);
        const Forward forward = RunForward(program, in, context);
        const Tensor total = forward.total();
        program.eval.loss.Add(total, rows);
        for (const MetricPtr& metric : program.eval.metrics) {
          metric->UpdateState(in.back(), forward.prediction);
        }
        return {total};
      },
      WithRows(program.element, rows), program.plan_options);
}

std::unique_ptr<BoundPlan> MakePredictPlan(Program& program, int64_t rows) {
  std::vector<TensorSpec> specs = WithRows(program.element, rows);
  specs.pop_back();
  return std::make_unique<BoundPlan>(
      "predict_step",
      [&program](const std::vector<Tensor>& in) {
        CallContext context(false);
        return program.model->CallAll(in, context);
      },
      specs, program.plan_options);
}

}  // namespace tributary
