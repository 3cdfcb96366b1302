// What a server answers to pulls and pushes.

#include <algorithm>
#include <cstring>

#include "distribute/ps/lap_clock.h"
#include "distribute/ps/ps_server.h"

namespace tributary::ps {
namespace {

constexpr size_t kPiece = 64;  // rows looked up before they are encoded, in the cache
constexpr uint64_t kMaxReply = FrameLimits{}.payload_bytes;

}  // namespace

// Room in values_ for what is encoded here; it must not move while parts point into it.
// Returns the first id. What a count claims is believed once its ids are there.
const uint64_t* PsServer::MakeRoom(uint32_t worker, ConstBytes payload) {
  if (reinterpret_cast<uintptr_t>(payload.data()) % 8 != 0) {
    throw InternalError("[ps] a payload that is not aligned to 8 bytes");
  }
  uint64_t ids = payload.size() / sizeof(uint64_t), bytes = 0;
  bool fits = payload.size() % sizeof(uint64_t) == 0;
  for (const PartControl& part : message_.pull()) {
    const WireValues values = shard_.ValuesOf(part);
    const bool rows = part.kind == PartKind::kRows;
    const bool here = rows && !part.kept();
    fits = fits && (!here || part.count <= ids);
    if (!fits) {
      throw InvalidArgumentError("[ps] a pull of worker {} has {} bytes of payload, which are not "
                                 "the ids of its parts", worker, payload.size());
    }
    if (here) ids -= part.count;
    if (rows || values.format != WireFormat::kFloat32) bytes += Padded8(values.bytes());
    if (bytes > kMaxReply) {
      throw InvalidArgumentError("[ps] worker {} pulls more than {} bytes at once", worker,
                                 kMaxReply);
    }
  }
  if (bytes / sizeof(float) > values_.size()) values_.resize(bytes / sizeof(float));
  return reinterpret_cast<const uint64_t*>(payload.data()) + ids;
}

void PsServer::ReplyStep(Waiting& w) {
  message_.Parse(w.request.control);
  replies_.clear();
  payload_.clear();
  if (w.pull) {
    const uint64_t* next = MakeRoom(w.request.header.worker, w.request.payload);
    auto list = w.lists.begin() + std::ranges::count_if(message_.push(), &PartControl::kept);
    float* out = values_.data();
    LapClock laps;
    for (const PartControl& part : message_.pull()) {
      AddReply(part, part.kept() ? (*list++)->data() : next, &out, &laps);
      next += part.id_bytes() / sizeof(uint64_t);
    }
    laps.End();
  }
  const StepReply reply{.applied_steps = shard_.applied_steps(),
                        .pace = w.pull_pace,
                        .flags = w.flags,
                        .parts = static_cast<uint32_t>(replies_.size())};
  const size_t replies_bytes = replies_.size() * sizeof(PartReply);
  control_.resize(sizeof(reply) + replies_bytes);
  std::memcpy(control_.data(), &reply, sizeof(reply));
  if (replies_bytes) std::memcpy(control_.data() + sizeof(reply), replies_.data(), replies_bytes);
  w.responder.Reply(control_, payload_);
}

// What goes as it lies is sent from there; else it is put at `*out`, which moves on.
void PsServer::AddReply(const PartControl& part, const uint64_t* ids, float** out,
                        LapClock* laps) {
  TargetCounters& c = CountersOf(part.kind, part.target);
  ++c.pulls;
  c.pulled_keys += part.count;
  const WireValues values = shard_.ValuesOf(part);
  const bool plain = values.format == WireFormat::kFloat32;
  auto* encoded = reinterpret_cast<std::byte*>(*out);
  const uint64_t bytes = values.bytes();
  if (part.kind == PartKind::kRows) {
    laps->Begin(&c.parts->pull_us);
    EmbeddingTable& t = shard_.table(part.target);
    const std::span keys(ids, part.count);
    if (plain) t.Lookup(keys, *out);
    if (!plain) piece_.resize(std::max<size_t>(piece_.size(), kPiece * values.group));
    for (size_t i = 0; i < keys.size() && !plain; i += kPiece) {
      const size_t n = std::min(kPiece, keys.size() - i);
      t.Lookup(keys.subspan(i, n), piece_.data());
      EncodeGroups(values, i, i + n, piece_.data(), encoded);
    }
    for (; sampled_ < keys.size(); sampled_ += HotKeys::kEvery) c.hot.Add(keys[sampled_]);
    sampled_ -= keys.size();
    payload_.push_back({encoded, bytes});
    replies_.push_back({t.updates() | version_salt_, bytes});
  } else {
    laps->GoOn(&dense_.pull_us);
    const DenseVariable& v = shard_.variable(part.target);
    const uint64_t version = v.version() | version_salt_;
    const bool same = part.version == version;
    replies_.push_back({version, same ? 0 : bytes});
    if (same) return;
    if (!plain) Encode(values, v.weights().data(), encoded);
    payload_.push_back(plain ? std::as_bytes(v.weights()) : ConstBytes{encoded, bytes});
    if (plain) return;
  }
  *out += Padded8(bytes) / sizeof(float);
}

}  // namespace tributary::ps
