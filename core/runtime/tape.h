#pragma once
// What Execute tells the gradient tapes of this thread: of eager ops, and of those that
// become nodes of a graph.

#include <vector>

#include "core/graph/op.h"

namespace tributary {

// Called after every differentiable op. `args` are what the caller passed, by which a
// tape knows what it watches; `inputs` what the op got: in a graph, args made symbolic.
// Does nothing without active tapes.
void RecordOnTapes(const OpSchema& schema, const AttrMap& attrs, const std::vector<Tensor>& args,
                   const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs);

// True while a tape of this thread records.
bool TapesActive();

}  // namespace tributary
