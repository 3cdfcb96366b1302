#pragma once
// Slurm's compressed lists, as scontrol expands them.

#include <string>
#include <vector>

namespace tributary {

// "n[01-03,7],login" -> n01 n02 n03 n7 login. Throws InvalidArgumentError for a
// malformed or absurdly long list.
std::vector<std::string> ExpandHostList(const std::string& text);
// "2(x3),1" -> 2 2 2 1. Throws InvalidArgumentError.
std::vector<int> ExpandTasksPerNode(const std::string& text);

}  // namespace tributary
