#include "launch/bench/ps_rows.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

namespace tributary {
namespace {

constexpr size_t kRowsAtOnce = 1 << 16;  // of the pushes that create all rows
constexpr size_t kPullBytes = 256 << 10;
constexpr double kRate = 0.01;

double MicrosSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

}  // namespace

ZipfBatches::ZipfBatches(int64_t rows) : rows(rows), ids(kCount, std::vector<int64_t>(kIds)) {
  std::vector<double> sums(static_cast<size_t>(rows));
  double total = 0;
  for (size_t i = 0; i < sums.size(); ++i) sums[i] = total += std::pow(i + 1.0, -1.05);
  std::mt19937_64 random(1);
  ps::KeySet keys;
  for (std::vector<int64_t>& batch : ids) {
    for (int64_t& id : batch) {
      const double u = static_cast<double>(random() >> 11) * 0x1p-53 * total;
      const auto at = std::lower_bound(sums.begin(), sums.end(), u);
      id = std::min<int64_t>(rows - 1, at - sums.begin());
    }
    keys.Build(std::span<const int64_t>(batch), 1);
    unique += keys.size();
  }
  unique /= kCount;
}

RowsWorker::RowsWorker(ps::PsClient* client, const ps::TableSpec& spec, const ZipfBatches* batches)
    : client_(client), table_(spec.id), width_(spec.width), ids_(batches),
      grads_(static_cast<size_t>(ZipfBatches::kIds * spec.width)) {
  std::mt19937 random(2);
  for (float& g : grads_) g = (static_cast<float>(random() >> 8) * 0x1p-24f - 0.5f) * 0.01f;
  for (Batch& b : batches_) {
    b.rows.resize(grads_.size());
    b.sums.resize(grads_.size());
  }
  client_->CallAll(ps::kCreateTable, ps::Pack(spec));
  CreateRows();
}

void RowsWorker::CreateRows() {
  std::vector<uint64_t> ids;
  const std::vector<float> zeros(kRowsAtOnce * static_cast<size_t>(width_));
  ps::StepExchange push(1);
  for (int64_t row = 0; row < ids_->rows; row += static_cast<int64_t>(ids.size())) {
    ids.resize(std::min<size_t>(kRowsAtOnce, static_cast<size_t>(ids_->rows - row)));
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<uint64_t>(row) + i;
    push.Begin(ps::kPush, step_, kRate, 0);
    push.PushRows(0, table_, ids, std::span(zeros).first(ids.size() * static_cast<size_t>(width_)));
    client_->Run(&push);
  }
}

// --- Parts of a step -------------------------------------------------------------------

void RowsWorker::BuildKeys(int64_t step) {
  const auto& ids = ids_->ids[static_cast<size_t>(step) % ZipfBatches::kCount];
  At(step).keys.Build(std::span<const int64_t>(ids), 1);
}

// In requests of about kPullBytes: one is read while the server looks the next one up, and
// what it copies to the socket is still in the cache.
void RowsWorker::StartPull(int64_t step) {
  Batch& b = At(step);
  const auto width = static_cast<size_t>(width_);
  const size_t at_once = std::max<size_t>(1, kPullBytes / (sizeof(float) * width));
  const std::span<const uint64_t> ids = b.keys.unique();
  b.pulling = 0;
  for (size_t at = 0; at < ids.size(); at += at_once, ++b.pulling) {
    if (b.pulling == b.pulls.size()) b.pulls.emplace_back(1);
    ps::StepExchange& pull = b.pulls[b.pulling];
    const size_t count = std::min(at_once, ids.size() - at);
    pull.Begin(ps::kPull, step, kRate, 0);
    pull.PullRows(0, table_, ids.subspan(at, count),
                  std::span(b.rows).subspan(at * width, count * width));
  }
  for (size_t i = 0; i < b.pulling; ++i) client_->Start(&b.pulls[i]);
}

void RowsWorker::FinishPull(int64_t step) {
  Batch& b = At(step);
  for (size_t i = 0; i < b.pulling; ++i) client_->Finish(&b.pulls[i]);
}

void RowsWorker::Combine(int64_t step) {
  Batch& b = At(step);
  ps::CombineRows(b.keys.local(), grads_.data(), width_, b.keys.size(), b.sums.data());
}

void RowsWorker::StartPush(int64_t step) {
  Batch& b = At(step);
  b.push.Begin(ps::kPush, step, kRate, ps::kEndOfStep);
  b.push.PushRows(0, table_, b.keys.unique(),
                  std::span(b.sums).first(static_cast<size_t>(b.keys.size() * width_)));
  client_->Start(&b.push);
  b.pushing = true;
}

void RowsWorker::FinishPush(int64_t step) {
  Batch& b = At(step);
  if (!std::exchange(b.pushing, false)) return;
  client_->Finish(&b.push);
}

// --- Steps -------------------------------------------------------------------------------

template <typename Step>
std::vector<double> RowsWorker::Measure(double seconds, int64_t max_steps, const Step& step) {
  std::vector<double> micros;
  const auto begin = Clock::now();
  const auto count = static_cast<int64_t>(ZipfBatches::kCount);
  for (int64_t done = 0; done == 0 || (done + count <= max_steps &&
                                       MicrosSince(begin) < seconds * 1e6); done += count) {
    const auto start = Clock::now();
    for (int64_t i = 0; i < count; ++i) step();
    micros.push_back(MicrosSince(start) / static_cast<double>(count));
  }
  return micros;
}

std::vector<double> RowsWorker::RunTogether(double seconds, int64_t max_steps) {
  BuildKeys(step_);
  StartPull(step_);
  BuildKeys(step_ + 1);
  FinishPull(step_);
  const std::vector<double> micros = Measure(seconds, max_steps, [this] {
    StartPull(step_ + 1);
    Combine(step_);
    if (step_ > 0) FinishPush(step_ - 1);
    StartPush(step_);
    BuildKeys(step_ + 2);
    FinishPull(step_ + 1);
    ++step_;
  });
  FinishPush(step_ - 1);
  return micros;
}

std::vector<double> RowsWorker::RunInTurns(double seconds, int64_t max_steps) {
  return Measure(seconds, max_steps, [this] {
    BuildKeys(step_);
    StartPull(step_);
    FinishPull(step_);
    Combine(step_);
    StartPush(step_);
    FinishPush(step_);
    ++step_;
  });
}

}  // namespace tributary
