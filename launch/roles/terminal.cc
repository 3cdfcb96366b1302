#include "launch/roles/terminal.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "core/base/strings.h"

namespace tributary {

namespace {

// What standard output of a process is; "" when that cannot be known.
std::string OutputOf(pid_t process) {
  char target[256];
  const std::string link = "/proc/" + std::to_string(process) + "/fd/1";
  const ssize_t length = readlink(link.c_str(), target, sizeof(target));
  return length <= 0 ? "" : std::string(target, static_cast<size_t>(length));
}

pid_t ParentOf(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_ends = line.rfind(')');  // "12 (name) S 11 ..."
  return line.size() < name_ends + 4 ? 0 : std::atoi(line.c_str() + name_ends + 4);
}

}  // namespace

bool OutputIsTerminal() {
  const char* term = std::getenv("TERM");
  if (!isatty(STDOUT_FILENO) || !term || std::string_view(term) == "dumb") return false;
  if (!std::getenv("OMPI_COMM_WORLD_RANK")) return true;
  // The launcher is the nearest above that writes elsewhere: shells may stand between.
  const std::string own = OutputOf(getpid());
  std::string file = own;
  for (pid_t process = getppid(); process > 1 && file == own; process = ParentOf(process)) {
    file = OutputOf(process);
  }
  return file != own && (StartsWith(file, "/dev/pts/") || StartsWith(file, "/dev/tty"));
}

}  // namespace tributary
