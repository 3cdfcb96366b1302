#pragma once
// What every carrier promises. Instantiated by carrier: in one process in
// transport_contract_test.cc, among the ranks of an MPI job in tests/multiprocess.

#include <atomic>
#include <numeric>

#include "tests/distribute/transport/contract_server.h"

namespace tributary {

struct CarrierCase {
  std::string carrier;
  // A new address to listen at.
  std::function<std::string()> listen_address;
  // What to connect to, given the own server's address: another rank's, under MPI.
  std::function<std::string(const std::string&)> connect_address =
      [](const std::string& own) { return own; };
  // Every process has come here.
  std::function<void()> barrier = [] {};
  bool one_process = true;
  bool checksums = true;
  // Asked for by a test: keys are not made for programs that need none.
  std::function<SecurityOptions()> security = [] { return SecurityOptions{}; };
};
inline void PrintTo(const CarrierCase& c, std::ostream* out) { *out << c.carrier; }

class TransportContract : public testing::TestWithParam<CarrierCase> {
 protected:
  void SetUp() override {
    server_options_.checksums = channel_options_.checksums = GetParam().checksums;
    server_options_.security = channel_options_.security = GetParam().security();
    server_ = std::make_unique<ContractServer>(GetParam().listen_address(), server_options_);
    GetParam().barrier();
    channel_ = Connect(GetParam().connect_address((*server_)->address()), hello_, channel_options_);
  }
  void TearDown() override {
    channel_.reset();
    GetParam().barrier();
    server_.reset();
    GetParam().barrier();
  }

