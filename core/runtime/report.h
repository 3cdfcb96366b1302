#pragma once
// PlanReport as text, for people (`tributary graph`).

#include <string>

#include "core/runtime/plan.h"

namespace tributary {

// "1.5 KiB".
std::string FormatBytes(size_t bytes);

// Counts, fusions, memory (planned against naive) and the schedule as a table.
std::string ReportText(const PlanReport& report, const std::string& title = "plan");

// The schedule as a Graphviz digraph: a box a launch, fused ops listed in it, a
// dashed border for asynchronous nodes; inputs from outside are ellipses.
std::string ReportDot(const PlanReport& report, const std::string& title = "plan");

}  // namespace tributary
