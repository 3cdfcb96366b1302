#pragma once
// Parameters that live outside of this process. A strategy that has some gives the trainer
// a ParameterService; what it holds is updated there, by the optimizer's rule, and saved
// from there.
//
// How the trainer uses it, in order:
//
//   tables             embedding tables, while the model is built
//   Place              once the dense variables lie in their buckets, before
//                      Strategy::SyncInitialState
//   BuildRead          while a training step is traced, before the forward pass
//   Announce           before a step: what the next one will look up
//   Refresh            before an evaluation, a prediction, a save
//   Save, Committed    the parts of a checkpoint
//   Restore            after the trainer's own variables were restored

#include <string>
#include <vector>

#include "core/io/env.h"
#include "core/tensor/tensor.h"
#include "trainer/model/remote_table.h"

namespace tributary {

struct FlatBucket;
class Optimizer;

class ParameterService {
 public:
  virtual ~ParameterService() = default;

  virtual RemoteTables* tables() = 0;
  // False: only tables live elsewhere; dense variables and their slots stay with the
  // trainer.
  virtual bool holds_dense() const = 0;

  // Tells what there is. Throws UnimplementedError for what can't be updated elsewhere.
  virtual void Place(const std::vector<FlatBucket>& buckets, const Optimizer& optimizer) = 0;

  // Adds the node that waits until variables and announced rows are here.
  virtual void BuildRead() = 0;

  // The ids of the next step's lookups, in the order of CallContext::remote_lookups; valid
  // during the call only. Without it a step asks for its rows when it needs them.
  virtual void Announce(const std::vector<Tensor>& ids) = 0;

  // When it returns, nothing is under way and variables hold what is newest elsewhere.
  virtual void Refresh() = 0;

  // Writes the data files 0 .. n-1 of a bundle of `files` in all, all of one moment;
  // returns what CommitBundleShards needs of each. Any one thread at a time.
  virtual std::vector<std::string> Save(Env* env, const std::string& prefix, int files) = 0;
  virtual int num_files() const = 0;  // n
  // The checkpoint is whole and durable.
  virtual void Committed(const std::string& prefix) = 0;
  // [Chief] Everything elsewhere becomes what it was when `prefix` was saved; `step` is the
  // trainer's.
  virtual void Restore(Env* env, const std::string& prefix, int64_t step) = 0;
};

}  // namespace tributary
