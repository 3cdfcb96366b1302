#include "distribute/ps/step_exchange.h"

#include <algorithm>

namespace tributary::ps {
namespace {

constexpr std::byte kZeros[8] = {};

// What is pushed is padded to a multiple of 8 bytes.
void AddPadded(std::vector<ConstBytes>* payload, ConstBytes bytes) {
  if (!bytes.empty()) payload->push_back(bytes);
  const uint64_t rest = Padded8(bytes.size()) - bytes.size();
  if (rest > 0) payload->push_back({kZeros, rest});
}

}  // namespace

void StepExchange::Begin(uint16_t kind, int64_t step, double learning_rate, uint32_t flags,
                         int64_t pace) {
  kind_ = kind;
  applied_steps_ = pace_ = INT64_MAX;
  reply_flags_ = 0;
  for (Call& c : calls_) {
    TRB_CHECK(!c.under_way);
    c.control = {.step = step, .pace = pace < 0 ? step : pace, .learning_rate = learning_rate,
                 .flags = flags};
    c.push.clear();
    c.pull.clear();
    c.versions.clear();
    c.push_ids.clear();
    c.pull_ids.clear();
    c.push_values.clear();
    c.into.clear();
    c.landings.clear();
    c.used_buffers = 0;
    c.versioned = c.skip = false;
  }
}

MutableBytes StepExchange::Buffer(Call* c, uint64_t bytes) {
  if (c->used_buffers == c->buffers.size()) c->buffers.emplace_back();
  std::vector<std::byte>& buffer = c->buffers[c->used_buffers++];
  if (buffer.size() < bytes) buffer.resize(bytes);
  return {buffer.data(), bytes};
}

void StepExchange::PushDense(int server, uint32_t variable, std::span<const float> gradient,
                             float* residual) {
  Call& c = calls_[server];
  if (c.skip) return;
  c.push.push_back({.target = variable, .kind = PartKind::kDense, .encoding = push_format_,
                    .count = gradient.size()});
  c.push_ids.emplace_back();
  if (push_format_ == WireFormat::kFloat32) {
    c.push_values.push_back(std::as_bytes(gradient));
    return;
  }
  const WireValues values = WireValues::Dense(push_format_, gradient.size());
  const MutableBytes encoded = Buffer(&c, values.bytes());
  if (residual) {
    EncodeWithFeedback(values, gradient.data(), residual, encoded.data());
  } else {
    ps::Encode(values, gradient.data(), encoded.data());
  }
  c.push_values.push_back(encoded);
}

void StepExchange::PushRows(int server, uint32_t table, std::span<const uint64_t> ids,
                            std::span<const float> grads) {
  Call& c = calls_[server];
  if (c.skip) return;
  c.push.push_back({.target = table, .kind = PartKind::kRows, .encoding = push_format_,
                    .count = ids.size()});
  c.push_ids.push_back(ids);
  if (push_format_ == WireFormat::kFloat32 || ids.empty()) {
    c.push_values.push_back(std::as_bytes(grads));
    return;
  }
  const WireValues values = WireValues::Rows(push_format_, ids.size(), grads.size() / ids.size());
  const MutableBytes encoded = Buffer(&c, values.bytes());
  ps::Encode(values, grads.data(), encoded.data());
  c.push_values.push_back(encoded);
}

void StepExchange::AddPull(Call* c, const PartControl& part, const WireValues& values, float* into,
                           uint64_t* version) {
  if (values.format == WireFormat::kFloat32) {
    c->into.push_back(std::as_writable_bytes(std::span(into, values.count)));
  } else {
    c->landings.push_back({c->pull.size(), values, into});
    c->into.push_back(Buffer(c, values.bytes()));
  }
  c->pull.push_back(part);
  c->versions.push_back(version);
  c->versioned |= version != nullptr;
}

void StepExchange::PullDense(int server, uint32_t variable, std::span<float> into,
                             uint64_t* version) {
  calls_[server].pull_ids.emplace_back();
  AddPull(&calls_[server],
          {.target = variable, .kind = PartKind::kDense, .encoding = pull_format_,
           .count = into.size(), .version = version ? *version : 0},
          WireValues::Dense(pull_format_, into.size()), into.data(), version);
}

void StepExchange::PullRows(int server, uint32_t table, std::span<const uint64_t> ids,
                            std::span<float> into) {
  Call& c = calls_[server];
  c.pull_ids.push_back(ids);
  const uint64_t width = ids.empty() ? 1 : into.size() / ids.size();
  AddPull(&c,
          {.target = table, .kind = PartKind::kRows, .encoding = pull_format_,
           .count = ids.size()},
          WireValues::Rows(pull_format_, ids.size(), width), into.data(), nullptr);
}

bool StepExchange::AddIds(std::span<const uint64_t> ids, RecentLists* lists, PartControl* part) {
  if (!lists || ids.size() < RecentLists::kMinIds) return true;
  part->version = SignatureOf(ids, SignatureSeed());
  if (lists->Find(part->version, ids.size()) != RecentLists::kNone) {
    part->ids = PartIds::kKept;
    return false;
  }
  if (lists->Add(part->version, ids.size()) != RecentLists::kNone) {
    part->ids = PartIds::kHereToKeep;
  }
  return true;
}

void StepExchange::Encode(Call* c, RecentLists* lists) {
  c->control.push_parts = static_cast<uint32_t>(c->push.size());
  c->control.pull_parts = static_cast<uint32_t>(c->pull.size());
  c->control.list_seed = SignatureSeed();
  c->control_bytes.resize(sizeof(StepControl) +
                          (c->push.size() + c->pull.size()) * sizeof(PartControl));
  std::byte* out = c->control_bytes.data();
  std::memcpy(out, &c->control, sizeof(StepControl));
  out += sizeof(StepControl);
  c->payload.clear();
  c->named = false;
  const auto add = [&](PartControl part, std::span<const uint64_t> ids) {
    if (AddIds(ids, lists, &part) && !ids.empty()) c->payload.push_back(std::as_bytes(ids));
    c->named |= part.kept();
    std::memcpy(out, &part, sizeof(part));
    out += sizeof(part);
  };
  for (size_t i = 0; i < c->push.size(); ++i) {
    add(c->push[i], c->push_ids[i]);
    AddPadded(&c->payload, c->push_values[i]);
  }
  for (size_t i = 0; i < c->pull.size(); ++i) add(c->pull[i], c->pull_ids[i]);
  bytes_out_ += kFrameHeaderBytes + c->control_bytes.size() + TotalBytes(c->payload);
}

void StepExchange::Decode(Call* c, const Reply& reply) {
  const size_t parts = kind_ == kPush ? 0 : c->pull.size();
  if (reply.control.size() != sizeof(StepReply) + parts * sizeof(PartReply)) {
    throw DataLossError("[ps] a reply of {} bytes of control to {} parts", reply.control.size(),
                        parts);
  }
  StepReply head;
  std::memcpy(&head, reply.control.data(), sizeof(head));
  applied_steps_ = std::min(applied_steps_, head.applied_steps);
  if (!c->pull.empty()) pace_ = std::min(pace_, head.pace);
  reply_flags_ |= head.flags;
  bytes_in_ += kFrameHeaderBytes + reply.control.size() + reply.header.payload_bytes;
  size_t at = 0, landing = 0;
  for (size_t i = 0; i < parts; ++i) {
    PartReply part;
    std::memcpy(&part, reply.control.data() + sizeof(head) + i * sizeof(part), sizeof(part));
    const bool encoded = landing < c->landings.size() && c->landings[landing].part == i;
    const Landing* lands = encoded ? &c->landings[landing++] : nullptr;
    if (c->versions[i]) *c->versions[i] = part.version;
    const MutableBytes into = c->into[i];
    if (part.bytes == 0 && c->versions[i]) continue;
    if (c->versioned) {
      if (part.bytes != into.size() || part.bytes > reply.payload.size() - at) {
        throw DataLossError("[ps] part {} of a reply has {} bytes; expected {}", i, part.bytes,
                            into.size());
      }
      std::memcpy(into.data(), reply.payload.data() + at, part.bytes);
      at += part.bytes;
    }
    if (lands) ps::Decode(lands->values, into.data(), lands->out);
  }
}

}  // namespace tributary::ps
