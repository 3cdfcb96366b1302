// Who gets in, and who does not.

#include <fcntl.h>

#include "tests/distribute/transport/job_secrets.h"
#include "tests/distribute/transport/proxy.h"
#include "tests/distribute/transport/contract_server.h"

namespace tributary {
namespace {

using testing::AllOf;

const Handler kIgnore = [](const Request&, Responder) {};
const Hello kWorker{.role = "worker", .task = 3};

ServerOptions ServerWith(const SecurityOptions& security) {
  ServerOptions options;
  options.security = security;
  return options;
}
ChannelOptions ClientWith(const SecurityOptions& security) {
  ChannelOptions options;
  options.security = security;
  return options;
}

TEST(TcpSecurity, OtherAddressesThanLoopbackNeedTheKeyAndTheErrorSaysHow) {
  for (const char* address : {"tcp://0.0.0.0:0", "tcp://[::]:0"}) {
    EXPECT_THAT(ErrorOf<UnauthenticatedError>([&] { Listen(address, kIgnore, {}); }),
                AllOf(HasSubstr("openssl rand -hex 32 > job.key"), HasSubstr("127.0.0.1")));
    SecurityOptions none;
    none.mode = SecurityMode::kNone;
    EXPECT_THROW(Listen(address, kIgnore, ServerWith(none)), UnauthenticatedError);
  }
  EXPECT_THAT(ErrorOf<UnauthenticatedError>([&] { Connect("tcp://192.0.2.1:9", kWorker); }),
              HasSubstr("job's key"));
  SecurityOptions no_key;
  no_key.mode = SecurityMode::kJobKey;
  EXPECT_THROW(Listen("tcp://127.0.0.1:0", kIgnore, ServerWith(no_key)), UnauthenticatedError);
}

TEST(TcpSecurity, WithTheKeyAnyAddressServes) {
  const SecurityOptions key = JobSecrets::Get().key();
  ContractServer server("tcp://0.0.0.0:0", ServerWith(key));
  const TcpAddress address = TcpAddress::Parse(server->address());
  const auto channel =
      Connect(fmt::format("tcp://127.0.0.1:{}", address.port), kWorker, ClientWith(key));
  EXPECT_EQ(Text(channel->Call(kWhoAmI, 0, {}, {}, {}, After(Millis(10'000))).control),
            "/job:worker/task:3");
}

TEST(TcpSecurity, KeyFilesThatOthersMayReadAreRefused) {
  const auto refusal = [](const std::string& path) {
    SecurityOptions security;
    security.key_file = path;
    try {
      Listen("tcp://127.0.0.1:0", kIgnore, ServerWith(security));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  const JobSecrets& secrets = JobSecrets::Get();
  const std::string digits(64, 'a');
  EXPECT_THAT(refusal(secrets.Write("open.key", digits, 0644)), HasSubstr("chmod 600"));
  EXPECT_THAT(refusal(secrets.Write("short.key", digits.substr(1))), HasSubstr("64 hex digits"));
  EXPECT_THAT(refusal(secrets.Write("word.key", std::string(64, 'z'))), HasSubstr("malformed"));
  EXPECT_THAT(refusal(secrets.Write("long.key", digits + digits)), HasSubstr("malformed"));
  EXPECT_THAT(refusal("/nonexistent/job.key"), HasSubstr("/nonexistent/job.key"));
  EXPECT_THAT(refusal("/dev/zero"), HasSubstr("no regular file"));
  EXPECT_EQ(refusal(secrets.Write("good.key", digits)), "none");
}

TEST(TcpSecurity, TheKeyMayComeThroughAPipe) {
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  const std::string digits = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef\n";
  ASSERT_EQ(::write(fds[1], digits.data(), digits.size()), static_cast<ssize_t>(digits.size()));
  ::close(fds[1]);
  SecurityOptions by_pipe;
  by_pipe.key_fd = fds[0];
  ContractServer server("tcp://127.0.0.1:0", ServerWith(by_pipe));
  // Twice: what a pipe gave is remembered. The same secret from a file fits.
  for (int i = 0; i < 2; ++i) Connect(server->address(), kWorker, ClientWith(by_pipe));
  Connect(server->address(), kWorker, ClientWith(JobSecrets::Get().key()));
  ::close(fds[0]);
}

// Every way to come without what the server wants.
TEST(TcpSecurity, WrongKeysAndWrongCertificatesAreRefused) {
  const JobSecrets& secrets = JobSecrets::Get();
  SecurityOptions other_key, other_job = secrets.key();
  other_key.key_file = secrets.Write("other.key", std::string(64, '1'));
  other_job.job_id = "another job";
  ContractServer by_key("tcp://127.0.0.1:0", ServerWith(secrets.key()));
  ContractServer by_certificate("tcp://127.0.0.1:0", ServerWith(secrets.certificates()));
  ContractServer open("tcp://127.0.0.1:0");
  const auto refused = [](ContractServer& server, const SecurityOptions& security) {
    ChannelOptions options = ClientWith(security);
    options.connect_timeout = Millis(2000);
    try {
      Connect(server->address(), kWorker, options);
    } catch (const UnauthenticatedError&) {
      return true;
    } catch (const UnavailableError&) {
      return true;  // it was hung up on
    }
    return false;
  };
  EXPECT_TRUE(refused(by_key, other_key));
  EXPECT_TRUE(refused(by_key, other_job));
  EXPECT_TRUE(refused(by_key, secrets.certificates()));
  EXPECT_TRUE(refused(by_key, {}));
  EXPECT_TRUE(refused(by_certificate, secrets.foreign_certificates()));
  EXPECT_TRUE(refused(by_certificate, secrets.key()));
  EXPECT_TRUE(refused(by_certificate, {}));
  EXPECT_TRUE(refused(open, secrets.key()));
  EXPECT_FALSE(refused(by_key, secrets.key()));
  EXPECT_FALSE(refused(by_certificate, secrets.certificates()));
  // They count it after they have said so.
  EXPECT_TRUE(Eventually([&] { return by_key->stats().accepted == 1; }));
  EXPECT_TRUE(Eventually([&] { return by_certificate->stats().accepted == 1; }));
  EXPECT_EQ(open->stats().accepted, 0u);
  EXPECT_TRUE(Eventually([&] { return by_key->stats().refused >= 3; }));
}

// A client must not talk to a server that does not know the key either.
TEST(TcpSecurity, ClientsRefuseServersWithoutTheKey) {
  const JobSecrets& secrets = JobSecrets::Get();
  ContractServer impostor("tcp://127.0.0.1:0", ServerWith(secrets.foreign_certificates()));
  EXPECT_THROW(Connect(impostor->address(), kWorker, ClientWith(secrets.key())), Error);
  EXPECT_THROW(Connect(impostor->address(), kWorker, ClientWith(secrets.certificates())), Error);
}

TEST(TcpSecurity, ARecordedConnectionCannotBePlayedAgain) {
  const SecurityOptions key = JobSecrets::Get().key();
  ContractServer server("tcp://127.0.0.1:0", ServerWith(key));
  std::mutex mutex;
  std::vector<std::byte> recorded;
  {
    Proxy proxy(server->address(), [&](int connection, bool from_client, auto& bytes) {
      std::lock_guard lock(mutex);
      if (connection == 0 && from_client) {
        recorded.insert(recorded.end(), bytes.begin(), bytes.end());
      }
    });
    const auto channel = Connect(proxy.address(), kWorker, ClientWith(key));
    channel->Call(kRemember, 0, {}, {}, {}, After(Millis(10'000)));
  }
  EXPECT_EQ(server->stats().requests, 1u);
  const uint64_t refused = server->stats().refused;
  RawClient again(server->address());
  again.Send(recorded);
  EXPECT_TRUE(again.IsClosed());
  EXPECT_TRUE(Eventually([&] { return server->stats().refused > refused; }));
  EXPECT_EQ(server->stats().requests, 1u);
  EXPECT_EQ(server->stats().accepted, 1u);
}

TEST(TcpSecurity, WhatIsSentCannotBeReadOnTheWay) {
  const SecurityOptions key = JobSecrets::Get().key();
  ContractServer server("tcp://127.0.0.1:0", ServerWith(key));
  std::mutex mutex;
  std::string seen;
  {
    Proxy proxy(server->address(), [&](int, bool, auto& bytes) {
      std::lock_guard lock(mutex);
      seen += Text(ConstBytes(bytes));
    });
    const auto channel = Connect(proxy.address(), kWorker, ClientWith(key));
    channel->Call(kEcho, 0, Text("a gradient that nobody may see"), {}, {}, After(Millis(10'000)));
  }
  EXPECT_EQ(seen.find("gradient"), std::string::npos);
  EXPECT_EQ(seen.find("worker"), std::string::npos);
  EXPECT_GT(seen.size(), 500u);
}

}  // namespace
}  // namespace tributary
