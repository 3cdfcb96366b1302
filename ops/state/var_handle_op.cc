// VarHandleOp: names a variable. Graph::Capture adds it; nothing is computed.

#include "core/graph/kernel.h"

namespace tributary {

REGISTER_OP("VarHandleOp")
    .Output("resource: resource")
    .Attr("container: string = \"\"")
    .Attr("shared_name: string = \"\"")
    .Attr("debug_name: string = \"\"")
    .Attr("dtype: type")
    .Attr("shape: shape")
    .Attr("allowed_devices: list(string) = []")
    .Shape([](InferenceContext& c) {
      c.set_handle(0, c.attr<DType>("dtype"), c.attr<Shape>("shape"));
    })
    .Stateful()
    .NotDifferentiable();

}  // namespace tributary
