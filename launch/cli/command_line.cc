#include "launch/cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "core/base/strings.h"

namespace tributary {
namespace {

constexpr int kHelpColumn = 34;

bool IsOption(const char* word) { return word[0] == '-'; }

// The command that the leading words name, as it is called.
std::string Called(const CLI::App* scope, int argc, const char* const* argv) {
  std::string words = scope->get_name();
  for (int at = 1; at < argc && !IsOption(argv[at]); ++at) {
    const auto below = scope->get_subcommands(
        [&](const CLI::App* command) { return command->get_name() == argv[at]; });
    if (below.empty()) break;
    scope = below[0];
    words += " " + scope->get_name();
  }
  return words;
}

// CLI11 has no did-you-mean: look at the leading words and the options ourselves.
std::string Suggestion(const CLI::App* scope, int argc, const char* const* argv) {
  int at = 1;
  for (; at < argc && !IsOption(argv[at]); ++at) {
    std::vector<std::string> commands;
    for (const CLI::App* command : scope->get_subcommands({})) {
      commands.push_back(command->get_name());
    }
    if (commands.empty()) break;
    if (std::find(commands.begin(), commands.end(), argv[at]) == commands.end()) {
      if (at == 1) std::sort(commands.begin(), commands.end());
      return DidYouMean(argv[at], commands);
    }
    scope = scope->get_subcommand(argv[at]);
  }
  std::vector<std::string> options;
  for (const CLI::Option* option : scope->get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  for (; at < argc; ++at) {
    const std::string word = Split(argv[at], '=')[0];
    if (!StartsWith(word, "--")) continue;
    if (std::find(options.begin(), options.end(), word) == options.end()) {
      return DidYouMean(word, options);
    }
  }
  return "";
}

}  // namespace

Argument Argument::Required() const { return Argument(option_->required()); }

Argument Argument::TypeName(const std::string& name) const {
  return Argument(option_->type_name(name));
}

Argument Argument::ShowDefault() const { return Argument(option_->capture_default_str()); }

Argument Argument::OneOf(const std::vector<std::string>& words) const {
  return Argument(option_->check(CLI::IsMember(words)));
}

Argument Argument::Range(int lowest, int highest) const {
  return Range(int64_t{lowest}, int64_t{highest});
}

Argument Argument::Range(int64_t lowest, int64_t highest) const {
  return Argument(option_->check(CLI::Range(lowest, highest)));
}

Argument Argument::Range(double lowest, double highest) const {
  return Argument(option_->check(CLI::Range(lowest, highest)));
}

Argument Argument::Positive(int64_t highest) const {
  return Check([highest](const std::string& text) -> std::string {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end == text.data() + text.size() && error == std::errc() && value >= 1 &&
        value <= highest) {
      return "";
    }
    const bool bounded = highest != INT64_MAX;
    return fmt::format("expected a whole number of at least 1{}, got {}",
                       bounded ? fmt::format(" and at most {}", highest) : "", text);
  });
}

Argument Argument::Check(std::function<std::string(const std::string&)> mistake) const {
  return Argument(option_->check(std::move(mistake)));
}

Argument Argument::Delimiter(char delimiter) const {
  return Argument(option_->delimiter(delimiter));
}

Argument Argument::OneWordEach() const { return Argument(option_->allow_extra_args(false)); }

Argument Argument::Needs(const Argument& other) const {
  return Argument(option_->needs(other.option_));
}

Argument Argument::Excludes(const Argument& other) const {
  return Argument(option_->excludes(other.option_));
}

Argument CommandLine::Add(const std::string& name, bool* value, const std::string& doc) const {
  return Argument(app_->add_flag(name, *value, doc));
}

Argument CommandLine::Add(const std::string& name, int* value, const std::string& doc) const {
  return Argument(app_->add_option(name, *value, doc));
}

Argument CommandLine::Add(const std::string& name, int64_t* value, const std::string& doc) const {
  return Argument(app_->add_option(name, *value, doc));
}

Argument CommandLine::Add(const std::string& name, uint64_t* value, const std::string& doc) const {
  return Argument(app_->add_option(name, *value, doc));
}

Argument CommandLine::Add(const std::string& name, double* value, const std::string& doc) const {
  return Argument(app_->add_option(name, *value, doc));
}

Argument CommandLine::Add(const std::string& name, std::string* value,
                          const std::string& doc) const {
  return Argument(app_->add_option(name, *value, doc));
}

Argument CommandLine::Add(const std::string& name, std::vector<int>* value,
                          const std::string& doc) const {
  return Argument(app_->add_option(name, *value, doc));
}

Argument CommandLine::Add(const std::string& name, std::vector<std::string>* value,
                          const std::string& doc) const {
  return Argument(app_->add_option(name, *value, doc));
}

CommandLine CommandLine::AddCommand(const std::string& name, const std::string& doc) const {
  return CommandLine(app_->add_subcommand(name, doc));  // takes over footer and formatter
}

std::vector<CommandLine> CommandLine::commands() const {
  std::vector<CommandLine> below;
  for (CLI::App* command : app_->get_subcommands([](CLI::App*) { return true; })) {
    below.push_back(CommandLine(command));
  }
  return below;
}

void CommandLine::RequireCommand() const { app_->require_subcommand(1); }

void CommandLine::RequireThat(std::function<bool()> given, const std::string& missing) const {
  app_->callback([given = std::move(given), missing] {
    if (!given()) throw CLI::RequiredError(missing);
  });
}

bool CommandLine::chosen() const { return app_->parsed(); }

RootCommandLine::RootCommandLine(const std::string& name, const std::string& doc,
                                 const std::string& footer)
    : CommandLine(nullptr), owned_(std::make_unique<CLI::App>(doc, name)) {
  app_ = owned_.get();
  app_->require_subcommand(0, 1);
  app_->footer(footer);
  app_->get_formatter()->column_width(kHelpColumn);
}

RootCommandLine::~RootCommandLine() = default;

bool RootCommandLine::Parse(int argc, const char* const* argv) {
  try {
    app_->parse(argc, argv);
    return true;
  } catch (const CLI::Success&) {
    return false;
  } catch (const CLI::ParseError& e) {
    throw UsageError(e.what() + Suggestion(app_, argc, argv), Called(app_, argc, argv));
  }
}

std::string RootCommandLine::Help() const { return app_->help(); }

}  // namespace tributary
