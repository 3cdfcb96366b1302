#include "trainer/data/row_stream.h"

#include <algorithm>
#include <array>

#include "core/base/errors.h"
#include "core/base/philox.h"

namespace tributary::data {
namespace {

constexpr int64_t kMaxBatch = int64_t{1} << 31;

class Sequential final : public RowStream {
 public:
  explicit Sequential(int64_t rows) : rows_(rows) {}
  int64_t Next(int64_t* rows) override {
    if (next_ >= rows_) return kEnd;
    *rows = next_++;
    return 1;
  }
  void StartPass(uint64_t) override { next_ = 0; }
  int64_t width() const override { return 1; }
  int64_t global_rows() const override { return 1; }

 private:
  const int64_t rows_;
  int64_t next_ = 0;
};

// A stage over one source.
class Stage : public RowStream {
 public:
  explicit Stage(RowStreamPtr source) : source_(std::move(source)) {}
  void StartPass(uint64_t pass) override { source_->StartPass(pass); }
  int64_t width() const override { return source_->width(); }
  int64_t global_rows() const override { return source_->global_rows(); }

 protected:
  RowStreamPtr source_;
};

class Shuffle final : public Stage {
 public:
  Shuffle(RowStreamPtr source, int64_t buffer, uint64_t seed, bool reshuffle)
      : Stage(std::move(source)),
        capacity_(buffer),
        width_(source_->width()),
        seed_(seed),
        reshuffle_(reshuffle) {}

  void StartPass(uint64_t pass) override {
    source_->StartPass(pass);
    stream_ = reshuffle_ ? pass : 0;
    drawn_ = 0;
    size_ = 0;
    filled_ = false;
    exhausted_ = false;
  }

  int64_t Next(int64_t* rows) override {
    if (!filled_) {
      while (size_ < capacity_ && Append()) {
      }
      filled_ = true;
    }
    if (size_ == 0) return kEnd;
    const int64_t slot = Draw();
    const Count count = counts_[slot];
    global_rows_ = count.global;
    Copy(&rows_[slot * width_], count.rows, rows);
    Replace(slot);
    return count.rows;
  }
  int64_t global_rows() const override { return global_rows_; }

 private:
  struct Count {
    int64_t rows, global;
  };

  static void Copy(const int64_t* from, int64_t count, int64_t* to) {
    if (count == 1) {
      *to = *from;  // what there is most of; no call
    } else {
      std::copy_n(from, count, to);
    }
  }

  bool Append() {
    if (static_cast<int64_t>(counts_.size()) == size_) {
      counts_.emplace_back();
      rows_.resize(rows_.size() + width_);
    }
    const int64_t count = source_->Next(&rows_[size_ * width_]);
    if (count == kEnd) {
      exhausted_ = true;
      return false;
    }
    counts_[size_++] = {count, source_->global_rows()};
    return true;
  }

  // The source's next element, or else the last of the buffer, takes the slot.
  void Replace(int64_t slot) {
    if (!exhausted_) Append();
    const int64_t last = --size_;
    if (slot == last) return;
    Copy(&rows_[last * width_], width_, &rows_[slot * width_]);
    counts_[slot] = counts_[last];
  }

  static int64_t Below(int64_t bound, uint64_t bits) {
    return static_cast<int64_t>((static_cast<unsigned __int128>(bits) * bound) >> 64);
  }

  // Many numbers at once, so that blocks overlap in the processor. Whoever trains one range
  // of many still draws those of the others.
  int64_t Draw() {
    const uint64_t at = drawn_++ % kDraws;
    if (at == 0) {
      for (uint64_t i = 0; i < kDraws; i += 2) {
        const PhiloxBlock block = PhiloxAt(seed_, stream_, (drawn_ - 1 + i) / 2);
        draws_[i] = (uint64_t{block[0]} << 32) | block[1];
        draws_[i + 1] = (uint64_t{block[2]} << 32) | block[3];
      }
    }
    if (at + kAhead < kDraws && size_ > kAhead) {
      const int64_t next = Below(exhausted_ ? size_ - kAhead : size_, draws_[at + kAhead]);
      __builtin_prefetch(&counts_[next], 1);
      __builtin_prefetch(&rows_[next * width_], 1);
    }
    return Below(size_, draws_[at]);
  }

  static constexpr int kDraws = 64, kAhead = 8;

  const int64_t capacity_, width_;
  const uint64_t seed_;
  const bool reshuffle_;
  uint64_t stream_ = 0;
  uint64_t drawn_ = 0;
  std::array<uint64_t, kDraws> draws_{};
  std::vector<int64_t> rows_;  // width_ for each element; `size_` are in use
  std::vector<Count> counts_;
  int64_t size_ = 0, global_rows_ = 0;
  bool filled_ = false;
  bool exhausted_ = false;
};

class Take final : public Stage {
 public:
  Take(RowStreamPtr source, int64_t count) : Stage(std::move(source)), count_(count) {}
  void StartPass(uint64_t pass) override {
    source_->StartPass(pass);
    taken_ = 0;
  }
  int64_t Next(int64_t* rows) override {
    if (taken_ >= count_) return kEnd;
    ++taken_;
    return source_->Next(rows);
  }

 private:
  const int64_t count_;
  int64_t taken_ = 0;
};

class Skip final : public Stage {
 public:
  Skip(RowStreamPtr source, int64_t count) : Stage(std::move(source)), count_(count) {}
  void StartPass(uint64_t pass) override {
    source_->StartPass(pass);
    skipped_ = 0;
  }
  int64_t Next(int64_t* rows) override {
    for (; skipped_ < count_; ++skipped_) {
      if (source_->Next(rows) == kEnd) return kEnd;
    }
    return source_->Next(rows);
  }

