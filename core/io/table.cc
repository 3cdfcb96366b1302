#include "core/io/table.h"

#include "core/base/errors.h"
#include "core/io/coding.h"
#include "core/io/crc32c.h"
#include "core/io/snappy.h"

namespace tributary {
namespace {

constexpr size_t kBlockBytes = 262144;
constexpr int kRestartInterval = 16;
constexpr size_t kTrailer = 5;
constexpr size_t kFooter = 48;
constexpr uint64_t kMagic = 0xdb4775248b80fb57ull;
// Keys share prefixes, so a small file can spell out a large one; a real index
// stays far below this.
constexpr uint64_t kMaxExpansion = 256;
constexpr uint64_t kMinBudget = 1 << 20;

size_t SharedPrefix(std::string_view a, std::string_view b) {
  const size_t limit = std::min(a.size(), b.size());
  size_t n = 0;
  while (n < limit && a[n] == b[n]) ++n;
  return n;
}

// A short key k with from <= k < to.
std::string Separator(std::string_view from, std::string_view to) {
  const size_t n = SharedPrefix(from, to);
  if (n < from.size() && n < to.size()) {
    const auto byte = static_cast<uint8_t>(from[n]);
    if (byte < 0xff && byte + 1 < static_cast<uint8_t>(to[n])) {
      std::string key(from.substr(0, n + 1));
      ++key.back();
      return key;
    }
  }
  return std::string(from);
}

// A short key >= from.
std::string Successor(std::string_view from) {
  for (size_t i = 0; i < from.size(); ++i) {
    if (static_cast<uint8_t>(from[i]) != 0xff) {
      std::string key(from.substr(0, i + 1));
      ++key.back();
      return key;
    }
  }
  return std::string(from);
}

struct BlockHandle {
  uint64_t offset = 0;
  uint64_t size = 0;
};

class Reader {
 public:
  Reader(std::string_view file, const std::string& name) : file_(file), name_(name) {
    budget_ = kMinBudget + kMaxExpansion * file.size();
  }

  void Visit(const std::function<void(std::string_view, std::string_view)>& visit) {
    std::string_view footer = Footer();
    TakeHandle(&footer, file_.size());  // the metaindex is empty
    const BlockHandle index = TakeHandle(&footer, file_.size());
    std::string last;
    bool any = false;
    VisitBlock(index, [&](std::string_view, std::string_view value) {
      const BlockHandle block = TakeHandle(&value, index.offset);
      VisitBlock(block, [&](std::string_view key, std::string_view entry) {
        if (any && key <= last) Corrupt("keys are out of order", block.offset);
        any = true;
        last = key;
        visit(key, entry);
      });
    });
  }

 private:
  [[noreturn]] void Corrupt(const char* what, uint64_t offset) const {
    throw DataLossError("[table] {} is corrupt; {}; at offset {}", name_, what, offset);
  }

  std::string_view Footer() const {
    if (file_.size() < kFooter) {
      throw DataLossError("[table] {} is truncated; expected at least {} bytes, got {}", name_,
                          kFooter, file_.size());
    }
    const std::string_view footer = file_.substr(file_.size() - kFooter);
    if (GetFixed64(footer.data() + kFooter - 8) != kMagic) {
      throw DataLossError("[table] {} is truncated or not a checkpoint index; its last 8 bytes "
                          "are not the magic number",
                          name_);
    }
    return footer.substr(0, kFooter - 8);
  }

  BlockHandle TakeHandle(std::string_view* in, uint64_t where) const {
    BlockHandle handle;
    if (!GetVarint(in, &handle.offset) || !GetVarint(in, &handle.size)) {
      Corrupt("a block handle is malformed", where);
    }
    const uint64_t limit = file_.size() - kFooter;
    if (handle.size > limit || handle.offset > limit - handle.size ||
        limit - handle.size - handle.offset < kTrailer) {
      Corrupt("a block lies outside the file", handle.offset);
    }
    return handle;
  }

