// Lists of ids that workers need not send again, and pushes that go without their ids.

#include <algorithm>

#include "distribute/ps/ps_server.h"

namespace tributary::ps {

KeptLists* PsServer::KeptOf(const FrameHeader& header) {
  const auto it = shard_.ledger().entries().find(header.worker);
  const bool joined = it != shard_.ledger().entries().end() && it->second.active &&
                      it->second.generation == header.generation;
  return joined ? &kept_[header.worker] : nullptr;
}

std::vector<KeyList> PsServer::ListsOf(const Request& request) {
  message_.Parse(request.control);
  std::vector<KeyList> lists;
  const auto here = [](const PartControl& p) { return p.ids == PartIds::kHere; };
  if (std::ranges::all_of(message_.parts, here)) return lists;
  if (IsPush(request.header.kind)) {  // who is fenced is told that rather than anything else
    shard_.ledger().Current(request.header.worker, request.header.generation);
  }
  TRB_CHECK(reinterpret_cast<uintptr_t>(request.payload.data()) % sizeof(uint64_t) == 0);
  lists.reserve(static_cast<size_t>(std::ranges::count_if(message_.parts, &PartControl::kept)));
  KeptLists* kept = KeptOf(request.header);
  ConstBytes rest = request.payload;
  for (size_t i = 0; i < message_.parts.size(); ++i) {
    const PartControl& part = message_.parts[i];
    const WireValues values = shard_.ValuesOf(part);
    uint64_t bytes = part.id_bytes();
    if (part.kept()) {
      lists.push_back(kept ? kept->Find(part.version, part.count) : nullptr);
      if (!lists.back()) {
        throw UnknownListError("[ps] worker {} names a list of {} ids that this server does not "
                               "have; it is to send the ids", request.header.worker, part.count);
      }
      ids_left_out_ += part.count;
    } else if (bytes > 0 && bytes <= rest.size() && kept) {
      Keep(part, {reinterpret_cast<const uint64_t*>(rest.data()), part.count}, kept);
    }
    if (i < message_.control.push_parts) bytes = Padded8(bytes + values.bytes());
    if (bytes > rest.size()) {
      throw InvalidArgumentError("[ps] a pull or push of worker {} has {} bytes of payload, less "
                                 "than its parts", request.header.worker, request.payload.size());
    }
    rest = rest.subspan(bytes);
  }
  return lists;
}

void PsServer::Keep(const PartControl& part, std::span<const uint64_t> ids, KeptLists* kept) {
  if (part.ids != PartIds::kHereToKeep || ids.size() < RecentLists::kMinIds) return;
  // Kept under another's signature it would be pushed to in the other's place.
  if (SignatureOf(ids, message_.control.list_seed) == part.version) kept->Keep(part.version, ids);
}

// What leaves out ids stands in the log with them: the lists are not part of a shard's state.
void PsServer::Log(const MutatingFrame& frame, uint32_t flags) {
  FrameHeader header = frame.header;
  header.flags |= flags;
  if (frame.lists.empty()) return log_->Append(header, frame.control, frame.payload);
  shard_.InFull(frame, &control_, &payload_);
  header.flags &= ~kFrameHasBodyCrc;  // of the frame as it came
  log_->Append(header, control_, payload_);
}

}  // namespace tributary::ps
