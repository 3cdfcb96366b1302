// Tensor::ToString: the text of tf.Tensor.__str__, whose values are NumPy's
// array2string (threshold 1000, edge items 3, line width 75).

#include "core/graph/node.h"
#include "core/runtime/variable.h"
#include "core/tensor/print_float.h"
#include "core/tensor/tensor.h"

namespace tributary {
namespace {

using internal::Decimal;
using internal::FloatColumn;
using internal::ToDecimal;

constexpr int64_t kThreshold = 1000;
constexpr int64_t kEdgeItems = 3;
constexpr int kLineWidth = 75;

// Text of the element at a flat index.
using ElementText = std::function<std::string(int64_t)>;

// Python's repr of bytes.
std::string BytesRepr(const std::string& bytes) {
  const bool double_quotes =
      bytes.find('\'') != std::string::npos && bytes.find('"') == std::string::npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string text = {'b', quote};
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      text += {'\\', c};
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\r') {
      text += "\\r";
    } else if (c == '\t') {
      text += "\\t";
    } else if (byte < 0x20 || byte >= 0x7f) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  return text + quote;
}

// Nested brackets around the elements, wrapped and shortened as NumPy does.
class ArrayText {
 public:
  ArrayText(const Shape& shape, ElementText element)
      : shape_(shape),
        strides_(shape.Strides()),
        shorten_(shape.NumElements() > kThreshold),
        element_(std::move(element)) {}

  std::string Text() const { return Axis(0, 0, " ", kLineWidth); }

  // Flat indices of the elements that Text() shows.
  std::vector<int64_t> Shown() const {
    std::vector<int64_t> shown;
    CollectShown(0, 0, &shown);
    return shown;
  }

 private:
  bool Shortened(int axis) const { return shorten_ && shape_[axis] > 2 * kEdgeItems; }

  // Positions along `axis` that are shown; -1 stands for the ellipsis.
  std::vector<int64_t> Positions(int axis) const {
    std::vector<int64_t> positions;
    for (int64_t i = 0; i < shape_[axis]; ++i) {
      if (Shortened(axis) && i == kEdgeItems) {
        positions.push_back(-1);
        i = shape_[axis] - kEdgeItems;
      }
      positions.push_back(i);
    }
    return positions;
  }

  void CollectShown(int axis, int64_t offset, std::vector<int64_t>* shown) const {
    if (axis == shape_.rank()) return shown->push_back(offset);
    for (const int64_t i : Positions(axis)) {
      if (i >= 0) CollectShown(axis + 1, offset + i * strides_[axis], shown);
    }
  }

  std::string Axis(int axis, int64_t offset, const std::string& indent, int width) const {
    if (axis == shape_.rank()) return element_(offset);
    const std::string body = axis + 1 == shape_.rank() ? Row(axis, offset, indent, width)
                                                       : Rows(axis, offset, indent, width);
    return "[" + body.substr(indent.size()) + "]";
  }

  std::string Row(int axis, int64_t offset, const std::string& indent, int width) const {
    std::string done;
    std::string line = indent;
    bool first = true;
    for (const int64_t i : Positions(axis)) {
      if (!first) line += ' ';
      first = false;
      const std::string word = i < 0 ? "..." : element_(offset + i * strides_[axis]);
      const bool too_long = static_cast<int>(line.size() + word.size()) > width - 1;
      if (too_long && line.size() > indent.size()) {
        line.erase(line.find_last_not_of(' ') + 1);
        done += line + "\n";
        line = indent;
      }
      line += word;
    }
    return done + line;
  }

  std::string Rows(int axis, int64_t offset, const std::string& indent, int width) const {
    const std::string separator(shape_.rank() - axis - 1, '\n');
    std::string text;
    for (const int64_t i : Positions(axis)) {
      if (!text.empty()) text += separator;
      text += indent;
      text += i < 0 ? "..." : Axis(axis + 1, offset + i * strides_[axis], indent + " ", width - 1);
    }
    return text;
  }

  const Shape& shape_;
  std::vector<int64_t> strides_;
  bool shorten_;
  ElementText element_;
};

template <typename T>
double RoundTo(double value) {
  if constexpr (std::is_same_v<T, Half>) {
    return static_cast<float>(Half(static_cast<float>(value)));
  } else {
    return static_cast<T>(value);
  }
}

template <typename T>
std::string Floats(const Tensor& t, double scientific_from) {
  const T* data = t.data<T>();
  if (t.rank() == 0) return internal::ScalarText(ToDecimal(data[0]), scientific_from);
  std::vector<Decimal> shown;
  for (const int64_t i : ArrayText(t.shape(), nullptr).Shown()) shown.push_back(ToDecimal(data[i]));
  const FloatColumn column(shown, std::min(scientific_from, 1e8), RoundTo<T>);
  return ArrayText(t.shape(), [&](int64_t i) { return column.Text(ToDecimal(data[i])); }).Text();
}

// Elements padded to the widest one shown.
std::string Padded(const Tensor& t, const ElementText& plain) {
  if (t.rank() == 0) return plain(0);
  size_t width = 0;
  for (const int64_t i : ArrayText(t.shape(), nullptr).Shown()) {
    width = std::max(width, plain(i).size());
  }
  return ArrayText(t.shape(), [&](int64_t i) { return fmt::format("{:>{}}", plain(i), width); })
      .Text();
}

template <typename T>
std::string Integers(const Tensor& t) {
  const T* data = t.data<T>();
  return Padded(t, [&](int64_t i) { return std::to_string(data[i]); });
}

std::string Unpadded(const Tensor& t, const ElementText& element) {
  return t.rank() == 0 ? element(0) : ArrayText(t.shape(), element).Text();
}

std::string ValueText(const Tensor& t) {
  if (t.NumElements() == 0) return "[]";
  switch (t.dtype()) {
    case DType::kFloat32: return Floats<float>(t, 1e6);
    case DType::kFloat64: return Floats<double>(t, 1e16);
    case DType::kHalf: return Floats<Half>(t, 1e3);
    case DType::kInt8: return Integers<int8_t>(t);
    case DType::kInt16: return Integers<int16_t>(t);
    case DType::kInt32: return Integers<int32_t>(t);
    case DType::kInt64: return Integers<int64_t>(t);
    case DType::kUint8: return Integers<uint8_t>(t);
    case DType::kBool:
      return Padded(t, [&](int64_t i) { return t.data<bool>()[i] ? "True" : "False"; });
    // NumPy knows no bfloat16: ml_dtypes prints six digits.
    case DType::kBFloat16:
      return Unpadded(t, [&](int64_t i) {
        return fmt::format("{:g}", static_cast<float>(t.data<BFloat16>()[i]));
      });
    case DType::kString:
      return Unpadded(t, [&](int64_t i) { return BytesRepr(t.data<std::string>()[i]); });
    default: return "<unprintable>";
  }
}

}  // namespace

std::string Tensor::ToString() const {
  if (!defined()) return "Tensor(<undefined>)";
  if (IsSymbolic()) {
    return fmt::format("Tensor(\"{}:{}\", shape={}, dtype={})", node_->name(), index_,
                       shape_.ToString(), DTypeName(dtype_));
  }
  if (dtype_ == DType::kResource) {
    return fmt::format("tf.Tensor(<resource '{}'>, shape=(), dtype=resource)",
                       resource()->name());
  }
  std::string text = ValueText(*this);
  if (text.find('\n') != std::string::npos) text.insert(0, 1, '\n');
  return fmt::format("tf.Tensor({}, shape={}, dtype={})", text, shape_.ToString(),
                     DTypeName(dtype_));
}

}  // namespace tributary
