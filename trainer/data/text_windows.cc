#include "trainer/data/text_windows.h"

#include <algorithm>
#include <array>

#include "core/base/errors.h"

namespace tributary::data {
namespace {

using Ids = std::shared_ptr<const std::vector<int32_t>>;

class WindowColumn final : public Column {
 public:
  WindowColumn(Shape shape, Ids ids, int64_t first, int64_t stride)
      : Column({DType::kInt32, std::move(shape)}),
        ids_(std::move(ids)),
        first_(first),
        stride_(stride),
        length_(spec().shape.NumElements()) {}

  void Gather(std::span<const int64_t> rows, void* out) const override {
    auto* to = static_cast<int32_t*>(out);
    for (int64_t row : rows) {
      to = std::copy_n(ids_->data() + first_ + row * stride_, length_, to);
    }
  }

 private:
  Ids ids_;
  int64_t first_, stride_, length_;
};

}  // namespace

std::string CharacterVocabulary(std::string_view text) {
  std::array<bool, 256> seen{};
  for (unsigned char c : text) seen[c] = true;
  std::string vocabulary;
  for (int c = 0; c < 256; ++c) {
    if (seen[c]) vocabulary.push_back(static_cast<char>(c));
  }
  return vocabulary;
}

TablePtr TextWindows(std::string_view text, const std::string& vocabulary,
                     const TextWindowOptions& options) {
  if (options.length < 1 || options.stride < 1) {
    throw InvalidArgumentError("[text] expected a length and a stride of 1 or more, got {} and {}",
                               options.length, options.stride);
  }
  std::array<int32_t, 256> id_of;
  id_of.fill(-1);
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    id_of[static_cast<unsigned char>(vocabulary[i])] = static_cast<int32_t>(i);
  }
  auto ids = std::make_shared<std::vector<int32_t>>(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    (*ids)[i] = id_of[static_cast<unsigned char>(text[i])];
    if ((*ids)[i] < 0) {
      throw InvalidArgumentError("[text] byte 0x{:02x} at {} is not in the vocabulary",
                                 static_cast<unsigned char>(text[i]), i);
    }
  }
  const int64_t size = static_cast<int64_t>(text.size());
  if (size <= options.length) {
    throw InvalidArgumentError("[text] {} characters are too few for a window of {} and a target",
                               size, options.length);
  }
  const bool next = options.target == TextWindowOptions::Target::kNext;
  auto table = std::make_shared<Table>();
  table->rows = (size - 1 - options.length) / options.stride + 1;
  table->columns = {
      std::make_shared<WindowColumn>(Shape{options.length}, ids, 0, options.stride),
      std::make_shared<WindowColumn>(next ? Shape{} : Shape{options.length}, ids,
                                     next ? options.length : 1, options.stride)};
  return table;
}

}  // namespace tributary::data
