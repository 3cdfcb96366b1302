#pragma once
// What eager execution tells the gradient tapes of this thread.

#include <vector>

#include "core/graph/op.h"

namespace tributary {

// Called after every differentiable eager op. Does nothing without active tapes.
void RecordOnTapes(const OpSchema& schema, const AttrMap& attrs,
                   const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs);

// True while a tape of this thread records.
bool TapesActive();

}  // namespace tributary
