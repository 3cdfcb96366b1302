#pragma once
// LearningRateScheduler with a function of one's own (keras.callbacks). Jobs name a
// schedule instead, which then counts epochs.

#include <functional>

#include "trainer/callbacks/callback.h"

namespace tributary {

// rate = fn(epoch from 0, present rate), set when an epoch begins.
CallbackPtr MakeLearningRateScheduler(std::function<double(int64_t, double)> fn);

}  // namespace tributary
