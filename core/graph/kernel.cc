#include "core/graph/kernel.h"

namespace tributary {
namespace {

struct Entry {
  std::vector<DType> dtypes;
  KernelFactory factory;
};
using Key = std::pair<std::string, DeviceType>;

std::map<Key, std::vector<Entry>>& Kernels() {
  static auto* kernels = new std::map<Key, std::vector<Entry>>;
  return *kernels;
}

DType KernelDType(const OpSchema& schema, const AttrMap& attrs,
                  const std::vector<TensorSpec>& inputs) {
  for (const AttrDef& attr : schema.attrs) {
    if (attr.type == "type") return attrs.Get<DType>(attr.name);
  }
  return inputs.empty() ? DType::kInvalid : inputs[0].data_dtype();
}

const Entry* Find(const OpSchema& schema, DType dtype, DeviceType device) {
  const auto it = Kernels().find({schema.name, device});
  if (it == Kernels().end()) return nullptr;
  for (const Entry& entry : it->second) {
    if (entry.dtypes.empty() ||
        std::find(entry.dtypes.begin(), entry.dtypes.end(), dtype) != entry.dtypes.end()) {
      return &entry;
    }
  }
  return nullptr;
}

}  // namespace

std::vector<int64_t> PrepareContext::constant_ints(int i) const {
  const Tensor* value = constant(i);
  if (!value) {
    throw InvalidArgumentError("[{}] input {} must be known when the kernel is prepared; "
                               "expected a constant",
                               op_, i);
  }
  if (value->dtype() == DType::kInt64) return value->ToVector<int64_t>();
  const auto ints = value->values<int32_t>();
  return std::vector<int64_t>(ints.begin(), ints.end());
}

KernelRegistrar::KernelRegistrar(const char* op, DeviceType device, std::vector<DType> dtypes,
                                 KernelFactory factory) {
  Kernels()[{op, device}].push_back({std::move(dtypes), std::move(factory)});
}

const KernelFactory& FindKernel(const OpSchema& schema, const AttrMap& attrs,
                                const std::vector<TensorSpec>& inputs, DeviceType device) {
  const DType dtype = KernelDType(schema, attrs, inputs);
  if (const Entry* entry = Find(schema, dtype, device)) return entry->factory;
  std::vector<std::string> known;
  for (const auto& [key, entries] : Kernels()) {
    if (key.first != schema.name) continue;
    for (const Entry& entry : entries) {
      for (const DType d : entry.dtypes) {
        known.push_back(fmt::format("{} {}", DeviceTypeName(key.second), DTypeName(d)));
      }
    }
  }
  throw UnimplementedError("[{}] has no kernel for {} on {}; there are kernels for: {}",
                           schema.name, DTypeName(dtype), DeviceTypeName(device),
                           known.empty() ? "none" : Join(known, ", "));
}

bool HasKernel(const OpSchema& schema, const AttrMap& attrs,
               const std::vector<TensorSpec>& inputs, DeviceType device) {
  return Find(schema, KernelDType(schema, attrs, inputs), device) != nullptr;
}

}  // namespace tributary
