#pragma once
// The drill's servers and workers: one life of a process each.

#include "tests/multiprocess/drill/drill.h"

namespace tributary::drill {

// Return the exit code when the chief has ended the job. Throw what can't be recovered from.
int RunServer(const Drill& drill, int shard);
// Notes in <dir>/worker-<i>.slow what took it longer than a second: "<begin> <end> <what>".
int RunWorker(const Drill& drill, int index);

}  // namespace tributary::drill
