#include "distribute/liveness/board.h"

#include <algorithm>
#include <cstring>

namespace tributary {

void BoardFailure::Post(int failed_rank, const std::string& reason) {
  uint32_t expected = kNone;
  if (!phase.compare_exchange_strong(expected, kWriting, std::memory_order_acq_rel)) return;
  rank = failed_rank;
  const size_t length = std::min<size_t>(reason.size(), kTextBytes - 1);
  std::memcpy(text, reason.data(), length);
  text[length] = '\0';
  phase.store(kPosted, std::memory_order_release);
}

}  // namespace tributary
