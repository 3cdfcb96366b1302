#pragma once
// Requests to a PsServer without a transport: what a worker would send, what came back.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/errors.h"
#include "distribute/ps/ps_server.h"

namespace tributary::ps {

// One request under way: the frame (alive until it is answered) and its answer.
struct Call final : ReplySink {
  FrameHeader header;
  std::vector<uint64_t> control_words, payload_words;  // aligned
  size_t control_size = 0, payload_size = 0;
  bool answered = false;
  std::string reply_control;
  std::vector<std::byte> reply_payload;
  std::optional<Error> error;

  void Reply(ConstBytes control, std::span<const ConstBytes> payload) override {
    reply_control.assign(reinterpret_cast<const char*>(control.data()), control.size());
    for (const ConstBytes part : payload) {
      reply_payload.insert(reply_payload.end(), part.begin(), part.end());
    }
    answered = true;
  }
  void Fail(const std::exception& e) override {
    const auto* typed = dynamic_cast<const Error*>(&e);
    error.emplace(typed ? typed->code() : Code::kInternal, e.what());
    answered = true;
  }

  bool ok() const { return answered && !error; }
  StepReply step() const {
    StepReply r;
    std::memcpy(&r, reply_control.data(), sizeof(r));
    return r;
  }
  PartReply part(size_t i) const {
    PartReply r;
    std::memcpy(&r, reply_control.data() + sizeof(StepReply) + i * sizeof(PartReply), sizeof(r));
    return r;
  }
  std::vector<float> floats() const {
    std::vector<float> f(reply_payload.size() / sizeof(float));
    if (!f.empty()) std::memcpy(f.data(), reply_payload.data(), reply_payload.size());
    return f;
  }
};
using CallPtr = std::shared_ptr<Call>;

// Parts of a pull or push.
struct Parts {
  std::vector<PartControl> push, pull;
  std::string pushed, pulled_ids;

  Parts& Dense(uint32_t id, const std::vector<float>& gradient) {
    push.push_back({.target = id, .kind = PartKind::kDense, .count = gradient.size()});
    Append(&pushed, gradient.data(), gradient.size() * sizeof(float));
    return *this;
  }
  Parts& Rows(uint32_t id, const std::vector<uint64_t>& ids, const std::vector<float>& grads) {
    push.push_back({.target = id, .kind = PartKind::kRows, .count = ids.size()});
    pushed.append(reinterpret_cast<const char*>(ids.data()), ids.size() * 8);
    Append(&pushed, grads.data(), grads.size() * sizeof(float));
    return *this;
  }
  Parts& PullDense(uint32_t id, uint64_t count, uint64_t version = 0) {
    pull.push_back({.target = id, .kind = PartKind::kDense, .count = count, .version = version});
    return *this;
  }
  Parts& PullRows(uint32_t id, const std::vector<uint64_t>& ids) {
    pull.push_back({.target = id, .kind = PartKind::kRows, .count = ids.size()});
    pulled_ids.append(reinterpret_cast<const char*>(ids.data()), ids.size() * 8);
    return *this;
  }
  static void Append(std::string* out, const void* data, size_t bytes) {
    out->append(static_cast<const char*>(data), bytes);
    out->resize(Padded8(out->size()));
  }
};

// Requests outlive their servers, which answer what still waits when they end.
inline std::vector<CallPtr>& AllCalls() {
  static auto* calls = new std::vector<CallPtr>;
  return *calls;
}

// One worker's side of one server.
class Client {
 public:
  Client(PsServer* server, uint32_t worker, uint64_t generation = 1)
      : server_(server), worker_(worker), generation_(generation) {}

  CallPtr Send(uint16_t kind, const std::string& control, const std::string& payload,
               uint64_t sequence = 0) {
    auto call = std::make_shared<Call>();
    call->header.kind = kind;
    call->header.worker = worker_;
    call->header.generation = generation_;
    call->header.sequence = sequence;
    call->header.control_bytes = static_cast<uint32_t>(control.size());
    call->header.payload_bytes = payload.size();
    call->control_words.resize(control.size() / 8 + 1);
    call->payload_words.resize(payload.size() / 8 + 1);
    std::memcpy(call->control_words.data(), control.data(), control.size());
    std::memcpy(call->payload_words.data(), payload.data(), payload.size());
    call->control_size = control.size();
    call->payload_size = payload.size();
    Resend(call);
    return call;
  }
  // The same frame again, as a retry would.
  void Resend(const CallPtr& call) {
    AllCalls().push_back(call);
    const Request request{call->header,
                          std::as_bytes(std::span(call->control_words)).first(call->control_size),
                          std::as_bytes(std::span(call->payload_words)).first(call->payload_size)};
    server_->Handle(request, Responder(call.get()));
  }
  template <typename T>
  CallPtr Control(uint16_t kind, const T& control, const std::string& payload = {}) {
    return Send(kind, Pack(control), payload);
  }
  CallPtr Join(int64_t step = 0) { return Control(kJoin, JoinControl{step}); }

