#pragma once
// Log lines on standard error, and in a file once SetLogFile was called:
//
//   I 12:00:01.123 [worker 1@host] message
//
// or, after SetLogFormat(LogFormat::kJson), one JSON object a line:
//
//   {"time":"2026-11-22T12:00:01.123Z","level":"info","job":"mnist_mlp",
//    "task":"/job:worker/task:1","host":"node2","message":"[checkpoint] saved ...",
//    "fields":{"component":"checkpoint","step":2810}}
//
// All seven keys are always there ("" while not known); `fields` has the component
// that a message names first and whatever LogEvent was given.
//
// Safe from any thread. The level comes from TRIBUTARY_LOG (debug, info,
// warning, error), else info; a value that is none of them is info too.

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tributary {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

// A named figure of a line, for programs that read it.
using LogValue = std::variant<bool, int64_t, double, std::string>;
using LogFields = std::vector<std::pair<std::string, LogValue>>;

// Whether TRIBUTARY_LOG may have this value.
bool IsLogLevel(std::string_view name);
void SetLogLevel(LogLevel level);

// Of everything that follows, in the file too.
void SetLogFormat(LogFormat format);
LogFormat GetLogFormat();

// What every following line carries in brackets, e.g. "worker 1@host".
void SetLogPrefix(const std::string& prefix);
// The same for JSON: `key` is "job", "task" or "host".
void SetLogOrigin(const std::string& key, const std::string& value);

// Also appends every line to `path`. Throws PermissionDeniedError.
void SetLogFile(const std::string& path);

bool LogEnabled(LogLevel level);
void LogMessage(LogLevel level, const std::string& message);
// The fields are in JSON lines only: the message says all of it.
void LogEvent(LogLevel level, const std::string& message, const LogFields& fields);

template <typename... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(level)) {
    LogMessage(level, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <typename... Args>
void LogDebug(fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kDebug, format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kInfo, format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogWarning(fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kWarning, format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogError(fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kError, format, std::forward<Args>(args)...);
}

}  // namespace tributary
