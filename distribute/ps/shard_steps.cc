// Steps of synchronous training: kept until enough workers have ended them, then applied.

#include <algorithm>

#include "distribute/comm/reduce_kernels.h"
#include "distribute/ps/shard.h"

namespace tributary::ps {

void Shard::Buffer(const MutatingFrame& frame) {
  Step& step = steps_[message_.control.step];
  step.frames[frame.header.worker].push_back(frame);
  step.arrival.push_back(frame);
  if (message_.control.flags & kEndOfStep) step.finished.push_back(frame.header.worker);
}

// Who was evicted is not waited for; who has never come is.
int Shard::Needed() const {
  int evicted = 0;
  for (const auto& [id, e] : ledger_.entries()) evicted += !e.active;
  return std::max(1, std::min(options_.workers - options_.backup, options_.workers - evicted));
}

void Shard::CompleteSteps() {
  for (auto it = steps_.find(applied_steps_);
       it != steps_.end() && static_cast<int>(it->second.finished.size()) >= Needed();
       it = steps_.find(applied_steps_)) {
    ApplyStep(it->second);
    steps_.erase(it);
    ++applied_steps_;
  }
}

void Shard::ApplyStep(Step& step) {
  // The first to finish, in the order of their numbers.
  std::vector<uint32_t> workers(step.finished.begin(), step.finished.begin() + Needed());
  std::sort(workers.begin(), workers.end());
  std::map<std::pair<PartKind, uint32_t>, std::vector<Pushed>> parts;
  double rate = -1;
  StepMessage message;
  for (const uint32_t worker : workers) {
    auto& frames = step.frames[worker];
    std::sort(frames.begin(), frames.end(), [](const MutatingFrame& a, const MutatingFrame& b) {
      return a.header.sequence < b.header.sequence;  // a retry may have come out of order
    });
    for (const MutatingFrame& frame : frames) {
      message.Parse(frame.control);
      if (rate < 0) rate = message.control.learning_rate;
      ForEachPart(message, frame, [&](const PartControl& part, const Pushed& pushed) {
        parts[{part.kind, part.target}].push_back(pushed);
      });
    }
  }
  for (const auto& [target, contributions] : parts) {
    if (target.first != PartKind::kDense) continue;
    WatchBegin(PartKind::kDense, target.second);
    ApplyDense(target.second, contributions, rate);
  }
  // Every table has an update in every step, so that all servers count alike.
  for (const auto& [id, table] : tables_) {
    const auto it = parts.find({PartKind::kRows, id});
    if (it == parts.end()) {
      WatchEnd();
      ApplyRows(id, {}, rate);
    } else {
      WatchBegin(PartKind::kRows, id);
      ApplyRows(id, it->second, rate);
    }
  }
  WatchEnd();
}

void Shard::ApplyRows(uint32_t id, const std::vector<Pushed>& parts, double rate) {
  EmbeddingTable& t = table(id);
  combiner_.Reset(t.width());
  for (const Pushed& p : parts) combiner_.Add(p.ids, Floats(p, &decoded_));
  t.Push(combiner_.ids(), combiner_.sums(), rate < 0 ? t.rule().learning_rate : rate);
}

void Shard::ApplyDense(uint32_t id, const std::vector<Pushed>& parts, double rate) {
  DenseVariable& v = variable(id);
  const auto elements = static_cast<int64_t>(v.weights().size());
  const bool plain = std::all_of(parts.begin(), parts.end(), [](const Pushed& p) {
    return p.values.format == WireFormat::kFloat32;
  });
  const float* gradient = Floats(parts[0], &decoded_);
  if (parts.size() > 1) sum_.resize(v.weights().size());
  if (parts.size() > 1 && plain) {
    std::vector<const void*> sources;
    for (const Pushed& p : parts) sources.push_back(p.encoded);
    ReduceSources(DType::kFloat32, ReduceOp::kSum, sum_.data(), sources.data(),
                  static_cast<int>(sources.size()), elements);
    gradient = sum_.data();
  }
  for (size_t i = 1; i < parts.size() && !plain; ++i) {  // one decoded at a time
    if (i == 1) std::copy(gradient, gradient + elements, sum_.begin());
    const void* sources[] = {sum_.data(), Floats(parts[i], &decoded_)};
    ReduceSources(DType::kFloat32, ReduceOp::kSum, sum_.data(), sources, 2, elements);
    gradient = sum_.data();
  }
  // The step's number, so that variables that were left out in a step count it too.
  v.Apply(gradient, static_cast<uint64_t>(applied_steps_) + 1,
          rate < 0 ? v.rule().learning_rate : rate);
}

std::vector<MutatingFrame> Shard::Pending() const {
  std::vector<MutatingFrame> frames;
  for (const auto& [number, step] : steps_) {
    frames.insert(frames.end(), step.arrival.begin(), step.arrival.end());
  }
  return frames;
}

}  // namespace tributary::ps
