#include "distribute/ps/step_exchange.h"

#include <algorithm>

namespace tributary::ps {
namespace {

constexpr std::byte kZeros[8] = {};

// What is pushed is padded to a multiple of 8 bytes.
void AddPadded(std::vector<ConstBytes>* payload, ConstBytes bytes) {
  payload->push_back(bytes);
  const uint64_t rest = Padded8(bytes.size()) - bytes.size();
  if (rest > 0) payload->push_back({kZeros, rest});
}

}  // namespace

void StepExchange::Begin(uint16_t kind, int64_t step, double learning_rate, uint32_t flags) {
  kind_ = kind;
  applied_steps_ = INT64_MAX;
  reply_flags_ = 0;
  for (Call& c : calls_) {
    TRB_CHECK(!c.under_way);
    c.control = {.step = step, .learning_rate = learning_rate, .flags = flags};
    c.push.clear();
    c.pull.clear();
    c.versions.clear();
    c.push_payload.clear();
    c.pull_payload.clear();
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
  if (push_format_ == WireFormat::kFloat32) {
    return AddPadded(&c.push_payload, std::as_bytes(gradient));
  }
  const WireValues values = WireValues::Dense(push_format_, gradient.size());
  const MutableBytes encoded = Buffer(&c, values.bytes());
  if (residual) {
    EncodeWithFeedback(values, gradient.data(), residual, encoded.data());
  } else {
    ps::Encode(values, gradient.data(), encoded.data());
  }
  AddPadded(&c.push_payload, encoded);
}

void StepExchange::PushRows(int server, uint32_t table, std::span<const uint64_t> ids,
                            std::span<const float> grads) {
  Call& c = calls_[server];
  if (c.skip) return;
  c.push.push_back({.target = table, .kind = PartKind::kRows, .encoding = push_format_,
                    .count = ids.size()});
  c.push_payload.push_back(std::as_bytes(ids));
  if (push_format_ == WireFormat::kFloat32 || ids.empty()) {
    return AddPadded(&c.push_payload, std::as_bytes(grads));
  }
  const WireValues values = WireValues::Rows(push_format_, ids.size(), grads.size() / ids.size());
  const MutableBytes encoded = Buffer(&c, values.bytes());
  ps::Encode(values, grads.data(), encoded.data());
  AddPadded(&c.push_payload, encoded);
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
  AddPull(&calls_[server],
          {.target = variable, .kind = PartKind::kDense, .encoding = pull_format_,
           .count = into.size(), .version = version ? *version : 0},
          WireValues::Dense(pull_format_, into.size()), into.data(), version);
}

void StepExchange::PullRows(int server, uint32_t table, std::span<const uint64_t> ids,
                            std::span<float> into) {
  Call& c = calls_[server];
  c.pull_payload.push_back(std::as_bytes(ids));
  const uint64_t width = ids.empty() ? 1 : into.size() / ids.size();
  AddPull(&c,
          {.target = table, .kind = PartKind::kRows, .encoding = pull_format_,
           .count = ids.size()},
          WireValues::Rows(pull_format_, ids.size(), width), into.data(), nullptr);
}

void StepExchange::Encode(Call* c) {
  c->control.push_parts = static_cast<uint32_t>(c->push.size());
  c->control.pull_parts = static_cast<uint32_t>(c->pull.size());
  const size_t push = c->push.size() * sizeof(PartControl);
  const size_t pull = c->pull.size() * sizeof(PartControl);
  c->control_bytes.resize(sizeof(StepControl) + push + pull);
  std::byte* out = c->control_bytes.data();
  std::memcpy(out, &c->control, sizeof(StepControl));
  if (push) std::memcpy(out + sizeof(StepControl), c->push.data(), push);
  if (pull) std::memcpy(out + sizeof(StepControl) + push, c->pull.data(), pull);
  c->payload.assign(c->push_payload.begin(), c->push_payload.end());
  c->payload.insert(c->payload.end(), c->pull_payload.begin(), c->pull_payload.end());
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
