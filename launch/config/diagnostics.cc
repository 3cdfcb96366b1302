#include "launch/config/diagnostics.h"

#include <tuple>

#include "launch/config/yaml_reader.h"

namespace tributary {
namespace {

constexpr size_t kShownColumns = 100;

size_t CodePoints(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

// Nothing that a terminal would obey or choke on. Keeps the length.
void Clean(std::string* line) {
  for (char& c : *line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  for (size_t at = 0; at < line->size(); ++at) {
    const size_t bad = FirstBadByte(std::string_view(*line).substr(at));
    if (bad == std::string_view::npos) return;
    at += bad;
    (*line)[at] = '?';
  }
}

auto Place(const OptionProblem& p) {
  return std::tuple(p.mark.source < 0 ? 1 << 30 : p.mark.source, p.mark.line, p.mark.column);
}

std::string Render(const Sources& sources, std::vector<OptionProblem>* problems) {
  std::stable_sort(problems->begin(), problems->end(),
                   [](const auto& a, const auto& b) { return Place(a) < Place(b); });
  // An alias repeats what its anchor holds: one report is enough.
  const auto same = [](const auto& a, const auto& b) {
    return Place(a) == Place(b) && a.message == b.message;
  };
  problems->erase(std::unique(problems->begin(), problems->end(), same), problems->end());
  constexpr size_t kShown = 50;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, problems->size()); ++i) {
    const OptionProblem& p = (*problems)[i];
    text += fmt::format("{}: error: {}\n{}", sources.Where(p.mark), p.message,
                        sources.Excerpt(p.mark));
  }
  if (problems->size() > kShown) {
    text += fmt::format("... and {} more\n", problems->size() - kShown);
  }
  return text + fmt::format("{} error{}: nothing was started\n", problems->size(),
                            problems->size() == 1 ? "" : "s");
}

}  // namespace

int Sources::Add(std::string name, std::string text) {
  sources_.push_back({std::move(name), std::move(text)});
  return static_cast<int>(sources_.size()) - 1;
}

std::string Sources::Where(const OptionMark& mark) const {
  if (mark.source < 0) return "the job";
  const Source& source = sources_.at(mark.source);
  if (!source.is_file) return source.name;
  if (mark.line < 1) return source.name;
  return fmt::format("{}:{}:{}", source.name, mark.line, mark.column);
}

std::string Sources::Excerpt(const OptionMark& mark) const {
  if (mark.source < 0 || mark.line < 1) return "";
  const std::string& text = sources_.at(mark.source).text;
  size_t begin = 0;
  for (int line = 1; line < mark.line; ++line) {
    begin = text.find('\n', begin);
    if (begin == std::string::npos) return "";
    ++begin;
  }
  std::string line = text.substr(begin, text.find('\n', begin) - begin);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  Clean(&line);
  size_t before = std::min<size_t>(mark.column > 0 ? mark.column - 1 : 0, line.size());
  size_t indent = CodePoints(std::string_view(line).substr(0, before));
  if (line.size() > kShownColumns) {
    if (before > kShownColumns - 20) return "";
    size_t cut = kShownColumns;
    while (cut > 0 && (static_cast<unsigned char>(line[cut]) & 0xc0) == 0x80) --cut;
    line = line.substr(0, cut) + "...";
  }
  const bool one_line = !sources_.at(mark.source).is_file;
  return fmt::format("{:>5} | {}\n      | {}^\n", one_line ? "" : std::to_string(mark.line),
                     line, std::string(indent, ' '));
}

ConfigError::ConfigError(const Sources& sources, std::vector<OptionProblem> problems)
    : std::runtime_error(Render(sources, &problems)), problems_(std::move(problems)) {}

bool ConfigError::only_missing_files() const {
  return std::all_of(problems_.begin(), problems_.end(),
                     [](const OptionProblem& p) { return p.missing_file; });
}

}  // namespace tributary
