#pragma once
// The secret that the processes of a job share.

#include <array>
#include <cstddef>
#include <string>

#include "distribute/transport/transport.h"

namespace tributary {

using JobKey = std::array<unsigned char, 32>;

// Reads the secret that `options` names (key_file or key_fd) and derives the key of
// this job from it (HKDF-SHA256 with the job id). Throws PermissionDeniedError when
// others may read the file, NotFoundError, InvalidArgumentError (no 64 hex digits).
// No message contains the secret.
JobKey ReadJobKey(const SecurityOptions& options);

// What to do about a missing key, for messages.
std::string HowToMakeAKey();

}  // namespace tributary
