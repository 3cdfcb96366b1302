#include "distribute/ps/protocol.h"

namespace tributary::ps {

void StepMessage::Parse(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(StepControl)) {
    throw InvalidArgumentError("[ps] a pull or push has {} bytes of control; expected at least {}",
                               bytes.size(), sizeof(StepControl));
  }
  std::memcpy(&control, bytes.data(), sizeof(StepControl));
  const uint64_t count = uint64_t{control.push_parts} + control.pull_parts;
  const uint64_t rest = bytes.size() - sizeof(StepControl);
  if (rest != count * sizeof(PartControl)) {
    throw InvalidArgumentError("[ps] a pull or push of {} parts has {} bytes of control; expected "
                               "{}", count, bytes.size(),
                               sizeof(StepControl) + count * sizeof(PartControl));
  }
  parts.resize(count);
  if (count > 0) std::memcpy(parts.data(), bytes.data() + sizeof(StepControl), rest);
}

}  // namespace tributary::ps
