#pragma once
// The floor of a training step: what the machine's best library needs for the
// heavy part of the same work, with nothing around it.
//
// Every MatMul, convolution and pooling node of the traced step runs as a bare
// oneDNN primitive on the same shapes, in the layout that is fastest (NHWC or
// the library's own), and every optimizer update as one streaming pass over the
// same bytes. Nothing is fused, packed, fed or checked.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/graph/node.h"

namespace tributary {

class StepFloor {
 public:
  // `graph` is a traced step with fully defined shapes. Throws
  // InvalidArgumentError when a shape is open.
  explicit StepFloor(const Graph& graph);
  ~StepFloor();

  // Runs all of it once.
  void Run();

  int64_t flops() const { return flops_; }                    // of the primitives
  int64_t update_bytes() const { return update_bytes_; }      // read + written
  int primitives() const { return static_cast<int>(work_.size()); }

 private:
  class Work;
  class Gemm;
  class Convolution;
  class Pooling;
  class Update;
  void AddNode(const Node& node);
  void Add(std::unique_ptr<Work> work);

  std::vector<std::unique_ptr<Work>> work_;
  int64_t flops_ = 0;
  int64_t update_bytes_ = 0;
};

}  // namespace tributary
