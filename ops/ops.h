#pragma once
// Every op builder. With concrete tensors a builder computes, with symbolic ones
// (or inside a function trace) it adds a node: core/runtime/execute.h.

#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn_ops.h"
#include "ops/random_ops.h"
#include "ops/state_ops.h"
#include "ops/update_ops.h"
