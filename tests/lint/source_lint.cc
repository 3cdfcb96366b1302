// Checks rules of the source tree:
//
//   source_lint directions ROOT   includes go core <- ops <- trainer <- distribute
//                                 <- launch, and never the other way
//   source_lint sizes ROOT        files and functions stay within their limits;
//                                 the largest are listed
//   source_lint names ROOT        no two classes of one namespace have the same name:
//                                 the linker takes one's functions for the other's,
//                                 across shared libraries, and says nothing
//
// Exit status 1 names every violation as file:line.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kRooms = {"core", "ops", "trainer", "distribute", "launch"};

// What a room may include, itself apart.
const std::map<std::string, std::set<std::string>> kAllowed = {
    {"core", {}},
    {"ops", {"core"}},
    {"trainer", {"core", "ops"}},
    {"distribute", {"core"}},
    {"launch", {"core", "ops", "trainer", "distribute"}},
};
// Folders with wider rights than their room.
const std::map<std::string, std::set<std::string>> kWider = {
    {"distribute/strategies/", {"ops", "trainer"}},
    {"distribute/graph_ops/", {"ops", "trainer"}},
};

constexpr int kMaxFileLines = 600;
constexpr int kMaxFunctionLines = 120;

struct Source {
  std::string path;  // from the root, e.g. "core/base/errors.h"
  std::vector<std::string> lines;
};

std::vector<Source> ReadTree(const fs::path& root) {
  std::vector<Source> sources;
  for (const std::string& room : kRooms) {
    if (!fs::is_directory(root / room)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / room)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc" && extension != ".cu") continue;
      Source source{fs::relative(entry.path(), root).generic_string(), {}};
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) source.lines.push_back(line);
      sources.push_back(std::move(source));
    }
  }
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.path < b.path; });
  return sources;
}

bool MayInclude(const std::string& path, const std::string& room) {
  const std::string own = path.substr(0, path.find('/'));
  if (room == own || kAllowed.at(own).count(room)) return true;
  for (const auto& [folder, rooms] : kWider) {
    if (path.rfind(folder, 0) == 0 && rooms.count(room)) return true;
  }
  return false;
}

int CheckDirections(const std::vector<Source>& sources) {
  static const std::regex include(R"(^\s*#\s*include\s*["<]((\w+)/[^">]+)[">])");
  int violations = 0, checked = 0;
  for (const Source& source : sources) {
    for (size_t i = 0; i < source.lines.size(); ++i) {
      std::smatch match;
      if (!std::regex_search(source.lines[i], match, include)) continue;
      const std::string room = match[2];
      if (room == "tests") {
        std::cout << source.path << ":" << i + 1 << ": includes a test, " << match[1] << "\n";
        ++violations;
      }
      if (std::find(kRooms.begin(), kRooms.end(), room) == kRooms.end()) continue;
      ++checked;
      if (MayInclude(source.path, room)) continue;
      std::cout << source.path << ":" << i + 1 << ": may not include " << match[1] << " ("
                << room << " comes after " << source.path.substr(0, source.path.find('/'))
                << ")\n";
      ++violations;
    }
  }
  std::cout << checked << " includes of " << sources.size() << " files, " << violations
            << " in a forbidden direction\n";
  return violations > 0;
}

// Classes at the left margin, with the namespaces around them. Those of nameless
// namespaces are their file's own.
int CheckNames(const std::vector<Source>& sources) {
  static const std::regex opens(R"(^namespace( [\w:]+)? \{$)");
  static const std::regex closes(R"(^\}  // namespace)");
  static const std::regex defines(
      R"(^(?:class|struct)(?: \w+\(.*\))? (\w+)(?: final)?(?: :.*)?(?: \{.*)?$)");
  std::map<std::string, std::string> places;
  int violations = 0;
  for (const Source& source : sources) {
    std::vector<std::string> around;
    for (size_t i = 0; i < source.lines.size(); ++i) {
      const std::string& line = source.lines[i];
      std::smatch match;
      if (std::regex_search(line, match, opens)) around.push_back(match[1]);
      if (std::regex_search(line, closes) && !around.empty()) around.pop_back();
      if (std::find(around.begin(), around.end(), "") != around.end()) continue;
      if (line.ends_with(";") || !std::regex_search(line, match, defines)) continue;
      std::string name;
      for (const std::string& scope : around) name += scope.substr(1) + "::";
      name += match[1];
      const std::string place = source.path + ":" + std::to_string(i + 1);
      const auto [at, is_new] = places.emplace(name, place);
      // A file may be compiled once for each instruction set, and stands alone then.
      if (is_new || name.find("HWY_NAMESPACE") != std::string::npos) continue;
      std::cout << place << ": " << name << " is another class at " << at->second << "\n";
      ++violations;
    }
  }
  std::cout << places.size() << " classes, " << violations << " names of two\n";
  return violations > 0 || places.empty();
}

