#pragma once

namespace tributary {

// Whether standard output ends on a terminal that lines can be written over on.
// mpirun gives its processes a pseudo-terminal even when its own output is a file,
// so there mpirun's is looked at.
bool OutputIsTerminal();

}  // namespace tributary
