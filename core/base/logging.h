#pragma once
// Log lines on standard error, and in a file once SetLogFile was called:
//
//   I 12:00:01.123 [worker 1@host] message
//
// Safe from any thread. The level comes from TRIBUTARY_LOG (debug, info,
// warning, error), else info.

#include <fmt/format.h>

#include <string>

namespace tributary {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

void SetLogLevel(LogLevel level);

// What every following line carries in brackets, e.g. "worker 1@host".
void SetLogPrefix(const std::string& prefix);

// Also appends every line to `path`. Throws PermissionDeniedError.
void SetLogFile(const std::string& path);

bool LogEnabled(LogLevel level);
void LogMessage(LogLevel level, const std::string& message);

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