  CallPtr Step(uint16_t kind, int64_t step, const Parts& parts, uint32_t flags = kEndOfStep,
               double rate = -1, uint64_t sequence = 0) {
    StepControl control{.step = step, .pace = step + ahead, .learning_rate = rate,
                        .push_parts = static_cast<uint32_t>(parts.push.size()),
                        .pull_parts = static_cast<uint32_t>(parts.pull.size()), .flags = flags};
    std::string bytes(reinterpret_cast<const char*>(&control), sizeof(control));
    for (const auto* list : {&parts.push, &parts.pull}) {
      bytes.append(reinterpret_cast<const char*>(list->data()), list->size() * sizeof(PartControl));
    }
    if (kind != kPull && sequence == 0) sequence = ++sequence_;
    return Send(kind, bytes, parts.pushed + parts.pulled_ids, sequence);
  }
  CallPtr Push(int64_t step, const Parts& parts, uint32_t flags = kEndOfStep, double rate = -1) {
    return Step(kPush, step, parts, flags, rate);
  }
  CallPtr Pull(int64_t step, const Parts& parts) { return Step(kPull, step, parts, 0); }

  int64_t ahead = 0;  // steps that its pace is more than its step
  uint64_t sequence() const { return sequence_; }
  void set_server(PsServer* server) { server_ = server; }

 private:
  PsServer* server_;
  uint32_t worker_;
  uint64_t generation_;
  uint64_t sequence_ = 0;
};

inline VariableSpec DenseSpec(uint32_t id, std::vector<int64_t> shape,
                              const std::string& optimizer = "SGD") {
  VariableSpec spec;
  spec.id = id;
  spec.name = "dense" + std::to_string(id);
  spec.shape = shape;
  spec.end = shape.empty() ? 1 : shape[0];
  spec.optimizer = {optimizer, {{"learning_rate", "0.1"}}};
  return spec;
}

inline TableSpec RowsSpec(uint32_t id, int64_t width, const std::string& optimizer = "SGD") {
  TableSpec spec;
  spec.id = id;
  spec.name = "table" + std::to_string(id);
  spec.width = width;
  spec.seed = 11;
  spec.optimizer = {optimizer, {{"learning_rate", "0.1"}}};
  return spec;
}

// Everything that a shard holds, as bytes that compare: a checkpoint's content.
std::map<std::string, std::string> ContentsOf(Shard* shard);

inline std::map<std::string, std::string> ContentsOf(Shard* shard) {
  shard->Settle();
  std::map<std::string, std::string> all;
  const auto put = [&](const std::string& name, const void* data, size_t bytes) {
    all[name].append(static_cast<const char*>(data), bytes);
  };
  for (const auto& [id, v] : shard->variables()) {
    const std::string name = v->spec().name + "@" + std::to_string(v->spec().begin);
    put(name, v->weights().data(), v->weights().size_bytes());
    for (size_t k = 0; k < v->rule().slots.size(); ++k) {
      put(name + "/" + std::to_string(k), v->slot(k).data(), v->slot(k).size_bytes());
    }
    const uint64_t updates = v->updates();
    put(name + "/updates", &updates, sizeof(updates));
  }
  for (const auto& [id, t] : shard->tables()) {
    t->ForEachRow([&](const EmbeddingTable::SavedRow& row) {
      const std::string name = fmt::format("{}/{:016x}", t->spec().name, row.id);
      put(name, row.values, t->row_floats() * sizeof(float));
      put(name, &row.seen, sizeof(row.seen));
      put(name, &row.frequency, sizeof(row.frequency));
    });
    const uint64_t updates = t->updates();
    put(t->spec().name + "/updates", &updates, sizeof(updates));
  }
  for (const auto& [worker, e] : shard->ledger().entries()) {
    all[fmt::format("worker{}", worker)] =
        fmt::format("{} {} {} {} {}", e.generation, e.clock, e.active, e.seen.highest(), e.seen.bits());
  }
  all["steps"] = std::to_string(shard->applied_steps());
  return all;
}

}  // namespace tributary::ps
