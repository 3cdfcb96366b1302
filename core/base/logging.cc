#include "core/base/logging.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>

#include "core/base/errors.h"

namespace tributary {
namespace {

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

struct State {
  std::mutex mutex;
  std::string prefix;
  std::shared_ptr<spdlog::logger> logger;

  State() {
    logger = std::make_shared<spdlog::logger>(
        "tributary", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_pattern("%L %H:%M:%S.%e %v");
    logger->flush_on(spdlog::level::info);
    const char* level = std::getenv("TRIBUTARY_LOG");
    const std::string name = level ? level : "info";
    logger->set_level(spdlog::level::from_str(name == "warning" ? "warn" : name));
  }
};

// Never destroyed: threads may log while the process ends.
State& state() {
  static State* state = new State;
  return *state;
}

}  // namespace

void SetLogLevel(LogLevel level) { state().logger->set_level(ToSpdlog(level)); }

void SetLogPrefix(const std::string& prefix) {
  std::lock_guard lock(state().mutex);
  state().prefix = prefix.empty() ? "" : "[" + prefix + "] ";
}

void SetLogFile(const std::string& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
    sink->set_pattern("%L %Y-%m-%d %H:%M:%S.%e %v");
    std::lock_guard lock(state().mutex);
    state().logger->sinks().push_back(sink);
  } catch (const spdlog::spdlog_ex& e) {
    throw PermissionDeniedError("[log] can't write {}: {}", path, e.what());
  }
}

bool LogEnabled(LogLevel level) {
  return state().logger->should_log(ToSpdlog(level));
}

void LogMessage(LogLevel level, const std::string& message) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  s.logger->log(ToSpdlog(level), "{}{}", s.prefix, message);
}

}  // namespace tributary