  // Contents of a verified block; `storage` holds them when decompressed.
  std::string_view Contents(const BlockHandle& handle, std::string* storage) const {
    const std::string_view with_type = file_.substr(handle.offset, handle.size + 1);
    const uint32_t stored = GetFixed32(with_type.data() + with_type.size());
    if (UnmaskCrc(stored) != Crc32c(with_type)) {
      Corrupt("the checksum of a block does not match", handle.offset);
    }
    const std::string_view raw = with_type.substr(0, handle.size);
    switch (with_type.back()) {
      case 0: return raw;
      case 1: *storage = SnappyDecode(raw, name_); return *storage;
      default: Corrupt("a block has an unknown compression", handle.offset);
    }
  }

  template <typename Fn>
  void VisitBlock(const BlockHandle& handle, const Fn& fn) {
    std::string storage;
    std::string_view block = Contents(handle, &storage);
    if (block.size() < 4) Corrupt("a block is too short", handle.offset);
    const uint64_t restarts = GetFixed32(block.data() + block.size() - 4);
    if (restarts * 4 + 4 > block.size()) Corrupt("a block has too many restarts", handle.offset);
    block.remove_suffix(restarts * 4 + 4);
    std::string key;
    while (!block.empty()) {
      uint64_t shared, unshared, length;
      if (!GetVarint(&block, &shared) || !GetVarint(&block, &unshared) ||
          !GetVarint(&block, &length) || shared > key.size() || unshared > block.size() ||
          length > block.size() - unshared) {
        Corrupt("an entry is malformed", handle.offset);
      }
      key.resize(shared);
      key.append(block.substr(0, unshared));
      const uint64_t cost = key.size() + length + 16;
      if (cost > budget_) Corrupt("its keys expand beyond any real index", handle.offset);
      budget_ -= cost;
      fn(key, block.substr(unshared, length));
      block.remove_prefix(unshared + length);
    }
  }

  std::string_view file_;
  const std::string& name_;
  uint64_t budget_;
};

}  // namespace

void TableBuilder::Block::Add(std::string_view key, std::string_view value,
                              int restart_interval) {
  size_t shared = 0;
  if (entries > 0 && entries % restart_interval == 0) {
    restarts.push_back(static_cast<uint32_t>(data.size()));
  } else if (entries > 0) {
    shared = SharedPrefix(last_key, key);
  }
  PutVarint(&data, shared);
  PutVarint(&data, key.size() - shared);
  PutVarint(&data, value.size());
  data.append(key.substr(shared));
  data.append(value);
  last_key = key;
  ++entries;
}

std::string TableBuilder::Block::Contents() const {
  std::string contents = data;
  for (const uint32_t restart : restarts) PutFixed32(&contents, restart);
  PutFixed32(&contents, static_cast<uint32_t>(restarts.size()));
  return contents;
}

void TableBuilder::Add(std::string_view key, std::string_view value) {
  if (any_ && key <= last_key_) {
    throw InvalidArgumentError("[table] keys must increase; got '{}' after '{}'", key, last_key_);
  }
  if (data_.SizeEstimate() >= kBlockBytes) CloseBlock(Separator(last_key_, key));
  data_.Add(key, value, kRestartInterval);
  last_key_ = key;
  any_ = true;
}

// Writes a block and its trailer; returns the handle as bytes.
std::string TableBuilder::Handle(const std::string& contents) {
  std::string handle;
  PutVarint(&handle, file_.size());
  PutVarint(&handle, contents.size());
  const size_t start = file_.size();
  file_ += contents;
  file_ += '\0';
  PutFixed32(&file_, MaskCrc(Crc32c({file_.data() + start, contents.size() + 1})));
  return handle;
}

void TableBuilder::CloseBlock(const std::string& index_key) {
  index_.Add(index_key, Handle(data_.Contents()), 1);
  data_ = Block();
}

std::string TableBuilder::Finish() {
  if (data_.entries > 0) CloseBlock(Successor(last_key_));
  std::string footer = Handle(Block().Contents());
  footer += Handle(index_.Contents());
  footer.resize(kFooter - 8);
  PutFixed64(&footer, kMagic);
  return file_ + footer;
}

void ReadTable(std::string_view file, const std::string& name,
               const std::function<void(std::string_view, std::string_view)>& visit) {
  Reader(file, name).Visit(visit);
}

}  // namespace tributary
