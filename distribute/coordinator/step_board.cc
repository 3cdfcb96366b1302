#include "distribute/coordinator/step_board.h"

#include <algorithm>

#include "core/base/errors.h"

namespace tributary::coordinator {

StepBoard::StepBoard(Mode mode, int servers, int64_t lease_steps)
    : mode_(mode), servers_(servers), lease_steps_(lease_steps) {
  if (servers < 1 || lease_steps < 1) {
    throw InvalidArgumentError("[coordinator] {} servers and leases of {} steps; expected at least "
                               "one of each", servers, lease_steps);
  }
}

void StepBoard::Open(const Window& window, int64_t lease_steps) {
  if (open_) {
    throw FailedPreconditionError(
        "[coordinator] a window can't be opened: batches {} to {} of epoch {} are not complete",
        window_.begin, window_.end, window_.epoch);
  }
  if (window.begin < 0 || window.end < window.begin) {
    throw InvalidArgumentError("[coordinator] a window of batches {} to {}", window.begin,
                               window.end);
  }
  window_ = window;
  window_lease_ = lease_steps > 0 ? std::min(lease_steps, lease_steps_) : lease_steps_;
  open_ = true;
  closed_ = false;
  furthest_ = window.begin;
  done_ = 0;
  for (auto& [id, worker] : workers_) worker.position = window.begin;
  Settle();
}

void StepBoard::Close() {
  closed_ = true;
  Settle();
}

void StepBoard::Join(uint32_t worker) {
  Worker& w = workers_[worker];
  if (mode_ == Mode::kSplit && w.issued) {
    throw FailedPreconditionError("[coordinator] worker {} can't begin anew: what its earlier life "
                                  "has done of lease {} is not known yet",
                                  worker, w.issued->lease.id);
  }
  const int64_t position = std::max(w.position, window_.begin + done_);
  w = {.issued = std::nullopt, .last_done = 0, .position = position};
  Settle();
}

StepBoard::Worker& StepBoard::Of(uint32_t worker) {
  const auto it = workers_.find(worker);
  if (it == workers_.end()) {
    throw FailedPreconditionError("[coordinator] worker {} has not joined", worker);
  }
  return it->second;
}

const Lease* StepBoard::LeaseOf(uint32_t worker) const {
  const auto it = workers_.find(worker);
  return it != workers_.end() && it->second.issued ? &it->second.issued->lease : nullptr;
}

std::optional<Lease> StepBoard::Take(uint32_t worker, int64_t clock) {
  Worker& w = Of(worker);
  if (w.issued) {
    if (w.issued->clock == clock) return w.issued->lease;
    throw FailedPreconditionError(
        "[coordinator] worker {} asks for steps at clock {}, but lease {}, taken at {}, is not "
        "done", worker, clock, w.issued->lease.id, w.issued->clock);
  }
  if (!open_) return std::nullopt;
  Lease lease;
  const bool any = mode_ == Mode::kSplit ? NextSplit(&lease) : NextShared(&w, clock, &lease);
  if (any) {
    lease.id = next_id_++;
    w.issued = Issued{lease, clock};
  }
  Settle();
  if (!any) return std::nullopt;
  return lease;
}

Lease StepBoard::LeaseFrom(int64_t begin) const {
  return {.id = 0,
          .epoch = window_.epoch,
          .begin = begin,
          .end = begin + std::min(window_lease_, limit() - begin),
          .first_step = window_.first_step + begin - window_.begin,
          .learning_rate = window_.learning_rate,
          .done = {}};
}

bool StepBoard::NextSplit(Lease* lease) {
  if (!given_back_.empty()) {
    *lease = std::move(given_back_.front());
    given_back_.pop_front();
    return true;
  }
  if (furthest_ >= limit()) return false;
  *lease = LeaseFrom(furthest_);
  furthest_ = lease->end;
  return true;
}

bool StepBoard::NextShared(Worker* worker, int64_t clock, Lease* lease) {
  const int64_t position = window_.begin + clock - window_.first_step;
  if (position < window_.begin) {
    throw FailedPreconditionError(
        "[coordinator] a worker stands at step {}, before the window, which begins at {}; restore "
        "all from one checkpoint", clock, window_.first_step);
  }
  worker->position = position;
  if (position >= limit()) return false;
  *lease = LeaseFrom(position);
  furthest_ = std::max(furthest_, lease->end);
  return true;
}

int64_t StepBoard::Done(uint32_t worker, uint64_t lease) {
  Worker& w = Of(worker);
  if (lease != 0 && lease == w.last_done) return 0;
  if (!w.issued || w.issued->lease.id != lease) {
    throw FailedPreconditionError("[coordinator] worker {} is done with lease {}, which it does "
                                  "not have", worker, lease);
  }
  const Lease done = std::move(w.issued->lease);
  w.issued.reset();
  w.last_done = lease;
  w.position = done.end;
  if (mode_ == Mode::kSplit) done_ += done.length();
  Settle();
  return done.length();
}

void StepBoard::Lost(uint32_t worker, std::span<const int64_t> clocks) {
  Worker& w = Of(worker);
  if (mode_ == Mode::kSplit && w.issued) {
    if (clocks.size() != static_cast<size_t>(servers_)) {
      throw InvalidArgumentError("[coordinator] clocks of a lost worker on {} servers; expected {}",
                                 clocks.size(), servers_);
    }
    Lease rest = std::move(w.issued->lease);
    rest.done.resize(clocks.size());
    for (size_t s = 0; s < clocks.size(); ++s) {
      // Its clock counts every batch, also those that it skipped as done before.
      const int64_t passed = std::clamp<int64_t>(clocks[s] - w.issued->clock, 0, rest.length());
      rest.done[s] = std::max(rest.done[s], passed);
    }
    const int64_t whole = *std::min_element(rest.done.begin(), rest.done.end());
    rest.begin += whole;
    rest.first_step += whole;
    done_ += whole;
    for (int64_t& done : rest.done) done -= whole;
    if (*std::max_element(rest.done.begin(), rest.done.end()) == 0) rest.done.clear();
    if (rest.length() > 0) given_back_.push_back(std::move(rest));
  }
  workers_.erase(worker);
  Settle();
}

void StepBoard::Settle() {
  if (!open_) return;
  if (mode_ == Mode::kSplit) {
    const bool busy = std::any_of(workers_.begin(), workers_.end(), [](const auto& entry) {
      return entry.second.issued.has_value();
    });
    open_ = busy || !given_back_.empty() || (!closed_ && furthest_ < window_.end);
    return;
  }
  if (workers_.empty()) return;
  bool busy = false;
  int64_t least = limit();
  for (const auto& [id, worker] : workers_) {
    busy |= worker.issued.has_value();
    least = std::min(least, worker.position);
  }
  done_ = std::max(done_, least - window_.begin);
  open_ = busy || least < limit();
}

}  // namespace tributary::coordinator
