#include "core/tensor/npy.h"

#include "core/base/checked.h"
#include "core/io/coding.h"
#include "core/io/env.h"

namespace tributary {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = 1 << 20;
constexpr int kMaxRank = 64;

struct Row {
  DType dtype;
  const char* descr;  // without the byte order
};

constexpr Row kRows[] = {
    {DType::kFloat32, "f4"}, {DType::kFloat64, "f8"}, {DType::kHalf, "f2"},
    {DType::kBFloat16, "V2"}, {DType::kInt8, "i1"},   {DType::kInt16, "i2"},
    {DType::kInt32, "i4"},   {DType::kInt64, "i8"},   {DType::kUint8, "u1"},
    {DType::kBool, "b1"},
};

// The header is a Python dictionary literal of exactly three known keys.
class DictParser {
 public:
  DictParser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  NpyHeader Parse() {
    NpyHeader header;
    Expect('{');
    int seen = 0;
    while (!TryTake('}')) {
      const std::string key = String();
      Expect(':');
      if (key == "descr") {
        Descr(String(), &header);
        seen |= 1;
      } else if (key == "fortran_order") {
        header.fortran_order = Bool();
        seen |= 2;
      } else if (key == "shape") {
        header.shape = Tuple();
        seen |= 4;
      } else {
        Fail("an unknown key");
      }
      if (!TryTake(',')) {
        Expect('}');
        break;
      }
    }
    if (seen != 7) Fail("a missing key");
    return header;
  }

 private:
  [[noreturn]] void Fail(const char* what) const {
    throw DataLossError("[npy] {} has a malformed header; expected 'descr', 'fortran_order' and "
                        "'shape', got {} near character {}",
                        name_, what, at_);
  }

  void SkipSpace() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool TryTake(char c) {
    SkipSpace();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void Expect(char c) {
    if (!TryTake(c)) Fail("something else");
  }

  std::string String() {
    SkipSpace();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') Fail("no string");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) Fail("an open string");
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }

  bool Bool() {
    SkipSpace();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return word == "True";
      }
    }
    Fail("no boolean");
  }

  Shape Tuple() {
    Shape shape;
    Expect('(');
    while (!TryTake(')')) {
      if (shape.rank() == kMaxRank) Fail("too many dimensions");
      shape.AddDim(Number());
      if (!TryTake(',')) {
        Expect(')');
        break;
      }
    }
    return shape;
  }

  int64_t Number() {
    SkipSpace();
    int64_t value = 0;
    const size_t start = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value)) {
        Fail("a dimension beyond 64 bits");
      }
    }
    if (at_ == start) Fail("no dimension");
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2
    return value;
  }

  void Descr(const std::string& descr, NpyHeader* header) const {
    const bool marked = !descr.empty() && std::string_view("<>|=").find(descr[0]) != std::string::npos;
    header->big_endian = marked && descr[0] == '>';
    const std::string type = descr.substr(marked);
    for (const Row& row : kRows) {
      if (type == row.descr) {
        header->dtype = row.dtype;
        return;
      }
    }
    throw UnimplementedError("[npy] {} holds elements of type '{}', which has no dtype here; "
                             "convert it with numpy's astype",
                             name_, descr);
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
};

[[noreturn]] void Truncated(const std::string& name, int64_t expected, size_t got) {
  throw DataLossError("[npy] {} is truncated; expected at least {} bytes, got {}", name, expected,
                      got);
}

void SwapBytes(char* data, int64_t count, size_t width) {
  for (int64_t i = 0; i < count; ++i) std::reverse(data + i * width, data + (i + 1) * width);
}

// Row-major bytes from column-major ones.
Tensor FromFortran(const Tensor& in) {
  Tensor out = Tensor::Empty(in.dtype(), in.shape());
  const size_t width = DTypeSize(in.dtype());
  const int rank = in.rank();
  std::vector<int64_t> index(rank);
  const std::vector<int64_t> strides = in.shape().Strides();
  const auto* from = static_cast<const char*>(in.raw_data());
  auto* to = static_cast<char*>(out.raw_data());
  const int64_t count = in.NumElements();
  for (int64_t i = 0; i < count; ++i) {
    int64_t target = 0;
    for (int d = 0; d < rank; ++d) target += index[d] * strides[d];
    std::memcpy(to + target * width, from + i * width, width);
    for (int d = 0; d < rank && ++index[d] == in.shape()[d]; ++d) index[d] = 0;
  }
  return out;
}

}  // namespace

