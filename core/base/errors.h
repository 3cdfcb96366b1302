#pragma once
// Typed exceptions with TensorFlow's names and codes (absl::StatusCode /
// tensorflow::error::Code).
//
// A message reads `[component] what; expected X, got Y; where; what to do`.
// Anything that comes from outside (a config, a file, a peer, a shape) is
// reported by one of these. TRB_CHECK is for our own bugs only.

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace tributary {

// Numeric values are TensorFlow's and travel between processes.
enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// "INVALID_ARGUMENT", ... as TensorFlow prints them.
const char* CodeName(Code code);

// Base of every exception thrown by Tributary.
class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message)
      : std::runtime_error(message), code_(code) {}
  Code code() const { return code_; }

 private:
  Code code_;
};

template <Code C>
class TypedError : public Error {
 public:
  template <typename... Args>
  explicit TypedError(fmt::format_string<Args...> format, Args&&... args)
      : Error(C, fmt::format(format, std::forward<Args>(args)...)) {}
};

using CancelledError = TypedError<Code::kCancelled>;
using InvalidArgumentError = TypedError<Code::kInvalidArgument>;
using DeadlineExceededError = TypedError<Code::kDeadlineExceeded>;
using NotFoundError = TypedError<Code::kNotFound>;
using AlreadyExistsError = TypedError<Code::kAlreadyExists>;
using PermissionDeniedError = TypedError<Code::kPermissionDenied>;
using ResourceExhaustedError = TypedError<Code::kResourceExhausted>;
using FailedPreconditionError = TypedError<Code::kFailedPrecondition>;
using AbortedError = TypedError<Code::kAborted>;
using OutOfRangeError = TypedError<Code::kOutOfRange>;
using UnimplementedError = TypedError<Code::kUnimplemented>;
using InternalError = TypedError<Code::kInternal>;
using UnavailableError = TypedError<Code::kUnavailable>;
using DataLossError = TypedError<Code::kDataLoss>;
using UnauthenticatedError = TypedError<Code::kUnauthenticated>;

// Throws the TypedError of `code`: for errors that arrive as code and text from
// another thread or process.
[[noreturn]] void ThrowError(Code code, const std::string& message);

namespace internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* what);
}  // namespace internal

// Throws InternalError with file and line: a broken invariant of our own.
#define TRB_CHECK(condition)                                             \
  do {                                                                   \
    if (__builtin_expect(!(condition), 0))                               \
      ::tributary::internal::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

}  // namespace tributary