 private:
  const int64_t count_;
  int64_t skipped_ = 0;
};

class Shard final : public Stage {
 public:
  Shard(RowStreamPtr source, int64_t index, int64_t count)
      : Stage(std::move(source)), index_(index), count_(count) {}
  void StartPass(uint64_t pass) override {
    source_->StartPass(pass);
    skip_ = index_;
  }
  int64_t Next(int64_t* rows) override {
    for (; skip_ > 0; --skip_) {
      if (source_->Next(rows) == kEnd) return kEnd;
    }
    skip_ = count_ - 1;
    return source_->Next(rows);
  }

 private:
  const int64_t index_, count_;
  int64_t skip_ = 0;
};

class Repeat final : public Stage {
 public:
  Repeat(RowStreamPtr source, int64_t count) : Stage(std::move(source)), count_(count) {}
  void StartPass(uint64_t pass) override {
    first_ = count_ < 0 ? (pass << 32) : pass * static_cast<uint64_t>(count_);
    done_ = 0;
    some_ = false;
    source_->StartPass(first_);
  }
  int64_t Next(int64_t* rows) override {
    while (count_ < 0 || done_ < count_) {
      const int64_t got = source_->Next(rows);
      if (got != kEnd) {
        some_ = true;
        return got;
      }
      if (!some_) return kEnd;  // an empty source, repeated for ever, ends
      some_ = false;
      ++done_;
      source_->StartPass(first_ + static_cast<uint64_t>(done_));
    }
    return kEnd;
  }

 private:
  const int64_t count_;
  uint64_t first_ = 0;
  int64_t done_ = 0;
  bool some_ = false;
};

class BatchOf final : public Stage {
 public:
  BatchOf(RowStreamPtr source, int64_t size, bool drop)
      : Stage(std::move(source)), size_(size), drop_(drop) {}
  int64_t width() const override { return size_; }
  int64_t global_rows() const override { return filled_; }
  int64_t Next(int64_t* rows) override {
    filled_ = 0;
    while (filled_ < size_ && source_->Next(rows + filled_) != kEnd) ++filled_;
    if (filled_ == 0 || (drop_ && filled_ < size_)) return kEnd;
    return filled_;
  }

 private:
  const int64_t size_;
  const bool drop_;
  int64_t filled_ = 0;
};

class Part final : public Stage {
 public:
  Part(RowStreamPtr source, int64_t index, int64_t count)
      : Stage(std::move(source)), index_(index), count_(count), whole_(source_->width()) {}
  int64_t width() const override {
    return (source_->width() + count_ - 1) / count_;
  }
  int64_t Next(int64_t* rows) override {
    const int64_t got = source_->Next(whole_.data());
    if (got == kEnd) return kEnd;
    const int64_t begin = got * index_ / count_;
    const int64_t end = got * (index_ + 1) / count_;
    std::copy(whole_.begin() + begin, whole_.begin() + end, rows);
    return end - begin;
  }

 private:
  const int64_t index_, count_;
  std::vector<int64_t> whole_;
};

void CheckShard(int64_t index, int64_t count) {
  if (count < 1 || index < 0 || index >= count) {
    throw InvalidArgumentError("[data] shard {} of {}: expected 0 <= index < count", index,
                               count);
  }
}

void CheckNotNegative(const char* stage, int64_t count) {
  if (count < 0) {
    throw InvalidArgumentError("[data] {}: expected a count of 0 or more, got {}", stage,
                               count);
  }
}

}  // namespace

RowStreamPtr SequentialRows(int64_t rows) { return std::make_unique<Sequential>(rows); }

RowStreamPtr ShuffleRows(RowStreamPtr source, int64_t buffer, uint64_t seed,
                         bool reshuffle_each_iteration) {
  if (buffer < 1) {
    throw InvalidArgumentError("[data] shuffle: expected a buffer of 1 or more, got {}",
                               buffer);
  }
  return std::make_unique<Shuffle>(std::move(source), buffer, seed,
                                   reshuffle_each_iteration);
}

RowStreamPtr TakeRows(RowStreamPtr source, int64_t count) {
  CheckNotNegative("take", count);
  return std::make_unique<Take>(std::move(source), count);
}

RowStreamPtr SkipRows(RowStreamPtr source, int64_t count) {
  CheckNotNegative("skip", count);
  return std::make_unique<Skip>(std::move(source), count);
}

RowStreamPtr ShardRows(RowStreamPtr source, int64_t index, int64_t count) {
  CheckShard(index, count);
  return std::make_unique<Shard>(std::move(source), index, count);
}

RowStreamPtr RepeatRows(RowStreamPtr source, int64_t count) {
  if (count < -1) CheckNotNegative("repeat", count);
  return std::make_unique<Repeat>(std::move(source), count);
}

RowStreamPtr BatchRows(RowStreamPtr source, int64_t size, bool drop_remainder) {
  if (size < 1 || size > kMaxBatch) {
    throw InvalidArgumentError("[data] batch: expected a size of 1 to {}, got {}", kMaxBatch,
                               size);
  }
  if (source->width() != 1) {
    throw UnimplementedError("[data] a batch of batches is not supported; batch once");
  }
  return std::make_unique<BatchOf>(std::move(source), size, drop_remainder);
}

RowStreamPtr PartOfBatch(RowStreamPtr source, int64_t index, int64_t count) {
  CheckShard(index, count);
  return std::make_unique<Part>(std::move(source), index, count);
}

}  // namespace tributary::data
