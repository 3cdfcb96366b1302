#pragma once
// The object graph of a training job, with the edge names under which Keras 2
// and Keras 3 look for the same variables (design: one node, several edges).

#include <vector>

#include "trainer/checkpoint/trackable.h"
#include "trainer/model/module.h"

namespace tributary {

// A root whose children are the modules by their attribute names ("model",
// "optimizer", ...), as tf.train.Checkpoint(model=..., optimizer=...) has it.
// Storage is that of the variables at the time of the call.
//
// A model's layers are reached by their names, by "layer-<i>" and
// "layer_with_weights-<j>" (Keras 2), and by "_operations/<i>" (Keras 3;
// "_functional/_operations/<i>" in a Sequential); a layer's "_kernel" is "kernel"
// too. An optimizer has Keras 3's edges only. Other modules (metrics) are hidden
// from TensorFlow.
TrackablePtr TrackModules(const std::vector<Module::Child>& modules);

}  // namespace tributary
