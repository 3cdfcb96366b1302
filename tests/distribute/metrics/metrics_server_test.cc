#include "distribute/metrics/metrics_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/base/errors.h"
#include "tests/distribute/transport/raw_client.h"

namespace tributary {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using std::chrono::milliseconds;

constexpr const char* kGet = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

RawClient Dial(const MetricsServer& server) {
  return RawClient(fmt::format("tcp://127.0.0.1:{}", server.port()));
}

std::string ReadAll(RawClient& client) {
  const std::vector<std::byte> bytes = client.Receive(1 << 20);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string Ask(const MetricsServer& server, std::string_view request) {
  RawClient client = Dial(server);
  client.Send(request);
  return ReadAll(client);
}

class Metrics : public testing::Test {
 protected:
  std::atomic<int> rendered_{0};
  MetricsServer server_{{}, [this] { return fmt::format("steps_total {}\n", ++rendered_); }};
};

TEST_F(Metrics, AGetIsAnsweredWithThePresentPage) {
  EXPECT_EQ(server_.address(), fmt::format("http://127.0.0.1:{}/metrics", server_.port()));
  EXPECT_GT(server_.port(), 0);
  const std::string first = Ask(server_, kGet);
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(first, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(first, HasSubstr("Content-Length: 14\r\n"));
  EXPECT_THAT(first, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(first, EndsWith("\r\n\r\nsteps_total 1\n"));
  EXPECT_THAT(Ask(server_, "GET /metrics?name=x HTTP/1.0\r\n\r\n"), EndsWith("steps_total 2\n"));
}

TEST_F(Metrics, AHeadIsAnsweredWithoutThePage) {
  const std::string reply = Ask(server_, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("Content-Length: 14\r\n"));
  EXPECT_THAT(reply, EndsWith("\r\n\r\n"));
}

TEST_F(Metrics, ThereIsNothingElse) {
  for (const char* path : {"/", "/metric", "/metrics/", "/metrics/../etc/passwd", "/metrics%2f",
                           "//metrics", "http://x/metrics", "*"}) {
    const std::string reply = Ask(server_, fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path));
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 404 Not Found\r\n")) << path;
    EXPECT_THAT(reply, Not(HasSubstr("root:"))) << path;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"}) {
    const std::string reply =
        Ask(server_, fmt::format("{} /metrics HTTP/1.1\r\nHost: x\r\n\r\n", method));
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n")) << method;
    EXPECT_THAT(reply, HasSubstr("Allow: GET, HEAD\r\n")) << method;
  }
  EXPECT_EQ(rendered_, 0);
}

TEST_F(Metrics, ABodyIsNotRead) {
  RawClient client = Dial(server_);
  client.Send(std::string_view("POST /metrics HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"));
  client.Send(std::string(30'000, 'x'));
  EXPECT_THAT(ReadAll(client), StartsWith("HTTP/1.1 405"));
}

TEST_F(Metrics, WhatIsNoHttpIsToldSo) {
  for (const std::string_view bytes :
       {std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
        std::string_view("GET\r\n\r\n"), std::string_view("GET /metrics HTTP/9.9\r\n\r\n"),
        std::string_view("GET /metrics HTTP/1.1\r\nno colon\r\n\r\n"),
        std::string_view("GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n")}) {
    EXPECT_THAT(Ask(server_, bytes), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  }
  EXPECT_THAT(Ask(server_, kGet), HasSubstr(" 200 "));
}

TEST_F(Metrics, AHeaderThatIsTooLongIsRefusedAtItsLimit) {
  const std::string most(8000, 'x');
  EXPECT_THAT(Ask(server_, "GET /metrics HTTP/1.1\r\nX: " + most + "\r\n\r\n"), HasSubstr(" 200 "));
  for (const std::string& request :
       {"GET /metrics HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n",
        "GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n\r\n"}) {
    EXPECT_THAT(Ask(server_, request), StartsWith("HTTP/1.1 431 ")) << request.size();
  }
  RawClient endless = Dial(server_);
  const std::string line = "X: " + std::string(1000, 'x') + "\r\n";
  endless.Send(std::string_view("GET /metrics HTTP/1.1\r\n"));
  while (endless.Send(line)) {
  }
  EXPECT_THAT(Ask(server_, kGet), HasSubstr(" 200 "));
}

TEST_F(Metrics, SilentConnectionsKeepNobodyOut) {
  std::vector<RawClient> silent;
  for (int i = 0; i < 100; ++i) {
    silent.push_back(Dial(server_));
    ASSERT_TRUE(silent.back().connected());
    if (i % 2) silent.back().Send(std::string_view("GET /metr"));
  }
  for (int i = 0; i < 3; ++i) EXPECT_THAT(Ask(server_, kGet), HasSubstr(" 200 "));
  EXPECT_TRUE(silent.front().IsClosed()) << "the oldest make room";
}

TEST(MetricsServer, ASlowRequestHasItsTime) {
  MetricsServer server({.connection_time = milliseconds(30)}, [] { return "x 1\n"; });
  RawClient slow = Dial(server);
  slow.Send(std::string_view("GET /metrics HTTP/1.1\r\n"));
  EXPECT_THAT(ReadAll(slow), IsEmpty());
}

TEST(MetricsServer, AReaderThatDoesNotReadIsCutOff) {
  MetricsServer server({.connection_time = milliseconds(50)},
                       [] { return std::string(32 << 20, 'x'); });
  RawClient lazy = Dial(server);
  lazy.Send(std::string_view(kGet));
  EXPECT_THAT(Ask(server, "HEAD /metrics HTTP/1.1\r\n\r\n"), HasSubstr(" 200 "));
  // When the time of one who came later is over, so is that of this one.
  EXPECT_TRUE(Dial(server).IsClosed());
  EXPECT_LT(lazy.Receive(64 << 20).size(), size_t{32} << 20);
}

TEST_F(Metrics, ManyAskAtOnce) {
  std::atomic<int> answered{0};
  {
    std::vector<std::jthread> clients;
    for (int c = 0; c < 8; ++c) {
      clients.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          answered += Ask(server_, kGet).find("steps_total ") != std::string::npos;
        }
      });
    }
  }
  EXPECT_EQ(answered, 400);
  EXPECT_EQ(rendered_, 400);
}

TEST(MetricsServer, MutatedRequestsDoNoHarm) {
  const MetricsServer server({.connection_time = milliseconds(50)}, [] { return "x 1\n"; });
  std::mt19937 random(7);
  const std::string seed =
      "GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: "
      "chunked\r\nAccept: */*\r\n\r\nabc";
  for (int i = 0; i < 500; ++i) {
    std::string bytes = seed;
    for (int n = 1 + static_cast<int>(random() % 6); n > 0; --n) {
      const size_t at = random() % bytes.size();
      switch (random() % 3) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes.erase(at, random() % 8); break;
        default: bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 40));
      }
      if (bytes.empty()) bytes = "\r";
    }
    const std::string reply = Ask(server, bytes + "\r\n\r\n");
    if (!reply.empty()) {
      EXPECT_THAT(reply, StartsWith("HTTP/1.1 ")) << bytes;
    }
  }
  EXPECT_THAT(Ask(server, kGet), HasSubstr(" 200 "));
}

