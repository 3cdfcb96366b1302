#pragma once
// Where a run stands, besides its variables: with these and the variables a
// resumed run is bit-equal to one that never stopped.

#include <cstdint>
#include <map>
#include <string>

namespace tributary {

struct TrainingState {
  int64_t epoch = 0;          // epochs completed
  int64_t step_in_epoch = 0;  // steps done of the next one; 0 at a boundary
  int64_t step = 0;           // steps done in all: the counter of dropout
  std::string data;           // position of the training data, SaveState of its iterator
  std::map<std::string, std::string> callbacks;  // by Callback::name

  // One JSON object. FromJson throws InvalidArgumentError.
  std::string ToJson() const;
  static TrainingState FromJson(const std::string& text);
};

}  // namespace tributary
