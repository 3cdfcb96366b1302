#pragma once
// Embedding tables whose rows live elsewhere (parameter servers): a step sees those rows
// that its batch needs. The trainer owns this port; distribute implements it.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/options.h"
#include "core/runtime/variable.h"
#include "core/tensor/tensor.h"

namespace tributary {

struct RemoteTableSpec {
  std::string name;        // the weight's path, "embedding/embeddings"
  int64_t rows = 0;        // ids are below this; rows exist once they are used
  int64_t width = 0;
  Options initializer;     // of kind "initializer"
  uint64_t seed = 0;       // row i begins as row i of initializer.Make({rows, width}, seed)
};

class RemoteTable {
 public:
  virtual ~RemoteTable() = default;
  virtual const RemoteTableSpec& spec() const = 0;

  // Rows of a batch as a small local table, float32 [capacity, width], and for each id
  // (int32, the shape of the ids asked for) its row there; negative ids stay negative.
  struct Rows {
    std::shared_ptr<Variable> table;
    Tensor ids;
  };
  // Adds nodes that bring the rows of `ids` (int32 or int64; negative: none) here. While
  // a training step is traced the gradient of `table` is asked for later.
  virtual Rows LookUp(const Tensor& ids, bool training) = 0;
};
using RemoteTablePtr = std::shared_ptr<RemoteTable>;

// Makes them. While a Scope is alive, the layers that its thread builds have their
// embedding tables made by `tables` (null: they keep their own).
class RemoteTables {
 public:
  virtual ~RemoteTables() = default;
  // Throws NotFoundError for an initializer that has no rows of its own.
  virtual RemoteTablePtr Create(const RemoteTableSpec& spec) = 0;

  static RemoteTables* Current();
  class Scope {
   public:
    explicit Scope(RemoteTables* tables);
    ~Scope();
    Scope(const Scope&) = delete;

   private:
    RemoteTables* before_;
  };
};

// A table of weights of which a step reads some rows: the layer's own variable, or rows
// that live elsewhere.
struct TableWeight {
  std::shared_ptr<Variable> variable;
  RemoteTablePtr remote;
};

}  // namespace tributary
