// The linker's build id of the library that this file is part of: equal exactly
// where the same file runs.

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <cstring>

#include "distribute/transport/transport.h"

namespace tributary {
namespace {

struct Search {
  uintptr_t inside;  // an address of the library
  std::string id;
};

std::string IdFromNotes(const char* notes, size_t size) {
  const auto padded = [](size_t n) { return (n + 3) & ~size_t{3}; };
  for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= size;) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes + at, sizeof(note));
    const char* name = notes + at + sizeof(note);
    const auto* value = reinterpret_cast<const unsigned char*>(name + padded(note.n_namesz));
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
      std::string id;
      for (size_t i = 0; i < note.n_descsz; ++i) id += fmt::format("{:02x}", value[i]);
      return id;
    }
    at += sizeof(note) + padded(note.n_namesz) + padded(note.n_descsz);
  }
  return "";
}

int Visit(dl_phdr_info* info, size_t, void* data) {
  auto* search = static_cast<Search*>(data);
  bool mine = false;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    const uintptr_t start = info->dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD) {
      mine |= search->inside >= start && search->inside < start + header.p_memsz;
    } else if (header.p_type == PT_NOTE && search->id.empty()) {
      search->id = IdFromNotes(reinterpret_cast<const char*>(start), header.p_memsz);
    }
  }
  if (mine) return 1;
  search->id.clear();
  return 0;
}

}  // namespace

std::string Hello::DefaultBuildId() {
  static const std::string id = [] {
    Search search{reinterpret_cast<uintptr_t>(&IdFromNotes), ""};
    return dl_iterate_phdr(Visit, &search) == 1 && !search.id.empty() ? search.id : "unknown";
  }();
  return id;
}

}  // namespace tributary