TEST(MetricsServer, OnlyLoopbackAndWhyAndHow) {
  const auto page = [] { return std::string("x 1\n"); };
  for (const char* host : {"0.0.0.0", "::", "192.168.1.7", "8.8.8.8", "example.org", ""}) {
    try {
      MetricsServer server({.host = host, .port = 9400}, page);
      FAIL() << host;
    } catch (const InvalidArgumentError& error) {
      EXPECT_THAT(error.what(), HasSubstr(fmt::format("'{}'", host)));
      EXPECT_THAT(error.what(), HasSubstr("the page asks nobody who they are"));
      EXPECT_THAT(error.what(), HasSubstr("ssh -L 9400:127.0.0.1:9400"));
    }
  }
  EXPECT_GT(MetricsServer({.host = "localhost"}, page).port(), 0);
  EXPECT_GT(MetricsServer({.host = "127.0.0.2"}, page).port(), 0);
}

TEST(MetricsServer, APortInUseIsSaid) {
  const auto page = [] { return std::string("x 1\n"); };
  const MetricsServer first({}, page);
  EXPECT_THROW(MetricsServer({.port = first.port()}, page), AlreadyExistsError);
}

TEST(MetricsServer, WhatThePageThrowsIsAnswered) {
  const MetricsServer server({}, []() -> std::string { throw UnavailableError("stopped"); });
  const std::string reply = Ask(server, kGet);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(reply, HasSubstr("stopped"));
}

TEST(MetricsServer, EndsAtOnceWhileOthersAreConnected) {
  auto server = std::make_unique<MetricsServer>(MetricsOptions{}, [] { return "x 1\n"; });
  RawClient silent = Dial(*server);
  EXPECT_THAT(Ask(*server, kGet), HasSubstr(" 200 "));
  server.reset();
  EXPECT_TRUE(silent.IsClosed());
}

}  // namespace
}  // namespace tributary
