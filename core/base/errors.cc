#include "core/base/errors.h"

namespace tributary {

const char* CodeName(Code code) {
  static constexpr const char* kNames[] = {
      "OK",           "CANCELLED",       "UNKNOWN",
      "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
      "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
      "FAILED_PRECONDITION", "ABORTED",    "OUT_OF_RANGE",
      "UNIMPLEMENTED", "INTERNAL",        "UNAVAILABLE",
      "DATA_LOSS",    "UNAUTHENTICATED"};
  const int index = static_cast<int>(code);
  return index >= 0 && index < 17 ? kNames[index] : "UNKNOWN";
}

void ThrowError(Code code, const std::string& message) {
  switch (code) {
#define TRB_CASE(C) \
  case Code::C:     \
    throw TypedError<Code::C>("{}", message)
    TRB_CASE(kCancelled);
    TRB_CASE(kInvalidArgument);
    TRB_CASE(kDeadlineExceeded);
    TRB_CASE(kNotFound);
    TRB_CASE(kAlreadyExists);
    TRB_CASE(kPermissionDenied);
    TRB_CASE(kResourceExhausted);
    TRB_CASE(kFailedPrecondition);
    TRB_CASE(kAborted);
    TRB_CASE(kOutOfRange);
    TRB_CASE(kUnimplemented);
    TRB_CASE(kInternal);
    TRB_CASE(kUnavailable);
    TRB_CASE(kDataLoss);
    TRB_CASE(kUnauthenticated);
#undef TRB_CASE
    default:
      throw Error(code, message);
  }
}

namespace internal {
void CheckFailed(const char* file, int line, const char* what) {
  throw InternalError("[internal] {}:{}: check failed: {}; this is a bug in "
                      "Tributary, please report it",
                      file, line, what);
}
}  // namespace internal

}  // namespace tributary
