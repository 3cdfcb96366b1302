// The connections of a rank, with a test at the other end of one.

#include <gmock/gmock.h>
#include <sys/socket.h>

#include "distribute/comm/tcp/mesh.h"
#include "tests/distribute/transport/raw_client.h"

namespace tributary {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uint16_t kMessage = 1, kFailure = 2;

// Rank 0 of two; the test is rank 1.
class Mesh : public testing::Test {
 protected:
  Mesh() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    other_ = UniqueFd(ends[1]);
    std::vector<TcpLink> links(2);
    links[1] = {UniqueFd(ends[0]), MakePlainStream(ends[0])};
    mesh_ = std::make_unique<TcpMesh>(0, std::move(links),
                                      std::vector<std::string>{"here:1", "there:2"}, health_);
  }

  void Send(ConstBytes bytes) {
    ASSERT_EQ(::send(other_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void Send(const FrameHeader& header, ConstBytes body = {}) {
    std::vector<std::byte> frame(kFrameHeaderBytes);
    EncodeHeader(header, frame.data());
    frame.insert(frame.end(), body.begin(), body.end());
    Send(frame);
  }
  // What waiting for a message of rank 1 throws.
  std::string ErrorOfWaiting() {
    std::byte byte;
    Incoming incoming;
    mesh_->Expect(1, {9, 9}, {&byte, 1}, &incoming);
    try {
      mesh_->Wait(incoming, Limits());
    } catch (const UnavailableError& e) {
      return e.what();
    }
    return "no error";
  }
  WaitLimits Limits(Millis time = Millis(20'000)) const {
    return {.call = "Recv", .deadline = Clock::now() + time, .health = health_.get()};
  }

  const std::shared_ptr<JobHealth> health_ = std::make_shared<JobHealth>();
  UniqueFd other_;
  std::unique_ptr<TcpMesh> mesh_;
};

TEST_F(Mesh, ClosedConnectionIsADeadRank) {
  other_ = UniqueFd();
  EXPECT_THAT(ErrorOfWaiting(), HasSubstr("rank 1 (there:2) died"));
  EXPECT_EQ(health_->failed_rank(), 1);
}

TEST_F(Mesh, GoodbyeIsNone) {
  Send({.kind = kGoodbyeKind, .worker = 1});
  other_ = UniqueFd();
  EXPECT_THAT(ErrorOfWaiting(), HasSubstr("rank 1 (there:2) has left"));
  EXPECT_FALSE(health_->failed());
}

TEST_F(Mesh, FailureOfAnotherIsPassedOnInItsWords) {
  const std::string reason = "rank 1 (there) failed: bad record 17";
  Send({.kind = kFailure, .worker = 1, .request_id = 1,
        .control_bytes = static_cast<uint32_t>(reason.size())},
       std::as_bytes(std::span(reason)));
  EXPECT_THAT(ErrorOfWaiting(), HasSubstr(reason));
}

TEST_F(Mesh, NonsenseEndsTheConnectionByName) {
  std::vector<std::byte> noise(200, std::byte{0x5a});
  Send(noise);
  EXPECT_THAT(ErrorOfWaiting(), AllOf(HasSubstr("rank 1 (there:2) sends what no rank would")));
}

TEST_F(Mesh, LengthsAreNotBelieved) {
  Send({.kind = kMessage, .worker = 1, .payload_bytes = 1ull << 60});
  EXPECT_THAT(ErrorOfWaiting(), HasSubstr("sends what no rank would"));
}

TEST_F(Mesh, LongReasonsAreNotTaken) {
  Send({.kind = kFailure, .worker = 1, .control_bytes = 1 << 20});
  EXPECT_THAT(ErrorOfWaiting(), HasSubstr("sends what no rank would"));
}

TEST_F(Mesh, NobodySpeaksForAnother) {
  Send({.kind = kMessage, .worker = 0, .payload_bytes = 1}, std::vector<std::byte>(1));
  EXPECT_THAT(ErrorOfWaiting(), HasSubstr("says that it is rank 0"));
}

TEST_F(Mesh, UnknownKindsAreRefused) {
  Send({.kind = 77, .worker = 1});
  EXPECT_THAT(ErrorOfWaiting(), HasSubstr("kind 0x4d"));
}

// The memory of a wait that was given up is not written any more.
TEST_F(Mesh, HalfAMessageIsForgottenWithItsReader) {
  const std::vector<std::byte> body(100'000, std::byte{7});
  const FrameHeader header{.kind = kMessage, .worker = 1, .generation = 3,
                           .payload_bytes = body.size()};
  {
    std::vector<std::byte> room(body.size());
    Incoming incoming;
    mesh_->Expect(1, {3, 0}, room, &incoming);
    Send(header, ConstBytes(body).first(50'000));
    EXPECT_THROW(mesh_->Wait(incoming, Limits(Millis(100))), DeadlineExceededError);
  }
  Send(ConstBytes(body).first(50'000));
  // The next one is whole again.
  Send({.kind = kMessage, .worker = 1, .generation = 4, .payload_bytes = 3},
       ConstBytes(body).first(3));
  JobHealth other;  // the mesh's own has failed by the deadline
  std::vector<std::byte> three(3);
  Incoming incoming;
  mesh_->Expect(1, {4, 0}, three, &incoming);
  mesh_->Wait(incoming, {.call = "Recv", .deadline = Clock::now() + Millis(20'000),
                         .health = &other});
  EXPECT_EQ(three, std::vector<std::byte>(3, std::byte{7}));
  EXPECT_FALSE(mesh_->Has(1, {3, 0}));
}

// Bytes whose owner does not wait are copied: they arrive all the same.
TEST_F(Mesh, WhatNobodyWaitsForIsSentFromACopy) {
  constexpr size_t kBytes = 4 << 20;  // more than a socket holds
  std::vector<std::byte> body(kBytes, std::byte{9});
  {
    Outgoing outgoing;
    mesh_->Start(1, {5, 2}, 0, body, &outgoing);
    EXPECT_THROW(mesh_->Wait(outgoing, Limits(Millis(50))), DeadlineExceededError);
  }
  std::fill(body.begin(), body.end(), std::byte{1});
  size_t at = 0;
  std::vector<std::byte> got(kFrameHeaderBytes + kBytes);
  while (at < got.size()) {
    const ssize_t part = ::recv(other_.get(), &got[at], got.size() - at, 0);
    ASSERT_GT(part, 0);
    at += static_cast<size_t>(part);
  }
  EXPECT_EQ(std::count(got.begin() + kFrameHeaderBytes, got.end(), std::byte{9}),
            static_cast<ptrdiff_t>(kBytes));
}

}  // namespace
}  // namespace tributary