struct Function {
  std::string place;
  int lines;
};

// A function body is what stands between a line at the left margin (or a method's
// indentation) that ends in ") ... {" and the brace that closes it at the same
// indentation: our formatting makes that exact enough.
std::vector<Function> FindFunctions(const Source& source) {
  static const std::regex opens(R"(^( *)[^\s#/}].*\).*\{$)");
  static const std::regex control(R"(^ *(if|for|while|switch|else|do|namespace|struct|class)\b)");
  std::vector<Function> functions;
  for (size_t i = 0; i < source.lines.size(); ++i) {
    std::smatch match;
    const std::string& line = source.lines[i];
    if (!std::regex_search(line, match, opens) || std::regex_search(line, control)) continue;
    const std::string close = match[1].str() + "}";
    if (match[1].length() > 2) continue;  // lambdas and blocks belong to their function
    for (size_t j = i + 1; j < source.lines.size(); ++j) {
      if (source.lines[j].rfind(close, 0) != 0) continue;
      functions.push_back({source.path + ":" + std::to_string(i + 1), static_cast<int>(j - i + 1)});
      break;
    }
  }
  return functions;
}

int CheckSizes(const std::vector<Source>& sources) {
  int violations = 0;
  std::vector<std::pair<int, std::string>> files;
  std::vector<Function> functions;
  for (const Source& source : sources) {
    const int lines = static_cast<int>(source.lines.size());
    files.emplace_back(lines, source.path);
    if (lines > kMaxFileLines) {
      std::cout << source.path << ": " << lines << " lines; the limit is " << kMaxFileLines << "\n";
      ++violations;
    }
    for (Function& function : FindFunctions(source)) {
      if (function.lines > kMaxFunctionLines) {
        std::cout << function.place << ": a function of " << function.lines
                  << " lines; the limit is " << kMaxFunctionLines << "\n";
        ++violations;
      }
      functions.push_back(std::move(function));
    }
  }
  if (files.empty()) return 1;
  std::sort(files.begin(), files.end());
  std::sort(functions.begin(), functions.end(),
            [](const Function& a, const Function& b) { return a.lines < b.lines; });
  std::cout << files.size() << " files: median " << files[files.size() / 2].first
            << " lines, 9 of 10 within " << files[files.size() * 9 / 10].first << "\n";
  for (size_t i = files.size(); i > 0 && i + 5 > files.size(); --i) {
    std::cout << "  " << files[i - 1].first << "  " << files[i - 1].second << "\n";
  }
  if (functions.empty()) return violations > 0;
  std::cout << functions.size() << " functions: 9 of 10 within "
            << functions[functions.size() * 9 / 10].lines << " lines\n";
  for (size_t i = functions.size(); i > 0 && i + 5 > functions.size(); --i) {
    std::cout << "  " << functions[i - 1].lines << "  " << functions[i - 1].place << "\n";
  }
  return violations > 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 3 ? argv[1] : "";
  if (what != "directions" && what != "sizes" && what != "names") {
    std::cerr << "usage: source_lint directions|sizes|names ROOT\n";
    return 64;
  }
  const std::vector<Source> sources = ReadTree(argv[2]);
  if (sources.empty()) {
    std::cerr << "source_lint: no sources under " << argv[2] << "\n";
    return 66;
  }
  if (what == "names") return CheckNames(sources);
  return what == "directions" ? CheckDirections(sources) : CheckSizes(sources);
}
