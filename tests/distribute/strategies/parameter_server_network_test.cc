// Training by TCP while the network misbehaves: the same weights.

#include <gtest/gtest.h>

#include <deque>
#include <fstream>
#include <mutex>
#include <random>

#include "tests/distribute/strategies/ps_cluster.h"
#include "tests/distribute/transport/proxy.h"

namespace tributary {
namespace {

using namespace ps_test;

// What passes between worker and server is damaged, held up, and whole requests of the
// past are said again, out of order. Seeded; each connection has its own bytes.
class Meddler {
 public:
  explicit Meddler(uint32_t seed) : random_(seed) {}

  void Pass(int connection, bool from_client, std::vector<std::byte>& bytes) {
    Stream& stream = streams_[connection];
    if (!from_client) {
      if (Chance(0.01)) Flip(&bytes);
      return;
    }
    stream.pending.insert(stream.pending.end(), bytes.begin(), bytes.end());
    bytes.clear();
    while (true) {
      const size_t size = FrameSize(stream.pending);
      if (size == 0 || stream.pending.size() < size) break;
      std::vector<std::byte> frame(stream.pending.begin(),
                                   stream.pending.begin() + static_cast<std::ptrdiff_t>(size));
      stream.pending.erase(stream.pending.begin(),
                           stream.pending.begin() + static_cast<std::ptrdiff_t>(size));
      Append(std::move(frame), &stream, &bytes);
    }
  }
  int damaged() const { return damaged_; }
  int repeated() const { return repeated_; }

 private:
  struct Stream {
    std::vector<std::byte> pending;
    std::deque<std::vector<std::byte>> past;
    int frames = 0;
  };

  static size_t FrameSize(const std::vector<std::byte>& bytes) {
    if (bytes.size() < kFrameHeaderBytes) return 0;
    FrameHeader header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    return kFrameHeaderBytes + header.control_bytes + header.payload_bytes;
  }
  bool Chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }
  void Flip(std::vector<std::byte>* bytes) {
    ++damaged_;
    (*bytes)[random_() % bytes->size()] ^= std::byte{1} << (random_() % 8);
  }
  void Append(std::vector<std::byte> frame, Stream* stream, std::vector<std::byte>* out) {
    const bool hello = stream->frames++ == 0;
    const std::vector<std::byte> as_sent = frame;
    if (!hello && Chance(0.02)) Flip(&frame);
    out->insert(out->end(), frame.begin(), frame.end());
    if (hello) return;
    stream->past.push_back(as_sent);
    if (stream->past.size() > 6) stream->past.pop_front();
    if (!Chance(0.05)) return;
    ++repeated_;
    const auto& again = stream->past[random_() % stream->past.size()];
    out->insert(out->end(), again.begin(), again.end());
  }

  std::mt19937 random_;
  std::map<int, Stream> streams_;
  int damaged_ = 0, repeated_ = 0;
};

TEST(PsNetwork, AProxyThatDuplicatesReordersAndCorruptsChangesNothing) {
  const Job job{.epochs = 12};
  const PsConfig config = Config(2, ps::Consistency::kSync, 2);
  const Trained clean = TrainOnCluster(job, config, "clean");
  PsCluster cluster(config, "meddled", "tcp");
  Meddler first(1), second(2);
  Proxy proxies[] = {
      {cluster.address(0), [&](int c, bool out, auto& bytes) { first.Pass(c, out, bytes); }},
      {cluster.address(1), [&](int c, bool out, auto& bytes) { second.Pass(c, out, bytes); }}};
  for (int s = 0; s < 2; ++s) cluster.LetWorkersSee(s, proxies[s].address());
  ExpectSameBits(TrainOnCluster(job, 2, &cluster), clean);
  EXPECT_GT(first.damaged() + second.damaged(), 0);
  EXPECT_GT(first.repeated() + second.repeated(), 0);
}

int64_t ResidentBytes() {
  int64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

TEST(PsNetwork, AThousandStrangersDoNotDisturbTraining) {
  const Job job{.epochs = 20};
  const PsConfig config = Config(1, ps::Consistency::kSync, 2);
  const Trained clean = TrainOnCluster(job, config, "quiet");
  PsCluster cluster(config, "crowd", "tcp");
  std::atomic<bool> trained{false};
  int64_t grown = 0;
  int refused = 0;
  std::jthread crowd([&] {
    std::mt19937 random(3);
    const auto knock = [&](int i) {
      RawClient stranger(i % 3 == 0 ? cluster.coordinator().address() : cluster.address(0));
      std::vector<std::byte> nonsense(1 + random() % 300);
      for (std::byte& b : nonsense) b = static_cast<std::byte>(random());
      stranger.Send(nonsense);
      if (nonsense.size() >= kFrameHeaderBytes) refused += stranger.IsClosed();
    };
    for (int i = 0; i < 50; ++i) knock(i);
    const int64_t before = ResidentBytes();
    for (int i = 0; i < 1000; ++i) knock(i);
    grown = ResidentBytes() - before;
  });
  const Trained crowded = TrainOnCluster(job, 2, &cluster);
  crowd.join();
  ExpectSameBits(crowded, clean);
  EXPECT_GT(refused, 500);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(grown, 10 << 20);
#endif
}

}  // namespace
}  // namespace tributary