NpyHeader ParseNpyHeader(std::string_view file, const std::string& name) {
  if (file.size() < 10) Truncated(name, 10, file.size());
  if (file.substr(0, kMagic.size()) != kMagic) {
    throw DataLossError("[npy] {} is not a .npy file; its first bytes are not '\\x93NUMPY'", name);
  }
  const int major = file[6];
  if (major < 1 || major > 3) {
    throw UnimplementedError("[npy] {} has format version {}; expected 1, 2 or 3", name, major);
  }
  const size_t prefix = major == 1 ? 10 : 12;
  if (file.size() < prefix) Truncated(name, prefix, file.size());
  size_t length = 0;
  std::memcpy(&length, file.data() + 8, prefix - 8);
  if (length > kMaxHeader) {
    throw DataLossError("[npy] {} is corrupt; expected a header of at most {} bytes, got {}", name,
                        kMaxHeader, length);
  }
  if (file.size() - prefix < length) Truncated(name, prefix + length, file.size());
  NpyHeader header = DictParser(file.substr(prefix, length), name).Parse();
  header.data_offset = prefix + length;
  return header;
}

Tensor ParseNpy(std::string_view file, const std::string& name) {
  const NpyHeader header = ParseNpyHeader(file, name);
  const size_t width = DTypeSize(header.dtype);
  int64_t bytes = 0, end = 0;
  try {
    bytes = CheckedMul(header.shape.NumElements(), static_cast<int64_t>(width), "npy");
    end = CheckedAdd(static_cast<int64_t>(header.data_offset), bytes, "npy");
  } catch (const InvalidArgumentError&) {
    throw DataLossError("[npy] {} is corrupt; its header promises {}, which is more than 64 bits "
                        "can count", name, header.shape.ToString());
  }
  if (end > static_cast<int64_t>(file.size())) Truncated(name, end, file.size());
  Tensor tensor = Tensor::Empty(header.dtype, header.shape);
  if (bytes == 0) return tensor;
  auto* data = static_cast<char*>(tensor.raw_data());
  std::memcpy(data, file.data() + header.data_offset, bytes);
  if (header.big_endian && width > 1) SwapBytes(data, tensor.NumElements(), width);
  if (header.dtype == DType::kBool) NormalizeBools(data, bytes);
  return header.fortran_order && tensor.rank() > 1 ? FromFortran(tensor) : tensor;
}

std::string SerializeNpy(const Tensor& tensor) {
  const Row* row = nullptr;
  for (const Row& candidate : kRows) {
    if (candidate.dtype == tensor.dtype()) row = &candidate;
  }
  if (!row) {
    throw UnimplementedError("[npy] a {} tensor can't be written as .npy",
                             DTypeName(tensor.dtype()));
  }
  const char order = DTypeSize(row->dtype) == 1 ? '|' : '<';
  std::string dict =
      fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': {}, }}", order, row->descr,
                  tensor.shape().ToString());
  // Version 1 holds 65535 bytes of header; data starts at a multiple of 64.
  dict.append(63 - (kMagic.size() + 4 + dict.size()) % 64, ' ');
  dict += '\n';
  std::string file(kMagic);
  file += {'\x01', '\x00', static_cast<char>(dict.size() & 0xff),
           static_cast<char>(dict.size() >> 8)};
  file += dict;
  file.append(static_cast<const char*>(tensor.raw_data()), tensor.bytes());
  return file;
}

Tensor ReadNpy(Env* env, const std::string& path) {
  return ParseNpy(ReadFile(env, path, int64_t{1} << 40), path);
}

void WriteNpy(Env* env, const std::string& path, const Tensor& tensor) {
  WriteFileAtomically(env, path, SerializeNpy(tensor));
}

}  // namespace tributary
