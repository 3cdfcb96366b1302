// summary(): the table of keras/src/utils/summary_utils.py on a terminal of 80
// columns, as the `rich` package lays it out.

#include "trainer/model/functional.h"

namespace tributary {
namespace {

// Columns between the vertical bars, one space on each side included.
constexpr int kSequentialWidths[] = {33, 24, 15};
constexpr int kFunctionalWidths[] = {21, 19, 12, 19};

std::string Repeat(const char* text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

// 1234567 -> "1,234,567".
std::string Thousands(int64_t number) {
  std::string digits = std::to_string(number);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(at, ",");
  return digits;
}

std::string ReadableBytes(double bytes) {
  for (const char* unit : {"B", "KB", "MB", "GB", "TB"}) {
    if (bytes < 1024) return fmt::format("{:.2f} {}", bytes, unit);
    bytes /= 1024;
  }
  return fmt::format("{:.2f} PB", bytes);
}

std::string ShapeText(const Shape& shape) {
  if (shape.unknown_rank()) return "?";
  std::vector<std::string> dims;
  for (const int64_t dim : shape.dims()) {
    dims.push_back(dim < 0 ? "None" : std::to_string(dim));
  }
  return "(" + Join(dims, ", ") + ")";
}

// Words, broken into lines; a line that is too long ends in an ellipsis.
std::vector<std::string> Wrap(const std::string& text, size_t width) {
  std::vector<std::string> lines;
  for (const std::string& word : Split(text, ' ')) {
    if (!lines.empty() && lines.back().size() + 1 + word.size() <= width) {
      lines.back() += " " + word;
    } else {
      lines.push_back(word);
    }
  }
  for (std::string& line : lines) {
    if (line.size() > width) line = line.substr(0, width - 1) + "…";
  }
  return lines;
}

size_t Columns(const std::string& text) {  // UTF-8 characters
  return std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; });
}

class Table {
 public:
  explicit Table(std::span<const int> widths) : widths_(widths) {}

  void Rule(const char* left, const char* line, const char* middle, const char* right) {
    text_ += left;
    for (size_t i = 0; i < widths_.size(); ++i) {
      text_ += Repeat(line, widths_[i]) + (i + 1 < widths_.size() ? middle : right);
    }
    text_ += "\n";
  }

  void Row(const std::vector<std::string>& cells, const char* bar) {
    std::vector<std::vector<std::string>> wrapped;
    size_t height = 1;
    for (size_t i = 0; i < cells.size(); ++i) {
      wrapped.push_back(Wrap(cells[i], widths_[i] - 2));
      height = std::max(height, wrapped.back().size());
    }
    for (size_t line = 0; line < height; ++line) {
      text_ += bar;
      for (size_t i = 0; i < cells.size(); ++i) {
        const std::string text = line < wrapped[i].size() ? wrapped[i][line] : "";
        const std::string pad(widths_[i] - 2 - Columns(text), ' ');
        text_ += " " + (i == 2 ? pad + text : text + pad) + " " + bar;
      }
      text_ += "\n";
    }
  }

  const std::string& text() const { return text_; }

 private:
  std::span<const int> widths_;
  std::string text_;
};

struct Size {
  int64_t count = 0;
  double bytes = 0;
  void Add(const std::vector<VariablePtr>& variables) {
    for (const VariablePtr& variable : variables) {
      count += variable->shape().NumElements();
      bytes += variable->storage().bytes();
    }
  }
  std::string Line(const char* what) const {
    return fmt::format(" {} params: {} ({})\n", what, Thousands(count), ReadableBytes(bytes));
  }
};

}  // namespace

std::string Model::summary(const std::vector<VariablePtr>& optimizer_variables) const {
  const auto* functional = dynamic_cast<const Functional*>(this);
  const bool connections = functional && !functional->IsLikeSequential();
  Table table(connections ? std::span<const int>(kFunctionalWidths)
                          : std::span<const int>(kSequentialWidths));
  std::vector<std::string> header = {"Layer (type)", "Output Shape", "Param #"};
  if (connections) header.push_back("Connected to");
  table.Rule("┏", "━", "┳", "┓");
  table.Row(header, "┃");
  bool first = true;
  for (const LayerPtr& layer : layers()) {
    first ? table.Rule("┡", "━", "╇", "┩") : table.Rule("├", "─", "┼", "┤");
    first = false;
    Shape shape = Shape::UnknownRank();
    if (functional) {
      shape = functional->OutputShapeOf(*layer);
    } else if (layer->built()) {
      shape = layer->ComputeOutputShape(layer->input_shapes());
    }
    const bool input = layer->class_name() == "InputLayer";
    std::vector<std::string> cells = {
        fmt::format("{} ({})", layer->name(), layer->class_name()), ShapeText(shape),
        Thousands(layer->CountParams()) + (layer->built() || input ? "" : " (unbuilt)")};
    if (connections) cells.push_back(functional->ConnectionsOf(*layer));
    table.Row(cells, "│");
  }
  table.Rule("└", "─", "┴", "┘");
  Size total, trainable, frozen, optimizer;
  trainable.Add(trainable_variables());
  frozen.Add(non_trainable_variables());
  optimizer.Add(optimizer_variables);
  for (const Size* part : {&trainable, &frozen, &optimizer}) {
    total.count += part->count;
    total.bytes += part->bytes;
  }
  return fmt::format("Model: \"{}\"\n", name()) + table.text() + total.Line("Total") +
         trainable.Line("Trainable") + frozen.Line("Non-trainable") +
         (optimizer_variables.empty() ? "" : optimizer.Line("Optimizer"));
}

}  // namespace tributary
