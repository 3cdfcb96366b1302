#pragma once
// The figures of `tributary ps top` as text and as JSON.

#include <nlohmann/json.hpp>
#include <string>

#include "launch/ps_top/figures.h"

namespace tributary {

// Lines for a terminal of 100 columns: of servers, of tables and of embedding rows, and of
// workers. More than `most` tables or workers: the first tables, and the workers that are the
// least far; a last line counts the others.
std::string RenderPsFigures(const PsFigures& figures, size_t most = 20);

// Keys as in README.md beside this file.
nlohmann::ordered_json PsFiguresJson(const PsFigures& figures);

}  // namespace tributary
