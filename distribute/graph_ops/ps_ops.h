#pragma once
// Parameter servers as nodes of a training step: what the methods of PsSession are to a
// plan. A step reads
//
//   PsPull -> PsLookup ... -> forward, backward -> PsPushRows ... -> PsPush
//
// PsPush starts the exchange and goes on; the next step's PsPull waits for it.

#include "core/tensor/tensor.h"
#include "distribute/graph_ops/object_table.h"
#include "distribute/ps/ps_session.h"

namespace tributary {

ObjectTable<ps::PsSession>& PsSessions();

// Waits until `variables` (handles) hold what the servers answered to the last step. The
// token orders lookups after it.
Tensor PsPull(int64_t session, const std::vector<Tensor>& variables);
// The rows of `ids` (int32, int64) into the local table `rows` (a handle, float32); returns
// their places there, int32, in the shape of ids. lookup < 0: outside of training.
Tensor PsLookup(int64_t session, int lookup, uint32_t table, const Tensor& rows,
                const Tensor& ids, const Tensor& token);
// Gradients [n, width] of the rows ids[n] of a lookup.
void PsPushRows(int64_t session, int lookup, uint32_t table, const Tensor& values,
                const Tensor& ids);
// Ends the step: sends these and what PsPushRows has staged.
void PsPush(int64_t session, const std::vector<Tensor>& gradients);

}  // namespace tributary
