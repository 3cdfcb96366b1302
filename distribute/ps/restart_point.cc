#include "distribute/ps/restart_point.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/errors.h"
#include "core/base/logging.h"

namespace tributary::ps {

std::string RestartPoint::marker() const {
  return fmt::format("{}/ps-{:05d}-of-{:05d}.checkpoint", place_.dir, place_.shard, place_.shards);
}

std::string RestartPoint::BaseName() const {
  return fmt::format("ps-{:05d}-of-{:05d}.base-", place_.shard, place_.shards);
}

bool RestartPoint::IsBase(const Start& start) const {
  return start.prefix.starts_with(JoinPath(place_.dir, BaseName()));
}

RestartPoint::Start RestartPoint::Read() const {
  if (place_.dir.empty() || !env_->Exists(marker())) return {};
  const std::string text = ReadFile(env_, marker());
  const size_t line = text.find('\n');
  Start start;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), start.first);
  if (line == std::string::npos || error != std::errc() || end != text.data() + line) {
    throw DataLossError("[ps] {} does not say what server {} begins with; expected a number and a "
                        "checkpoint, got {} bytes", marker(), place_.shard, text.size());
  }
  start.prefix = text.substr(line + 1);
  return start;
}

void RestartPoint::Resume(const Start& start) {
  const std::lock_guard lock(mutex_);
  const Start noted = Read();
  if (IsBase(noted) && start.first < noted.first) {
    throw DataLossError("[ps] server {} can't begin with '{}' and its log from segment {}: that "
                        "was removed when {} was written; begin with that", place_.shard,
                        start.prefix, start.first, noted.prefix);
  }
  start_ = start;
  first_ = start.first;
  if (place_.dir.empty()) return;
  // Else somebody has chosen another start: what the marker says is still needed.
  if (noted.prefix != start.prefix) return;
  RemoveUnused(IsBase(start) || start.prefix.empty() ? start.first : 0);
}

void RestartPoint::Clear() {
  const std::lock_guard lock(mutex_);
  start_ = base_ = {};
  first_ = 0;
  if (place_.dir.empty()) return;
  env_->CreateDirs(place_.dir);
  if (env_->Exists(marker())) env_->Remove(marker());
  RemoveBases();
  for (const uint64_t segment : LogSegments(env_, place_)) {
    env_->Remove(LogSegmentName(place_, segment));
  }
}

bool RestartPoint::Commit(const Start& next) {
  const std::lock_guard lock(mutex_);
  return Change(next, start_.first);
}

bool RestartPoint::Replace(const Start& next) {
  const std::lock_guard lock(mutex_);
  return Change(next, next.first);
}

bool RestartPoint::Change(const Start& next, uint64_t keep) {
  if (next.first < start_.first) return false;
  if (place_.dir.empty()) return true;
  env_->CreateDirs(place_.dir);
  WriteFileAtomically(env_, marker(), fmt::format("{}\n{}", next.first, next.prefix));
  start_ = next;
  first_ = next.first;
  RemoveUnused(keep);
  return true;
}

std::string RestartPoint::BeginBase(uint64_t first) {
  const std::lock_guard lock(mutex_);
  base_ = {first, JoinPath(place_.dir, fmt::format("{}{:010d}", BaseName(), first))};
  return base_.prefix;
}

bool RestartPoint::EndBase() {
  const std::lock_guard lock(mutex_);
  const Start base = std::exchange(base_, {});
  const bool changed = Change(base, base.first);
  if (!changed) RemoveUnused(0);
  return changed;
}

void RestartPoint::DropBase() {
  const std::lock_guard lock(mutex_);
  base_ = {};
  RemoveUnused(0);
}

// What is left over costs room on the disk and nothing else.
void RestartPoint::RemoveUnused(uint64_t keep) {
  try {
    RemoveBases();
    for (const uint64_t segment : LogSegments(env_, place_)) {
      if (segment < keep) env_->Remove(LogSegmentName(place_, segment));
    }
  } catch (const std::exception& error) {
    LogWarning("[ps] server {}: files that are no longer needed stay in {}: {}", place_.shard,
               place_.dir, error.what());
  }
}

void RestartPoint::RemoveBases() {
  if (!env_->Exists(place_.dir)) return;
  // The marker may have been replaced by a change that failed thereafter.
  const std::string keep[] = {start_.prefix, base_.prefix, Read().prefix};
  const std::string start = BaseName();
  for (const std::string& name : env_->List(place_.dir)) {
    const std::string path = JoinPath(place_.dir, name);
    const bool kept = std::ranges::any_of(keep, [&](const std::string& base) {
      return !base.empty() && path.starts_with(base + ".");
    });
    if (name.starts_with(start) && !kept) env_->Remove(path);
  }
}

}  // namespace tributary::ps
