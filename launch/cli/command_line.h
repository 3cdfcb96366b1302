#pragma once
// What a command takes from its command line. CLI11 does the work, behind command_line.cc
// alone: its header costs every file that includes it ten seconds of compiling.

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace tributary {

// One option, flag or word of a command. A handle, valid as long as its RootCommandLine; each
// modifier returns it, so that they chain.
class Argument {
 public:
  Argument Required() const;
  // What stands for the value in --help.
  Argument TypeName(const std::string& name) const;
  // --help shows the value that it has now.
  Argument ShowDefault() const;

  // Of a list: each value is checked by itself.
  Argument OneOf(const std::vector<std::string>& words) const;
  Argument Range(int lowest, int highest) const;
  Argument Range(int64_t lowest, int64_t highest) const;
  Argument Range(double lowest, double highest) const;
  // An integer of at least 1.
  Argument Positive(int64_t highest = INT64_MAX) const;
  // `mistake` says what is wrong with a value, "" when nothing is.
  Argument Check(std::function<std::string(const std::string&)> mistake) const;

  // Of a list: one word of the command line holds several values.
  Argument Delimiter(char delimiter) const;
  // Of a list: takes one word each time that it is given, not all that follow.
  Argument OneWordEach() const;

  // Only together with `other`; never together with it.
  Argument Needs(const Argument& other) const;
  Argument Excludes(const Argument& other) const;

 private:
  friend class CommandLine;
  explicit Argument(CLI::Option* option) : option_(option) {}
  CLI::Option* option_;
};

// A command and the commands below it. A handle, valid as long as its RootCommandLine.
class CommandLine {
 public:
  // "--json" is an option, or a flag when its value is a bool; "JOB" is a word by its place.
  // Parsing writes to `value`, which must live until then; without the argument it stays.
  Argument Add(const std::string& name, bool* value, const std::string& doc) const;
  Argument Add(const std::string& name, int* value, const std::string& doc) const;
  Argument Add(const std::string& name, int64_t* value, const std::string& doc) const;
  Argument Add(const std::string& name, uint64_t* value, const std::string& doc) const;
  Argument Add(const std::string& name, double* value, const std::string& doc) const;
  Argument Add(const std::string& name, std::string* value, const std::string& doc) const;
  Argument Add(const std::string& name, std::vector<int>* value, const std::string& doc) const;
  Argument Add(const std::string& name, std::vector<std::string>* value,
               const std::string& doc) const;

  CommandLine AddCommand(const std::string& name, const std::string& doc) const;
  // The commands below it.
  std::vector<CommandLine> commands() const;
  // Called with one of its commands, or wrongly.
  void RequireCommand() const;
  // After parsing this command: `missing` is required, unless `given` returns true.
  void RequireThat(std::function<bool()> given, const std::string& missing) const;

  // After parsing: whether the user called this command.
  bool chosen() const;

 protected:
  explicit CommandLine(CLI::App* app) : app_(app) {}
  CLI::App* app_;
};

// The command line is not as the program takes it; the text may end in a suggestion.
struct UsageError : std::runtime_error {
  UsageError(const std::string& text, std::string called)
      : std::runtime_error(text), command(std::move(called)) {}
  std::string command;  // whose --help tells more: "tributary config show"
};

// Owns all commands, of which at most one is called. Parses once; all of it on one thread.
class RootCommandLine : public CommandLine {
 public:
  // `footer` ends the --help of every command.
  RootCommandLine(const std::string& name, const std::string& doc, const std::string& footer);
  ~RootCommandLine();

  // False when --help was asked for: Help() is that of the command it stands behind.
  // Throws UsageError.
  bool Parse(int argc, const char* const* argv);
  std::string Help() const;

 private:
  std::unique_ptr<CLI::App> owned_;
};

}  // namespace tributary
