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

bool IsBetter(const std::string& figure, double value, double than) {
  return MoreIsBetter(figure) ? value > than : value < than;
}

// `best` has what earlier launches have found.
Json Best(const History& history, Json best) {
  for (size_t i = 0; i < history.logs.size(); ++i) {
    for (const auto& [name, value] : history.logs[i]) {
      if (!std::isfinite(value)) continue;
      if (best.contains(name) && !IsBetter(name, value, best[name]["value"].get<double>())) {
        continue;
      }
      best[name] = {{"value", value}, {"epoch", history.epochs[i] + 1}};
    }
  }
  return best;
}

Json ReadBefore(const std::string& text) {
  Json before = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return before.is_object() ? before : Json::object();
}

// The best figures of the epochs before `epoch`, from 0; later ones were trained again.
Json BestBefore(const Json& before, int64_t epoch) {
  Json best = Json::object();
  if (!before.contains("best") || !before["best"].is_object()) return best;
  for (const auto& [name, entry] : before["best"].items()) {
    const bool whole = entry.is_object() && entry.contains("value") && entry.contains("epoch") &&
                       entry["value"].is_number() && entry["epoch"].is_number_integer();
    if (whole && entry["epoch"].get<int64_t>() <= epoch) best[name] = entry;
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

std::string ResultJson(const RunResult& result, const std::string& before_text) {
  const Json before = ReadBefore(before_text);
  const bool trained = !result.history.epochs.empty();
  const Json best =
      BestBefore(before, trained ? result.history.epochs.front() : INT64_MAX);
  Json json = {{"job", result.job},
               {"hash", result.hash},
               {"status", result.status},
               {"exit_code", result.exit_code},
               {"processes", result.processes},
               {"steps", result.steps},
               {"epochs", result.epochs},
               {"wall_seconds", result.wall_seconds},
               {"examples_per_second", result.examples_per_second},
               {"final", trained ? LogsJson(result.history.logs.back()) : Json::object()},
               {"best", Best(result.history, best)},
               {"test", LogsJson(result.test)}};
  if (!trained) {  // nothing was left to do, or it failed before: what was found stays
    for (const char* key : {"examples_per_second", "final", "test", "steps", "epochs"}) {
      const bool missing = json[key].empty() || json[key] == 0;
      if (missing && before.contains(key)) json[key] = before[key];
    }
  }
  if (!result.error.empty()) json["error"] = result.error;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tributary
