#include "launch/roles/terminal.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/base/strings.h"

namespace tributary {

bool OutputIsTerminal() {
  const char* term = std::getenv("TERM");
  if (!isatty(STDOUT_FILENO) || !term || std::string_view(term) == "dumb") return false;
  if (!std::getenv("OMPI_COMM_WORLD_RANK")) return true;
  char target[256];
  const std::string link = "/proc/" + std::to_string(getppid()) + "/fd/1";
  const ssize_t length = readlink(link.c_str(), target, sizeof(target));
  if (length <= 0) return false;
  const std::string_view file(target, static_cast<size_t>(length));
  return StartsWith(file, "/dev/pts/") || StartsWith(file, "/dev/tty");
}

}  // namespace tributary