  static Deadline Soon() { return After(Millis(20'000)); }
  Reply Call(uint16_t kind, std::string_view control = {}, std::span<const ConstBytes> payload = {},
             std::span<const MutableBytes> into = {}) {
    return channel_->Call(kind, 0, Text(control), payload, into, Soon());
  }
  CallId Start(uint16_t kind, std::span<const ConstBytes> payload = {},
               std::span<const MutableBytes> into = {}, uint64_t sequence = 0) {
    return channel_->Start(kind, 0, sequence, {}, payload, into, Soon());
  }

  ServerOptions server_options_;
  ChannelOptions channel_options_;
  Hello hello_{.role = "worker", .task = 3, .generation = 7};
  std::unique_ptr<ContractServer> server_;
  std::unique_ptr<Channel> channel_;
};

TEST_P(TransportContract, EchoesScatteredAndGatheredParts) {
  const std::vector<std::vector<size_t>> sizes = {
      {}, {0}, {1}, {63}, {64, 1}, {0, 4095, 0}, {1, 2, 3, 4, 5, 6, 7}, {65'536, 1, 65'535},
      {1'048'579}, {3'000'000, 17, 2'000'001}};
  for (const size_t control : {0, 1, 17, 4096}) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      const Pieces sent(sizes[i], 1 + static_cast<uint32_t>(i));
      // Received in other pieces than it was sent in.
      const size_t total = TotalBytes(std::span<const ConstBytes>(sent.out));
      Pieces received({total / 3, 0, total - total / 3});
      const std::string text(control, 'c');
      const Reply reply = Call(kEcho, text, sent.out, received.in);
      EXPECT_EQ(Text(reply.control), text);
      EXPECT_TRUE(received.Joined() == sent.Joined()) << control << " " << i;
      EXPECT_EQ(reply.header.kind, kReplyKind);
    }
  }
}

TEST_P(TransportContract, ReplyWithoutAPlaceGoesToAnAlignedBuffer) {
  for (const size_t size : {0, 5, 70'000, 2'000'003}) {
    const Pieces sent({size}, 5);
    const Reply reply = Call(kEcho, "", sent.out);
    EXPECT_EQ(reply.payload.size(), size);
    EXPECT_TRUE(Copy(reply.payload) == sent.Joined());
    if (size > 0) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(reply.payload.data()) % 64, 0u);
    }
  }
}

TEST_P(TransportContract, RepliesStayUntilTheNextStart) {
  const Pieces a({1000}, 1), b({2000}, 2);
  const CallId first = Start(kEcho, a.out), second = Start(kEcho, b.out);
  const Reply reply_b = channel_->Wait(second), reply_a = channel_->Wait(first);
  EXPECT_TRUE(Copy(reply_a.payload) == a.Joined());
  EXPECT_TRUE(Copy(reply_b.payload) == b.Joined());
}

TEST_P(TransportContract, RequestCarriesHeaderAndAlignedPayload) {
  channel_->SetGeneration(8);
  const Pieces sent({3, 70}, 1);
  const CallId id = channel_->Start(kDescribe, 41, 43, Text("odd"), sent.out, {}, Soon());
  const Reply reply = channel_->Wait(id);
  ASSERT_EQ(reply.control.size(), 8 + kFrameHeaderBytes);
  uint64_t rest;
  FrameHeader header;
  std::memcpy(&rest, reply.control.data(), 8);
  std::memcpy(&header, reply.control.data() + 8, kFrameHeaderBytes);
  EXPECT_EQ(rest, 0u);
  EXPECT_EQ(header.magic, kFrameMagic);
  EXPECT_EQ(header.table, 41u);
  EXPECT_EQ(header.worker, 3u);
  EXPECT_EQ(header.generation, 8u);
  EXPECT_EQ(header.sequence, 43u);
  EXPECT_EQ(header.control_bytes, 3u);
  EXPECT_EQ(header.payload_bytes, 73u);
  EXPECT_EQ(header.request_id, id);
  EXPECT_EQ(reply.header.request_id, id);
}

TEST_P(TransportContract, ManyCallsUnderWayAreWaitedForInAnyOrder) {
  constexpr int kCalls = 40;
  std::vector<std::unique_ptr<Pieces>> sent, received;
  std::vector<CallId> ids;
  for (int i = 0; i < kCalls; ++i) {
    const size_t size = i % 3 == 0 ? 300'000 + i : 100 + i;
    sent.push_back(std::make_unique<Pieces>(std::vector{size, size / 2}, i + 1));
    received.push_back(std::make_unique<Pieces>(std::vector{size / 2, size}));
    ids.push_back(Start(kEcho, sent[i]->out, received[i]->in));
  }
  for (int i = kCalls - 1; i >= 0; --i) channel_->Wait(ids[i]);
  for (int i = 0; i < kCalls; ++i) EXPECT_TRUE(sent[i]->Joined() == received[i]->Joined()) << i;
}

// More on the way in each direction than sockets buffer: neither side may wait for
// the other for ever.
TEST_P(TransportContract, ManyLargeCallsUnderWayDoNotBlockEachOther) {
  constexpr int kCalls = 12;
  const Pieces sent({4'000'000}, 1);
  std::vector<std::unique_ptr<Pieces>> received;
  std::vector<CallId> ids;
  for (int i = 0; i < kCalls; ++i) {
    received.push_back(std::make_unique<Pieces>(std::vector<size_t>{4'000'000}));
    ids.push_back(Start(kEcho, sent.out, received[i]->in));
  }
  channel_->Flush(Soon());
  for (const CallId id : ids) channel_->Wait(id);
  for (int i = 0; i < kCalls; ++i) EXPECT_TRUE(sent.memory[0] == received[i]->memory[0]) << i;
}

TEST_P(TransportContract, RequestsArriveInOrder) {
  Call(kRecall);
  std::vector<CallId> ids;
  const Pieces large({200'000});
  for (uint64_t i = 0; i < 60; ++i) {
    ids.push_back(Start(kRemember, i % 7 == 0 ? large.out : std::vector<ConstBytes>{}, {}, i));
  }
  for (const CallId id : ids) channel_->Wait(id);
  const Reply reply = Call(kRecall);
  std::vector<uint64_t> seen(reply.payload.size() / 8), expected(60);
  std::memcpy(seen.data(), reply.payload.data(), reply.payload.size());
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(seen, expected);
}

TEST_P(TransportContract, HandlerMayReplyLater) {
  const Pieces a({100'000}, 1), b({7}, 2);
  Pieces in_a({100'000}), in_b({7});
  const CallId first = Start(kPark, a.out, in_a.in), second = Start(kPark, b.out, in_b.in);
  const CallId release = Start(kRelease);
  channel_->Wait(release);
  channel_->Wait(second);
  channel_->Wait(first);
  EXPECT_TRUE(a.Joined() == in_a.Joined());
  EXPECT_TRUE(b.Joined() == in_b.Joined());
}

TEST_P(TransportContract, HandlerMayReplyFromAnotherThread) {
  for (const size_t size : {10, 3'000'000}) {
    const Pieces sent({size}, 3);
    Pieces received({size});
    EXPECT_EQ(Text(Call(kElsewhere, "from afar", sent.out, received.in).control), "from afar");
    EXPECT_TRUE(sent.Joined() == received.Joined());
  }
}

TEST_P(TransportContract, ErrorsKeepTypeAndText) {
  const std::string not_found(1, static_cast<char>(Code::kNotFound));
  EXPECT_EQ(ErrorOf<NotFoundError>([&] { Call(kFailWith, not_found); }), "[test] as asked");
  const std::string aborted(1, static_cast<char>(Code::kAborted));
  EXPECT_EQ(ErrorOf<AbortedError>([&] { Call(kFailWith, aborted); }), "[test] as asked");
  EXPECT_EQ(ErrorOf<OutOfRangeError>([&] { Call(kThrow); }), "[test] thrown by the handler");
  EXPECT_THAT(ErrorOf<InternalError>([&] { Call(kDrop); }), HasSubstr("without a reply"));
  Call(kThrowAfterReply);
  EXPECT_EQ(Text(Call(kEcho, "still here").control), "still here");
}

TEST_P(TransportContract, ReplyOfAnotherSizeIsAnErrorAndTheChannelGoesOn) {
  const Pieces sent({100'000, 50}, 1);
  for (const size_t size : {100'049, 100'051, 1}) {
    Pieces received({size});
    const std::string error =
        ErrorOf<InvalidArgumentError>([&] { Call(kEcho, "", sent.out, received.in); });
    EXPECT_THAT(error, HasSubstr(fmt::format("expected {} bytes, got 100050", size)));
    EXPECT_TRUE(received.Joined() == Pieces({size}).Joined());  // untouched
  }
  EXPECT_EQ(Text(Call(kEcho, "on").control), "on");
}

TEST_P(TransportContract, DeadlineNamesThePeerAndTheLateReplyDisturbsNobody) {
  const Pieces sent({100'000}, 1);
  Pieces received({100'000}, 9);
  const std::vector<std::byte> before = received.Joined();
  const CallId late =
      channel_->Start(kPark, 0, 0, {}, sent.out, received.in, After(Millis(20)));
  EXPECT_THAT(ErrorOf<DeadlineExceededError>([&] { channel_->Wait(late); }),
              testing::AllOf(HasSubstr("/job:ps/task:1"), HasSubstr("kind 5")));
  const Pieces other({50'000}, 2);
  Pieces received_other({50'000});
  const CallId next = Start(kEcho, other.out, received_other.in);
  Call(kRelease);
  channel_->Wait(next);
  EXPECT_TRUE(received_other.Joined() == other.Joined());
  EXPECT_TRUE(received.Joined() == before);
}

TEST_P(TransportContract, RefusesRequestsThatAreTooLargeBeforeSendingThem) {
  const std::string large(channel_options_.limits.control_bytes + 1, 'x');
  EXPECT_THAT(ErrorOf<InvalidArgumentError>([&] { Call(kEcho, large); }), HasSubstr("too large"));
  EXPECT_THROW(Call(kReplyKind), InvalidArgumentError);
  EXPECT_EQ(Text(Call(kEcho, "on").control), "on");
}

TEST_P(TransportContract, BothSidesKnowEachOther) {
  EXPECT_EQ(Text(Call(kWhoAmI).control), "/job:worker/task:3");
  EXPECT_EQ(channel_->server().Name(), "/job:ps/task:1");
  EXPECT_THAT(channel_->peer(), HasSubstr("/job:ps/task:1 at " + GetParam().carrier + "://"));
}

TEST_P(TransportContract, RefusesAnotherBuildOrConfigurationWithBothPrinted) {
  if (!GetParam().one_process) GTEST_SKIP() << "needs a server of its own";
  ServerOptions options = server_options_;
  options.hello = {.role = "ps", .task = 0, .config_hash = "aaa"};
  ContractServer server(GetParam().listen_address(), options);
  Hello other_config = hello_, other_build = hello_;
  other_config.config_hash = "bbb";
  other_build.build_id = "0123";
  EXPECT_THAT(
      ErrorOf<FailedPreconditionError>(
          [&] { Connect(server->address(), other_config, channel_options_); }),
      testing::AllOf(HasSubstr("another configuration"), HasSubstr("'aaa'"), HasSubstr("'bbb'")));
  EXPECT_THAT(ErrorOf<FailedPreconditionError>(
                  [&] { Connect(server->address(), other_build, channel_options_); }),
              testing::AllOf(HasSubstr("another build"), HasSubstr("'0123'")));
  ChannelOptions expecting = channel_options_;
  expecting.expected_server = "/job:ps/task:5";
  EXPECT_THAT(
      ErrorOf<FailedPreconditionError>([&] { Connect(server->address(), hello_, expecting); }),
      testing::AllOf(HasSubstr("/job:ps/task:5"), HasSubstr("/job:ps/task:0")));
  EXPECT_GE(server->stats().refused, 2u);
}

TEST_P(TransportContract, ServerSeesWhoJoinsWhoLeavesAndHowFarTheyAre) {
  if (!GetParam().one_process) GTEST_SKIP() << "needs a server of its own";
  const std::vector<std::string> joined = {"/job:worker/task:3 joined"};
  ASSERT_TRUE(Eventually([&] { return server_->events() == joined; }));
  channel_->SetProgress(17);
  ASSERT_TRUE(Eventually([&] {
    const std::vector<PeerStatus> peers = (*server_)->Peers();
    return peers.size() == 1 && peers[0].progress == 17;
  }));
  EXPECT_EQ((*server_)->Peers()[0].hello.Name(), "/job:worker/task:3");
  EXPECT_LT((*server_)->Peers()[0].seconds_silent, 5);
  Call(kEcho, "one");
  EXPECT_EQ((*server_)->stats().requests, 1u);
  EXPECT_EQ((*server_)->stats().accepted, 1u);
  EXPECT_EQ((*server_)->stats().bytes_in, kFrameHeaderBytes + 3);
  std::atomic<bool> ran{false};
  EXPECT_TRUE((*server_)->Post([&] { ran = true; }));
  EXPECT_TRUE(Eventually([&] { return ran.load(); }));
  channel_.reset();
  const std::vector<std::string> left = {"/job:worker/task:3 joined", "/job:worker/task:3 left"};
  EXPECT_TRUE(Eventually([&] { return server_->events() == left; }));
  EXPECT_TRUE((*server_)->Peers().empty());
}

TEST_P(TransportContract, CallsEndWhenTheServerGoes) {
  if (!GetParam().one_process) GTEST_SKIP() << "needs a server of its own";
  const CallId parked = Start(kPark);
  Call(kEcho, "the server has both");
  std::thread stopper([&] { (*server_)->Stop(); });
  EXPECT_THAT(ErrorOf<UnavailableError>([&] { channel_->Wait(parked); }),
              HasSubstr("/job:ps/task:1"));
  stopper.join();
  EXPECT_FALSE((*server_)->Post([] {}));
  EXPECT_THROW(Call(kEcho), UnavailableError);
}

TEST_P(TransportContract, NobodyListeningIsUnavailable) {
  if (!GetParam().one_process) GTEST_SKIP() << "needs a server of its own";
  const std::string address = (*server_)->address();
  channel_.reset();
  (*server_)->Stop();
  EXPECT_THAT(ErrorOf<UnavailableError>([&] { Connect(address, hello_, channel_options_); }), HasSubstr(address));
}

}  // namespace tributary
