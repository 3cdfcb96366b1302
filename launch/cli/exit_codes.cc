#include "launch/cli/exit_codes.h"

#include <cerrno>
#include <new>
#include <optional>
#include <string_view>

#include "core/base/errors.h"
#include "core/base/strings.h"
#include "core/io/env.h"
#include "launch/config/diagnostics.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

// Nothing where the type of the error says enough.
std::optional<int> CodeOfFileFailure(const FileFailure& failure) {
  switch (failure.error) {
    case ENOMEM: return kExitMemory;
    case EIO:
    case EMFILE:
    case ENFILE: return kExitIo;
  }
  if (failure.writing) return kExitCannotWrite;
  if (failure.error == EACCES || failure.error == EPERM) return kExitAuth;
  return std::nullopt;
}

// Errors that came from another thread or process have kept their text alone.
bool IsFrom(const Error& error, std::initializer_list<const char*> components) {
  std::string text = error.what();
  if (StartsWith(text, "rank ")) text.erase(0, text.find('['));  // told for another one
  for (const char* component : components) {
    if (StartsWith(text, fmt::format("[{}] ", component))) return true;
  }
  return false;
}

}  // namespace

std::string ExitCodeTable() {
  struct Row { int code; const char* meaning; };
  static constexpr Row kRows[] = {
      {kExitOk, "done"},
      {kExitUsage, "wrong use of the command line"},
      {kExitData, "the data is damaged or does not fit the model"},
      {kExitNoInput, "an input file is missing"},
      {kExitPeersLost, "another process of the job was lost"},
      {kExitBug, "a bug of Tributary"},
      {kExitCannotWrite, "an output cannot be written"},
      {kExitIo, "reading or writing failed"},
      {kExitPreempted, "told to stop: saved, launch again to go on"},
      {kExitProtocol, "processes of different builds or jobs met"},
      {kExitAuth, "a peer could not prove who it is, or access is denied"},
      {kExitConfig, "the job has mistakes"},
      {kExitNan, "the loss is not a number: stopped before the update"},
      {kExitMemory, "out of memory, or killed"}};
  std::string text = "Exit codes:\n";
  for (const Row& row : kRows) text += fmt::format("  {:>3}  {}\n", row.code, row.meaning);
  return text;
}

int ExitCodeOf(const std::exception& error) {
  if (const auto* config = dynamic_cast<const ConfigError*>(&error)) {
    return config->only_missing_files() ? kExitNoInput : kExitConfig;
  }
  if (dynamic_cast<const NonFiniteError*>(&error)) return kExitNan;
  if (dynamic_cast<const std::bad_alloc*>(&error)) return kExitMemory;
  const auto* typed = dynamic_cast<const Error*>(&error);
  if (!typed) return kExitInternal;
  if (const auto* failure = dynamic_cast<const FileFailure*>(&error)) {
    if (const auto code = CodeOfFileFailure(*failure)) return *code;
  }
  switch (typed->code()) {
    case Code::kOk: return kExitOk;
    case Code::kInvalidArgument:
      // TF_CONFIG and its like say what the job is, as its file does.
      return IsFrom(*typed, {"cluster", "job"}) ? kExitConfig : kExitData;
    case Code::kOutOfRange:
    case Code::kDataLoss: return kExitData;
    case Code::kNotFound: return kExitNoInput;
    case Code::kDeadlineExceeded:
    case Code::kUnavailable:
    case Code::kAborted: return kExitPeersLost;
    case Code::kAlreadyExists: return kExitCannotWrite;
    case Code::kPermissionDenied:
      return IsFrom(*typed, {"job", "transport"}) ? kExitAuth : kExitCannotWrite;
    case Code::kFailedPrecondition:
    case Code::kUnimplemented: return kExitConfig;
    case Code::kResourceExhausted:  // a full disk, else memory
      return IsFrom(*typed, {"checkpoint", "io"}) ? kExitCannotWrite : kExitMemory;
    case Code::kCancelled: return kExitPreempted;
    case Code::kUnauthenticated: return kExitAuth;
    case Code::kInternal:
    case Code::kUnknown: return kExitBug;
  }
  return kExitInternal;
}

}  // namespace tributary
