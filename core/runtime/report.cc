#include "core/runtime/report.h"

#include <set>

#include "core/base/strings.h"

namespace tributary {
namespace {

std::string Escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// Fixed columns, each as wide as its widest cell.
std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("  {:<{}}", row[i], i + 1 < row.size() ? widths[i] : 0);
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

std::string Notes(const PlanReport::Step& step) {
  std::vector<std::string> notes;
  if (!step.fused.empty()) notes.push_back("= " + Join(step.fused, "+"));
  if (step.in_place) notes.push_back("in place");
  if (step.asynchronous) notes.push_back("asynchronous");
  return Join(notes, ", ");
}

// Tensors in buckets and variables have no place in the arena.
std::string OffsetText(const PlanReport::Step& step) {
  if (step.output.empty()) return "";
  return step.in_arena ? std::to_string(step.arena_offset) : "outside";
}

// "dense/MatMul:0" and "^dense/MatMul" -> "dense/MatMul".
std::string NodeName(const std::string& input) {
  const std::string name = input.substr(0, input.rfind(':'));
  return StartsWith(name, "^") ? name.substr(1) : name;
}

}  // namespace

std::string FormatBytes(size_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  const char* units[] = {"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024;
  int unit = 0;
  for (; value >= 1024 && unit < 3; ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string ReportText(const PlanReport& r, const std::string& title) {
  std::string out = fmt::format(
      "{}: {} nodes traced, {} pruned, {} folded, {} merged, {} fused; {} launches\n", title,
      r.nodes_traced, r.nodes_pruned, r.nodes_folded, r.nodes_merged, r.nodes_fused,
      r.steps.size());
  if (!r.fusions.empty()) {
    out += "\nfusions\n";
    for (const std::string& fusion : r.fusions) out += "  " + fusion + "\n";
  }
  const double share = r.naive_bytes ? 100.0 * r.arena_bytes / r.naive_bytes : 100.0;
  out += "\nmemory\n" +
         Table({{"planned", FormatBytes(r.arena_bytes),
                 fmt::format("{:.0f} % of {} naive", share, FormatBytes(r.naive_bytes))},
                {"of it scratch", FormatBytes(r.scratch_bytes)},
                {"buckets", FormatBytes(r.bucket_bytes)},
                {"variables", FormatBytes(r.variable_bytes)},
                {"constants", FormatBytes(r.constant_bytes)}});
  std::vector<std::vector<std::string>> rows = {
      {"#", "op", "node", "output", "bytes", "offset", ""}};
  for (size_t i = 0; i < r.steps.size(); ++i) {
    const PlanReport::Step& step = r.steps[i];
    rows.push_back({std::to_string(i), step.op, step.name, step.output,
                    step.output.empty() ? "" : FormatBytes(step.bytes),
                    OffsetText(step), Notes(step)});
  }
  return out + "\nschedule\n" + Table(rows);
}

std::string ReportDot(const PlanReport& report, const std::string& title) {
  std::string out = fmt::format(
      "digraph \"{}\" {{\n  rankdir=TB;\n  node [shape=box, fontname=Helvetica, fontsize=10];\n"
      "  edge [fontname=Helvetica, fontsize=8];\n",
      Escape(title));
  std::set<std::string> made;
  for (const auto& step : report.steps) {
    if (step.op == "wait") continue;
    made.insert(step.name);
    std::string label = Escape(step.op) + "\\n" + Escape(step.name);
    if (!step.output.empty()) label += "\\n" + Escape(step.output);
    if (!step.fused.empty()) label += "\\n= " + Escape(Join(step.fused, "+"));
    out += fmt::format("  \"{}\" [label=\"{}\"{}{}];\n", Escape(step.name), label,
                       step.asynchronous ? ", style=dashed" : "",
                       step.fused.empty() ? "" : ", color=blue");
  }
  std::set<std::string> sources;
  for (const auto& step : report.steps) {
    for (const std::string& input : step.inputs) {
      const std::string from = NodeName(input);
      if (!made.count(from) && sources.insert(from).second) {
        out += fmt::format("  \"{}\" [shape=ellipse, color=gray];\n", Escape(from));
      }
      out += fmt::format("  \"{}\" -> \"{}\";\n", Escape(from), Escape(step.name));
    }
  }
  return out + "}\n";
}

}  // namespace tributary
