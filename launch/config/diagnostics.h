#pragma once
// Mistakes in a job, all of them at once:
//
//   job.yaml:12:3: error: unknown key 'optimzer'; did you mean 'optimizer'?
//      12 | optimzer: {Adam: {learning_rate: 1.0e-3}}
//         | ^

#include <stdexcept>
#include <string>
#include <vector>

#include "core/base/option_check.h"

namespace tributary {

// The texts a job is made of: the file, TRIBUTARY_SET, each --set. A mark's
// `source` is the index here.
class Sources {
 public:
  // `name` is what messages call it: "job.yaml", "--set #2". Returns the index.
  int Add(std::string name, std::string text);

  const std::string& Name(int source) const { return sources_.at(source).name; }
  const std::string& Text(int source) const { return sources_.at(source).text; }
  // "job.yaml:12:3" or "--set #2".
  std::string Where(const OptionMark& mark) const;
  // The line a mark is on, with a caret below; "" when there is none.
  std::string Excerpt(const OptionMark& mark) const;
  // A file has lines worth naming, a --set has one.
  void SetIsFile(int source) { sources_.at(source).is_file = true; }

 private:
  struct Source {
    std::string name;
    std::string text;
    bool is_file = false;
  };
  std::vector<Source> sources_;
};

class ConfigError : public std::runtime_error {
 public:
  // Renders the problems in the order of their places, each once.
  ConfigError(const Sources& sources, std::vector<OptionProblem> problems);

  const std::vector<OptionProblem>& problems() const { return problems_; }
  // Everything else is right: only inputs are missing.
  bool only_missing_files() const;

 private:
  std::vector<OptionProblem> problems_;
};

}  // namespace tributary
