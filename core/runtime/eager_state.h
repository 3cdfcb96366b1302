#pragma once
// What a stateful op keeps between eager calls.
//
// A plan's kernel lives as long as the plan, and keeps its state itself. An eager call
// prepares a kernel anew; calls of one op with equal attributes then share one state, as
// TensorFlow's eager context keeps one kernel for them.

#include <functional>
#include <memory>

namespace tributary {

// For kernel factories. The state of the eager calls that are like the one being prepared
// on this thread, made at the first of them and kept for the life of the process; null
// when a plan is being prepared. Threads share it: lock it where it changes.
std::shared_ptr<void> SharedEagerState(const std::function<std::shared_ptr<void>()>& make);

}  // namespace tributary
