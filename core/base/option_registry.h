#pragma once
// Registries of things that are built from Options, one per kind:
//
//   using LayerRegistry = OptionRegistry<std::unique_ptr<Layer>(const Options&)>;
//   LayerRegistry& Layers();     // .cc: static LayerRegistry r("layer"); return r;
//   static const LayerRegistry::Registrar dense(Layers(),
//       OptionTable{"Dense", "...", {...}},
//       [](const Options& o) { return std::make_unique<Dense>(...); });
//   auto layer = Layers().Make("Dense", {{"units", 128}});   // from code
//   auto layer = Layers().Build(options);                    // from a job
//
// Every registry announces itself by kind, so that Opt(...).Of("layer"), the
// schema and the documentation find its tables.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/base/options.h"
#include "core/base/registry.h"

namespace tributary {

// What a kind offers to those who only need the tables.
class OptionKind {
 public:
  virtual ~OptionKind() = default;
  // By name, by the name in snake case ("glorot_uniform"), or by alias; else null.
  virtual const OptionTable* FindTable(const std::string& name) const = 0;
  virtual std::vector<const OptionTable*> Tables() const = 0;
};

// The kind's registry, or null when nothing of that kind is linked in.
const OptionKind* FindOptionKind(const std::string& kind);
std::vector<std::string> OptionKindNames();

namespace internal {
void AddOptionKind(const std::string& kind, const OptionKind* registry);
const OptionTable* FindByAlias(const std::vector<const OptionTable*>& tables,
                               const std::string& name);
}  // namespace internal

template <typename Signature>
class OptionRegistry;

template <typename R, typename... Args>
class OptionRegistry<R(const Options&, Args...)> : public OptionKind {
 public:
  using Factory = std::function<R(const Options&, Args...)>;
  struct Item {
    OptionTable table;
    Factory factory;
  };
  struct Registrar {
    Registrar(OptionRegistry& registry, OptionTable table, Factory factory) {
      registry.Add(std::move(table), std::move(factory));
    }
  };

  explicit OptionRegistry(const std::string& kind) : items_(kind) {
    internal::AddOptionKind(kind, this);
  }
  OptionRegistry(const OptionRegistry&) = delete;

  void Add(OptionTable table, Factory factory) {
    const std::string name = table.name;
    items_.Add(name, Item{std::move(table), std::move(factory)});
  }

  // From validated options, as a job has them.
  R Build(const Options& options, Args... args) const {
    return items_.Get(options.name()).factory(options, std::forward<Args>(args)...);
  }
  // From code. Throws NotFoundError or InvalidArgumentError.
  R Make(const std::string& name, const OptionNode& values, Args... args) const {
    const OptionTable* table = FindTable(name);
    if (!table) table = &items_.Get(name).table;
    return Build(MakeOptions(*table, values), std::forward<Args>(args)...);
  }

  const OptionTable* FindTable(const std::string& name) const override {
    if (const Item* item = items_.Find(name)) return &item->table;
    return internal::FindByAlias(Tables(), name);
  }
  std::vector<const OptionTable*> Tables() const override {
    std::vector<const OptionTable*> tables;
    for (const auto& [name, item] : items_.entries()) tables.push_back(&item.table);
    return tables;
  }
  std::vector<std::string> Names() const { return items_.Names(); }
  const Registry<Item>& items() const { return items_; }

 private:
  Registry<Item> items_;
};

}  // namespace tributary
