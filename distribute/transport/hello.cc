#include "distribute/transport/hello.h"

#include <cstring>

#include "core/base/errors.h"

namespace tributary {
namespace {

constexpr size_t kMaxName = 256;

class Writer {
 public:
  template <typename T>
  void Number(T value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    out_.insert(out_.end(), bytes, bytes + sizeof(value));
  }
  void Text(std::string_view text) {
    text = text.substr(0, kMaxName);
    Number(static_cast<uint32_t>(text.size()));
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    out_.insert(out_.end(), bytes, bytes + text.size());
  }
  std::vector<std::byte> Take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

class Reader {
 public:
  Reader(ConstBytes bytes, std::string_view peer) : bytes_(bytes), peer_(peer) {}

  template <typename T>
  T Number() {
    Require(sizeof(T) <= bytes_.size(), "is cut short");
    T value;
    std::memcpy(&value, bytes_.data(), sizeof(T));
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }
  // Names go into log lines: printable ASCII only.
  std::string Text() {
    const auto size = Number<uint32_t>();
    Require(size <= kMaxName, "has a name that is too long");
    Require(size <= bytes_.size(), "is cut short");
    std::string text(reinterpret_cast<const char*>(bytes_.data()), size);
    for (const char c : text) Require(c >= 0x20 && c < 0x7f, "has an unprintable name");
    bytes_ = bytes_.subspan(size);
    return text;
  }
  void Require(bool condition, const char* what) const {
    if (!condition) throw DataLossError("[transport] the hello of {} {}", peer_, what);
  }
  bool empty() const { return bytes_.empty(); }

 private:
  ConstBytes bytes_;
  std::string_view peer_;
};

std::string Describe(const Hello& hello) {
  return fmt::format("{} of build '{}', config '{}', generation {}", hello.Name(), hello.build_id,
                     hello.config_hash, hello.generation);
}

bool Differ(const std::string& a, const std::string& b) {
  return !a.empty() && !b.empty() && a != b;
}

}  // namespace

std::string Hello::Name() const {
  return fmt::format("/job:{}/task:{}", role, task == kChiefTask ? 0 : task);
}

std::vector<std::byte> EncodeHello(const HelloMessage& message) {
  Writer writer;
  writer.Number(static_cast<uint32_t>(message.purpose));
  writer.Number(message.session);
  writer.Number(message.hello.task);
  writer.Number(message.hello.generation);
  writer.Text(message.hello.role);
  writer.Text(message.hello.build_id);
  writer.Text(message.hello.config_hash);
  return writer.Take();
}

HelloMessage DecodeHello(ConstBytes control, std::string_view peer) {
  Reader reader(control, peer);
  HelloMessage message;
  const auto purpose = reader.Number<uint32_t>();
  reader.Require(purpose == 1 || purpose == 2, "has an unknown purpose");
  message.purpose = static_cast<ConnectionPurpose>(purpose);
  message.session = reader.Number<uint64_t>();
  message.hello.task = reader.Number<uint32_t>();
  message.hello.generation = reader.Number<uint64_t>();
  message.hello.role = reader.Text();
  message.hello.build_id = reader.Text();
  message.hello.config_hash = reader.Text();
  reader.Require(reader.empty(), "is too long");
  return message;
}

void CheckHello(const Hello& mine, const Hello& theirs, std::string_view peer) {
  const char* what = Differ(mine.build_id, theirs.build_id)         ? "build"
                     : Differ(mine.config_hash, theirs.config_hash) ? "configuration"
                                                                    : nullptr;
  if (what == nullptr) return;
  throw FailedPreconditionError("[transport] {} runs another {}; here is {}, there is {}; start "
                                "every task of a job with the same program and the same job file",
                                peer, what, Describe(mine), Describe(theirs));
}

void CheckExpectedServer(const std::string& expected, const Hello& server, std::string_view peer) {
  if (expected.empty() || expected == server.Name()) return;
  throw FailedPreconditionError("[transport] another task answers at {}; expected {}, got {}; "
                                "check the cluster's addresses",
                                peer, expected, server.Name());
}

}  // namespace tributary
