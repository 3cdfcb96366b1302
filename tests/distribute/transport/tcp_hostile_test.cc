// Bytes that no honest client sends: the server drops the connection, counts, and goes on
// serving the others.

#include <malloc.h>

#include <fstream>

#include "tests/distribute/allocations.h"
#include "tests/distribute/transport/job_secrets.h"
#include "tests/distribute/transport/proxy.h"
#include "tests/distribute/transport/contract_server.h"

namespace tributary {
namespace {

const Hello kWorker{.role = "worker", .task = 3};

Deadline Soon() { return After(Millis(20'000)); }

bool Serves(Channel& channel) {
  return Text(channel.Call(kEcho, 0, Text("still here"), {}, {}, Soon()).control) == "still here";
}

size_t ResidentBytes() {
  ::malloc_trim(0);
  size_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<size_t>(::getpagesize());
}

class TcpHostile : public testing::Test {
 protected:
  // A connection whose hello was taken.
  RawClient Introduced(uint64_t session) {
    RawClient client(server_->address());
    EXPECT_TRUE(client.Introduce(0, session));
    return client;
  }
  bool Counted(uint64_t bad_frames) {
    return Eventually([&] { return server_->stats().bad_frames == bad_frames; });
  }

  ContractServer server_{"tcp://127.0.0.1:0"};
  std::unique_ptr<Channel> channel_ = Connect(server_->address(), kWorker);
};

TEST_F(TcpHostile, StrangersThatTalkNonsenseAreRefused) {
  std::vector<std::byte> too_long = RawClient::Frame(kHelloKind, std::vector<std::byte>(5000));
  std::vector<std::byte> no_hello = RawClient::Frame(kEcho, {});
  std::vector<std::byte> bad_hello = RawClient::Frame(kHelloKind, std::vector<std::byte>(30));
  for (const std::vector<std::byte>& bytes : {too_long, no_hello, bad_hello}) {
    RawClient client(server_->address());
    client.Send(bytes);
    EXPECT_TRUE(client.IsClosed());
  }
  RawClient browser(server_->address());
  browser.Send(std::string_view("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: something\r\n\r\n"));
  EXPECT_TRUE(browser.IsClosed());
  RawClient early(server_->address());
  std::vector<std::byte> hello_and_more = RawClient::Frame(kHelloKind, EncodeHello({}));
  hello_and_more.resize(hello_and_more.size() + 100);
  early.Send(hello_and_more);
  EXPECT_TRUE(early.IsClosed());
  EXPECT_TRUE(Eventually([&] { return server_->stats().refused == 5; }));
  EXPECT_TRUE(Serves(*channel_));
}

TEST_F(TcpHostile, DamagedFramesDropTheirConnectionOnly) {
  const std::vector<std::byte> control(40);
  const std::vector<std::byte> good = RawClient::Frame(kEcho, control);
  uint64_t session = 1, bad = 0;
  for (const size_t at : {0, 5, 17, 41, 46, 60, 64, 103}) {
    std::vector<std::byte> frame = good;
    frame[at] ^= std::byte{4};
    RawClient client = Introduced(session++);
    EXPECT_TRUE(client.Send(good));
    EXPECT_EQ(client.Receive(good.size()).size(), good.size());
    client.Send(frame);
    EXPECT_TRUE(client.IsClosed()) << at;
    EXPECT_TRUE(Counted(++bad)) << at;
  }
  EXPECT_TRUE(Serves(*channel_));
}

TEST_F(TcpHostile, OversizedFramesAreRefusedBeforeAnythingIsAllocated) {
  const size_t before = ResidentBytes();
  uint64_t session = 1, bad = 0;
  for (const uint64_t payload : {uint64_t{1} << 31, uint64_t{1} << 62, ~uint64_t{0}}) {
    FrameHeader header;
    header.kind = kEcho;
    header.payload_bytes = payload;
    std::byte bytes[kFrameHeaderBytes];
    EncodeHeader(header, bytes);
    RawClient client = Introduced(session++);
    client.Send(bytes);
    EXPECT_TRUE(client.IsClosed());
    EXPECT_TRUE(Counted(++bad));
  }
  EXPECT_LT(ResidentBytes(), before + (10 << 20));
  EXPECT_TRUE(Serves(*channel_));
}

TEST_F(TcpHostile, ForeignWorkersKindsAndSessionsAreRefused) {
  RawClient as_other = Introduced(1);
  as_other.Send(RawClient::Frame(kEcho, {}, 17));
  EXPECT_TRUE(as_other.IsClosed());
  RawClient as_server = Introduced(2);
  as_server.Send(RawClient::Frame(kReplyKind, {}));
  EXPECT_TRUE(as_server.IsClosed());
  EXPECT_TRUE(Counted(2));
  const RawClient first = Introduced(3);
  RawClient second(server_->address());
  EXPECT_FALSE(second.Introduce(0, 3));
  EXPECT_TRUE(Serves(*channel_));
}

TEST_F(TcpHostile, TruncatedFramesLeaveNothingBehind) {
  const std::vector<std::byte> good = RawClient::Frame(kEcho, std::vector<std::byte>(1000));
  for (size_t cut = 1; cut < good.size(); cut += 97) {
    RawClient client = Introduced(cut);
    client.Send(ConstBytes(good).first(cut));
  }
  EXPECT_TRUE(Eventually([&] { return server_->Peers().size() == 1; }));
  EXPECT_EQ(server_->stats().requests, 0u);
  EXPECT_EQ(server_->stats().bad_frames, 0u);
  EXPECT_TRUE(Serves(*channel_));
}

TEST_F(TcpHostile, AThousandBadConnectionsCostNoMemoryAndTheOthersAreServed) {
  const std::string noise(3000, '\x16');
  const auto attack = [&](int count) {
    std::vector<RawClient> held;
    for (int i = 0; i < count; ++i) {
      RawClient client(server_->address());
      EXPECT_TRUE(client.connected());
      if (i % 3 != 0) client.Send(std::string_view(noise).substr(0, i % noise.size()));
      held.push_back(std::move(client));
      if (i % 100 == 0) {
        EXPECT_TRUE(Serves(*channel_));
      }
    }
  };
  attack(100);  // what is allocated once
  [[maybe_unused]] const size_t before = ResidentBytes();
  attack(1000);
#if !defined(__SANITIZE_ADDRESS__)  // which keeps what was freed
  EXPECT_LT(ResidentBytes(), before + (10 << 20));
#endif
  EXPECT_TRUE(Serves(*channel_));
  EXPECT_NO_THROW(Connect(server_->address(), kWorker));
}

TEST(TcpHandshakes, ACrowdThatKeepsSilentKeepsNobodyOut) {
  ServerOptions options;
  options.security = JobSecrets::Get().key();
  options.max_handshakes = 8;
  ContractServer server("tcp://127.0.0.1:0", options);
  std::vector<RawClient> crowd;
  for (int i = 0; i < 50; ++i) crowd.emplace_back(server->address());
  // The oldest had to make room.
  EXPECT_TRUE(crowd.front().IsClosed());
  ChannelOptions channel_options;
  channel_options.security = options.security;
  const auto channel = Connect(server->address(), kWorker, channel_options);
  EXPECT_TRUE(Serves(*channel));
}

TEST(TcpHandshakes, EndAfterTheirTime) {
  ServerOptions options;
  options.connect_timeout = Millis(100);
  ContractServer server("tcp://127.0.0.1:0", options);
  RawClient silent(server->address());
  const auto start = Clock::now();
  EXPECT_TRUE(silent.IsClosed());
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(5));
  EXPECT_TRUE(Eventually([&] { return server->stats().refused == 1; }));
}

// Every 100,000 bytes or so a bit is wrong. Nothing wrong is ever handled or believed:
// either the echo is right or the call fails, and the caller connects again.
TEST(TcpProxy, AProxyThatFlipsBitsIsFoundOut) {
  ContractServer server("tcp://127.0.0.1:0");
  std::atomic<uint64_t> flipped{0};
  uint64_t passed = 0, state = 7;
  Proxy proxy(server->address(), [&](int, bool, std::vector<std::byte>& bytes) {
    passed += bytes.size();
    if (passed < 100'000 || bytes.size() < 100) return;
    passed = 0;
    state = state * 6364136223846793005u + 1442695040888963407u;
    bytes[(state >> 20) % bytes.size()] ^= static_cast<std::byte>(1 << (state >> 60) % 8);
    ++flipped;
  });
  const Pieces sent({40'000, 3, 9'000}, 5);
  std::unique_ptr<Channel> channel;
  int right = 0, failed = 0;
  for (int i = 0; i < 300; ++i) {
    Pieces received({49'003});
    try {
      if (!channel) channel = Connect(proxy.address(), kWorker);
      channel->Wait(channel->Start(kEcho, 0, 0, {}, sent.out, received.in, After(Millis(3000))));
      EXPECT_TRUE(received.Joined() == sent.Joined());
      ++right;
    } catch (const Error&) {
      channel.reset();
      ++failed;
    }
  }
  EXPECT_GT(flipped, 20u);
  EXPECT_GT(failed, 20);
  EXPECT_GT(right, 50);
  EXPECT_GT(server->stats().bad_frames, 0u);
}

TEST(TcpSteadyState, AllocatesNothing) {
  ContractServer server("tcp://127.0.0.1:0");
  const auto channel = Connect(server->address(), kWorker);
  const Pieces sent({100, 30'000}, 1), large({2'000'000}, 2);
  Pieces received({30'100}), received_large({2'000'000});
  const auto round = [&] {
    const CallId a = channel->Start(kEcho, 0, 0, Text("x"), sent.out, received.in, Soon());
    const CallId b = channel->Start(kEcho, 0, 0, Text("y"), large.out, received_large.in, Soon());
    const CallId c = channel->Start(kEcho, 0, 0, Text("z"), {}, {}, Soon());
    channel->Wait(a);
    channel->Wait(b);
    channel->Wait(c);
  };
  for (int i = 0; i < 50; ++i) round();
  const int64_t before = HeapAllocations();
  for (int i = 0; i < 500; ++i) round();
  // A heartbeat of that time may need something; 1,500 messages do not.
  EXPECT_LT(HeapAllocations() - before, 50);
}

}  // namespace
}  // namespace tributary
