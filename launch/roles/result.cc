#include "launch/roles/result.h"

#include <nlohmann/json.hpp>

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;

Json LogsJson(const Logs& logs) {
  Json json = Json::object();
  for (const auto& [name, value] : logs) json[name] = value;  // null when not finite
  return json;
}

Json Best(const History& history) {
  Json best = Json::object();
  for (size_t i = 0; i < history.logs.size(); ++i) {
    for (const auto& [name, value] : history.logs[i]) {
      const bool better = !best.contains(name) ||
                          (MoreIsBetter(name) ? value > best[name]["value"].get<double>()
                                              : value < best[name]["value"].get<double>());
      if (!better || !std::isfinite(value)) continue;
      best[name] = {{"value", value}, {"epoch", history.epochs[i] + 1}};
    }
  }
  return best;
}

}  // namespace

bool MoreIsBetter(const std::string& figure) {
  for (const char* part : {"loss", "error", "mse", "mae", "learning_rate"}) {
    if (figure.find(part) != std::string::npos) return false;
  }
  return true;
}

std::string FormatLogs(const Logs& logs) {
  std::string text;
  for (const auto& [name, value] : logs) {
    text += fmt::format("{}{} {:.4f}", text.empty() ? "" : "  ", name, value);
  }
  return text;
}

std::string ResultJson(const RunResult& result) {
  Json json = {{"job", result.job},
               {"hash", result.hash},
               {"status", result.status},
               {"exit_code", result.exit_code},
               {"processes", result.processes},
               {"steps", result.steps},
               {"epochs", result.epochs},
               {"wall_seconds", result.wall_seconds},
               {"examples_per_second", result.examples_per_second},
               {"final", result.history.logs.empty() ? Json::object()
                                                     : LogsJson(result.history.logs.back())},
               {"best", Best(result.history)},
               {"test", LogsJson(result.test)}};
  if (!result.error.empty()) json["error"] = result.error;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tributary
