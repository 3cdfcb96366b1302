#include "core/base/logging.h"

#include <fmt/chrono.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/errors.h"

namespace tributary {
namespace {

constexpr char kTerminalPattern[] = "%L %H:%M:%S.%e %v";
constexpr char kFilePattern[] = "%L %Y-%m-%d %H:%M:%S.%e %v";
constexpr char kJsonPattern[] = "%v";

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "info";
}

std::optional<LogLevel> LevelOf(std::string_view name) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (name == LevelName(level)) return level;
  }
  return std::nullopt;
}

struct State {
  std::mutex mutex;
  std::string prefix;
  std::map<std::string, std::string> origin;
  std::atomic<LogFormat> format{LogFormat::kText};
  std::shared_ptr<spdlog::logger> logger;

  State() {
    logger = std::make_shared<spdlog::logger>(
        "tributary", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    SetPatterns();
    logger->flush_on(spdlog::level::info);
    const char* variable = std::getenv("TRIBUTARY_LOG");
    logger->set_level(ToSpdlog(LevelOf(variable ? variable : "").value_or(LogLevel::kInfo)));
  }

  // The first sink is standard error, the others are files.
  void SetPatterns() {
    const bool json = format == LogFormat::kJson;
    for (size_t i = 0; i < logger->sinks().size(); ++i) {
      const char* text = i == 0 ? kTerminalPattern : kFilePattern;
      logger->sinks()[i]->set_pattern(json ? kJsonPattern : text);
    }
  }

  std::string Origin(const char* key) const {
    const auto it = origin.find(key);
    return it == origin.end() ? "" : it->second;
  }
};

// Never destroyed: threads may log while the process ends.
State& state() {
  static State* state = new State;
  return *state;
}

// "[checkpoint] saved" -> "checkpoint"
std::string Component(const std::string& message) {
  const size_t end = message.find("] ");
  if (message.empty() || message[0] != '[' || end == std::string::npos) return "";
  return message.substr(1, end - 1);
}

std::string JsonLine(const State& s, LogLevel level, const std::string& message,
                     const LogFields& fields) {
  using Json = nlohmann::ordered_json;
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now());
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  Json object = {{"time", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds),
                                      now.time_since_epoch().count() % 1000)},
                 {"level", LevelName(level)},
                 {"job", s.Origin("job")},
                 {"task", s.Origin("task")},
                 {"host", s.Origin("host")},
                 {"message", message},
                 {"fields", Json::object()}};
  Json& out = object["fields"];
  if (const std::string component = Component(message); !component.empty()) {
    out["component"] = component;
  }
  for (const auto& [name, value] : fields) {
    std::visit([&, key = name](const auto& v) { out[key] = v; }, value);
  }
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

bool IsLogLevel(std::string_view name) { return LevelOf(name).has_value(); }

void SetLogLevel(LogLevel level) { state().logger->set_level(ToSpdlog(level)); }

void SetLogFormat(LogFormat format) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  s.format = format;
  s.SetPatterns();
}

LogFormat GetLogFormat() { return state().format; }

void SetLogPrefix(const std::string& prefix) {
  std::lock_guard lock(state().mutex);
  state().prefix = prefix.empty() ? "" : "[" + prefix + "] ";
}

void SetLogOrigin(const std::string& key, const std::string& value) {
  TRB_CHECK(key == "job" || key == "task" || key == "host");
  std::lock_guard lock(state().mutex);
  state().origin[key] = value;
}

void SetLogFile(const std::string& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
    std::lock_guard lock(state().mutex);
    state().logger->sinks().push_back(sink);
    state().SetPatterns();
  } catch (const spdlog::spdlog_ex& e) {
    throw PermissionDeniedError("[log] can't write {}: {}", path, e.what());
  }
}

bool LogEnabled(LogLevel level) {
  return state().logger->should_log(ToSpdlog(level));
}

void LogMessage(LogLevel level, const std::string& message) { LogEvent(level, message, {}); }

void LogEvent(LogLevel level, const std::string& message, const LogFields& fields) {
  if (!LogEnabled(level)) return;
  State& s = state();
  std::lock_guard lock(s.mutex);
  if (s.format == LogFormat::kJson) {
    s.logger->log(ToSpdlog(level), JsonLine(s, level, message, fields));
  } else {
    s.logger->log(ToSpdlog(level), "{}{}", s.prefix, message);
  }
}

}  // namespace tributary
