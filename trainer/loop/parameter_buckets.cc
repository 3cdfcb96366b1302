#include "trainer/loop/parameter_buckets.h"

#include "trainer/model/initializer.h"
#include "trainer/model/layer.h"

namespace tributary {
namespace {

constexpr int64_t kAlignment = 64;  // bytes
// A smaller table is scattered, checked and updated with its bucket in less time than
// its rows are told apart.
constexpr size_t kWorthATable = 64 << 10;

struct Draft {
  FlatBucket bucket;
  std::vector<size_t> trainable;  // index of each member's variable
};

int64_t Aligned(int64_t elements, DType dtype) {
  const int64_t unit = kAlignment / static_cast<int64_t>(DTypeSize(dtype));
  return (elements + unit - 1) / unit * unit;
}

std::vector<Draft> Divide(const std::vector<VariablePtr>& trainable,
                          const std::set<const Variable*>& tables, size_t max_bytes) {
  std::vector<Draft> drafts;
  std::map<DType, size_t> open;   // the bucket that takes more, by dtype
  std::map<DType, int> numbers;
  for (size_t i = trainable.size(); i-- > 0;) {
    const Variable& variable = *trainable[i];
    if (tables.contains(&variable)) continue;
    const DType dtype = variable.dtype();
    const int64_t count = variable.shape().NumElements();
    const auto found = open.find(dtype);
    const bool full = found != open.end() &&
                      (drafts[found->second].bucket.size + count) * DTypeSize(dtype) > max_bytes;
    if (found == open.end() || full) {
      open[dtype] = drafts.size();
      drafts.emplace_back();
      drafts.back().bucket.dtype = dtype;
      drafts.back().bucket.name = fmt::format("{}_{}", DTypeName(dtype), numbers[dtype]++);
    }
    Draft& draft = drafts[open[dtype]];
    const int64_t begin = draft.bucket.size;
    draft.bucket.members.push_back({variable.name(), begin, begin + count, variable.shape()});
    draft.bucket.size = Aligned(begin + count, dtype);
    draft.trainable.push_back(i);
  }
  return drafts;
}

Tensor Allocate(Strategy& strategy, BucketKind kind, const std::string& name, DType dtype,
                int64_t size) {
  return Tensor(dtype, Shape{size},
                strategy.AllocateBucket(kind, name, size * DTypeSize(dtype)));
}

}  // namespace

std::set<const Variable*> FindTables(const Module& model, const Optimizer& optimizer,
                                     const Strategy& strategy) {
  std::set<const Variable*> tables;
  // Replicas exchange flat buckets, and norms are taken of them.
  const Optimizer::Clip& clip = optimizer.clip();
  if (strategy.input_shard().count > 1 || !optimizer.CanUpdateRows() ||
      clip.by_value > 0 || clip.by_norm > 0 || clip.by_global_norm > 0) {
    return tables;
  }
  std::vector<const Module*> modules = {&model};
  for (const Module* module : model.submodules()) modules.push_back(module);
  for (const Module* module : modules) {
    const auto* layer = dynamic_cast<const Layer*>(module);
    if (!layer) continue;
    for (const VariablePtr& variable : layer->sparse_weights()) {
      const bool worth_it = optimizer.lazy() || variable->storage().bytes() > kWorthATable;
      if (worth_it && variable->trainable() && variable->dtype() == DType::kFloat32) {
        tables.insert(variable.get());
      }
    }
  }
  return tables;
}

Parameters MakeParameters(const std::vector<VariablePtr>& trainable,
                          const std::set<const Variable*>& tables, Optimizer& optimizer,
                          Strategy& strategy, size_t max_bytes) {
  // Slots are where the update is done.
  const ParameterService* elsewhere = strategy.parameters();
  const std::vector<Optimizer::SlotSpec> specs =
      elsewhere && elsewhere->holds_dense() ? std::vector<Optimizer::SlotSpec>()
                                            : optimizer.slots();
  std::vector<std::vector<VariablePtr>> slot_views(trainable.size());
  Parameters parameters;
  for (Draft& draft : Divide(trainable, tables, max_bytes)) {
    FlatBucket& bucket = draft.bucket;
    const Tensor flat =
        Allocate(strategy, BucketKind::kVariables, bucket.name, bucket.dtype, bucket.size);
    bucket.variables = Variable::Alias(bucket.name, flat, true);
    for (size_t m = 0; m < bucket.members.size(); ++m) {
      const FlatBucket::Member& member = bucket.members[m];
      const VariablePtr& variable = trainable[draft.trainable[m]];
      variable->MoveTo(flat.Slice(member.begin, member.end).Reshaped(variable->shape()));
    }
    for (const Optimizer::SlotSpec& spec : specs) {
      const std::string name = bucket.name + "/" + spec.name;
      const Tensor slot =
          Allocate(strategy, BucketKind::kSlots, name, bucket.dtype, bucket.size);
      bucket.slots.push_back(Variable::Alias(name, slot, false));
      const auto initial = Initializers().Make("Constant", {{"value", spec.initial}});
      for (size_t m = 0; m < bucket.members.size(); ++m) {
        const FlatBucket::Member& member = bucket.members[m];
        const VariablePtr& variable = trainable[draft.trainable[m]];
        VariablePtr view = Variable::Alias(
            variable->name() + "/" + spec.name,
            slot.Slice(member.begin, member.end).Reshaped(variable->shape()), false);
        view->Assign(initial->Make(variable->shape(), bucket.dtype, 0));
        slot_views[draft.trainable[m]].push_back(view);
      }
    }
    parameters.buckets.push_back(std::move(bucket));
  }
  for (size_t i = 0; i < trainable.size(); ++i) {
    const VariablePtr& variable = trainable[i];
    if (!tables.contains(variable.get())) continue;
    for (const Optimizer::SlotSpec& spec : specs) {
      const auto initial = Initializers().Make("Constant", {{"value", spec.initial}});
      slot_views[i].push_back(
          Variable::Create(variable->name() + "/" + spec.name,
                           initial->Make(variable->shape(), variable->dtype(), 0), false));
    }
    parameters.tables.push_back({variable, slot_views[i]});
  }
  if (!specs.empty()) optimizer.OwnSlots(slot_views);
  return parameters;
}

}  // namespace tributary
