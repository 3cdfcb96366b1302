#include "distribute/transport/mpi/mail.h"

#include <sched.h>

#include <charconv>
#include <cstring>
#include <mutex>
#include <thread>

#include "distribute/comm/mpi/mpi_runtime.h"
#include "distribute/transport/mpi/mpi_transport.h"

namespace tributary {
namespace {

std::mutex mail_mutex;
MPI_Comm mail_comm = MPI_COMM_NULL;

constexpr int kSpins = 200;
constexpr int kYields = 2000;

bool ParseNumber(std::string_view text, int* value) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *value);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && *value >= 0;
}

}  // namespace

void RequireMpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw UnavailableError("[transport] {}: {}", call, std::string(text, length));
}

void InitMpiTransport() {
  std::lock_guard lock(mail_mutex);
  if (mail_comm != MPI_COMM_NULL) return;
  MpiRuntime::Init();
  RequireMpi(MPI_Comm_dup(MPI_COMM_WORLD, &mail_comm), "MPI_Comm_dup");
  MPI_Comm_set_errhandler(mail_comm, MPI_ERRORS_RETURN);
}

MPI_Comm MailComm() {
  std::lock_guard lock(mail_mutex);
  if (mail_comm != MPI_COMM_NULL) return mail_comm;
  throw FailedPreconditionError("[transport] mpi:// is not set up; every rank of the job must call "
                                "InitMpiTransport first, under mpirun");
}

MpiAddress MpiAddress::Parse(const std::string& address) {
  std::string_view rest = address;
  if (StartsWith(rest, "mpi://")) rest.remove_prefix(6);
  const size_t slash = rest.find('/');
  MpiAddress result;
  const bool valid =
      ParseNumber(rest.substr(0, slash), &result.rank) &&
      (slash == std::string_view::npos || ParseNumber(rest.substr(slash + 1), &result.shard)) &&
      result.shard < kShards;
  int size = 0;
  MPI_Comm_size(MailComm(), &size);
  if (valid && result.rank < size) return result;
  throw InvalidArgumentError("[transport] '{}' is no MPI address; expected mpi://RANK or "
                             "mpi://RANK/SHARD with a rank below {} and a shard below {}",
                             address, size, kShards);
}

std::string MpiAddress::ToString() const {
  return shard == 0 ? fmt::format("mpi://{}", rank) : fmt::format("mpi://{}/{}", rank, shard);
}

void Outbox::Send(const Route& route, FrameHeader header, ConstBytes control,
                  std::span<const ConstBytes> payload, bool checksums) {
  Reap();
  if (free_.empty()) free_.push_back(std::make_unique<Letter>());
  under_way_.push_back(std::move(free_.back()));
  free_.pop_back();
  Letter& letter = *under_way_.back();

  header.control_bytes = static_cast<uint32_t>(control.size());
  header.payload_bytes = TotalBytes(payload);
  if (checksums) {
    header.flags |= kFrameHasBodyCrc;
    header.crc = BodyCrc(control, payload);
  }
  const bool has_body = header.payload_bytes > kInlinePayload;
  const Envelope envelope{route.channel, has_body};
  letter.head.resize(kHeadBytes);
  std::memcpy(letter.head.data(), &envelope, sizeof(envelope));
  EncodeHeader(header, letter.head.data() + sizeof(envelope));
  letter.head.insert(letter.head.end(), control.begin(), control.end());
  if (has_body) {
    std::byte* to = letter.body.Resize(header.payload_bytes).data();
    for (const ConstBytes part : payload) {
      if (part.empty()) continue;
      std::memcpy(to, part.data(), part.size());
      to += part.size();
    }
  } else {
    for (const ConstBytes part : payload) {
      letter.head.insert(letter.head.end(), part.begin(), part.end());
    }
  }
  RequireMpi(MPI_Isend(letter.head.data(), static_cast<int>(letter.head.size()), MPI_BYTE,
                       route.rank, route.head_tag, MailComm(), &letter.requests[0]),
             "MPI_Isend");
  if (!has_body) return;
  RequireMpi(MPI_Isend(letter.body.bytes().data(), static_cast<int>(header.payload_bytes), MPI_BYTE,
                       route.rank, route.body_tag, MailComm(), &letter.requests[1]),
             "MPI_Isend");
}

bool Outbox::Reap() {
  for (size_t i = 0; i < under_way_.size();) {
    int sent = 0;
    MPI_Testall(2, under_way_[i]->requests, &sent, MPI_STATUSES_IGNORE);
    if (!sent) {
      ++i;
      continue;
    }
    under_way_[i]->body.Recycle();
    free_.push_back(std::move(under_way_[i]));
    under_way_.erase(under_way_.begin() + static_cast<ptrdiff_t>(i));
  }
  return under_way_.empty();
}

Outbox::~Outbox() {
  // A goodbye is small and goes at once; what nobody takes must not hold us up.
  const Deadline deadline = After(Millis(100));
  while (!Reap() && Clock::now() < deadline) sched_yield();
  for (auto& letter : under_way_) letter.release();
}

bool TakeHead(int source, int tag, const FrameLimits& limits, Head* head) {
  int found = 0;
  MPI_Message message;
  MPI_Status status;
  RequireMpi(MPI_Improbe(source, tag, MailComm(), &found, &message, &status), "MPI_Improbe");
  if (!found) return false;
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  const size_t size = static_cast<size_t>(bytes);
  const bool fits = size >= kHeadBytes && size <= kHeadBytes + limits.control_bytes + kInlinePayload;
  // A message that does not fit is taken off and thrown away.
  head->memory.resize(fits ? size : size_t{0});
  std::vector<std::byte> refused(fits ? 0 : size);
  RequireMpi(MPI_Mrecv(fits ? head->memory.data() : refused.data(), bytes, MPI_BYTE, &message,
                       MPI_STATUS_IGNORE),
             "MPI_Mrecv");
  head->source = status.MPI_SOURCE;
  const std::string peer = fmt::format("rank {}", head->source);
  if (!fits) throw DataLossError("[transport] {} sends a frame head of {} bytes", peer, bytes);
  std::memcpy(&head->envelope, head->memory.data(), sizeof(Envelope));
  head->header = DecodeHeader(std::span<const std::byte, kFrameHeaderBytes>(
                                  head->memory.data() + sizeof(Envelope), kFrameHeaderBytes),
                              limits, peer);
  const ConstBytes rest = ConstBytes(head->memory).subspan(kHeadBytes);
  const uint64_t inline_bytes = head->envelope.has_body ? 0 : head->header.payload_bytes;
  if (head->envelope.channel >= kMaxChannels ||
      rest.size() != head->header.control_bytes + inline_bytes) {
    throw DataLossError("[transport] {} sends a frame whose parts do not add up", peer);
  }
  head->control = rest.first(head->header.control_bytes);
  head->inline_payload = rest.subspan(head->header.control_bytes);
  return true;
}

void Patience::FoundNothing() {
  ++idle_;
  if (idle_ < kSpins) return;
  if (idle_ < kYields) {
    sched_yield();
    return;
  }
  std::this_thread::sleep_for(std::chrono::microseconds(50));
}

}  // namespace tributary
