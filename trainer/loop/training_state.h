#pragma once
// Where a run stands, besides its variables: with these and the variables a
// resumed run is bit-equal to one that never stopped.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace tributary {

struct TrainingState {
  int64_t epoch = 0;          // epochs completed
  int64_t step_in_epoch = 0;  // steps done of the next one; 0 at a boundary
  int64_t step = 0;           // steps done in all: the counter of dropout
  std::string data;           // position of the training data, SaveState of its iterator
  std::map<std::string, std::string> callbacks;  // by Callback::name
  // What the job says of the learning rate, Optimizer::configured_rate(): where it says
  // something else now, that counts. "" in checkpoints that do not know.
  std::string learning_rate;
  // How many replicas' own values are in `tensors`, under kReplicas.
  int64_t replicas = 0;

  // Not in the JSON: Callback::SaveTensors by name; and moving averages where replicas differ,
  // a row for each. The chief's alone.
  static constexpr const char* kReplicas = "/replicas";
  std::map<std::string, std::vector<Tensor>> tensors;

  // One JSON object. FromJson throws InvalidArgumentError.
  std::string ToJson() const;
  static TrainingState FromJson(const std::string& text);
};

}  // namespace tributary
