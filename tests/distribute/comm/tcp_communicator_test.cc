// What only the TCP communicator has: ranks that find each other, strangers, secrets. The
// contract is checked in communicator_contract_test.cc.

#include <gmock/gmock.h>

#include "tests/distribute/comm/tcp_ranks.h"
#include "tests/distribute/run_ranks.h"
#include "tests/distribute/transport/job_secrets.h"
#include "tests/distribute/transport/raw_client.h"

namespace tributary {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(TcpCommunicator, SumsHaveTheBitsOfTheLocalCommunicator) {
  for (const int64_t length : {1000, 50'000}) {  // one step, two steps
    std::vector<std::vector<float>> local(5), tcp(5);
    const auto sum = [&](std::vector<std::vector<float>>& results) {
      return [&, length](Communicator& comm) {
        std::vector<float>& values = results[comm.rank()];
        for (int64_t i = 0; i < length; ++i) values.push_back(1.0f / (1 + i % 977 + comm.rank()));
        comm.AllReduce(values, ReduceOp::kMean);
      };
    };
    RunRanks(5, sum(local));
    RunTcpRanks(5, sum(tcp));
    EXPECT_EQ(local, tcp);
  }
}

// --- Finding each other

// What connecting throws on each rank, "" where it does not; rank r connects with
// options(r), in a thread of its own.
std::vector<std::string> ErrorsOf(int size,
                                  const std::function<CommunicatorOptions(int)>& options) {
  std::vector<std::string> errors(size);
  std::vector<std::thread> threads;
  for (int r = 0; r < size; ++r) {
    threads.emplace_back([&, r] {
      try {
        ConnectTcpRanks(options(r));
      } catch (const Error& e) {
        errors[r] = fmt::format("{}: {}", CodeName(e.code()), e.what());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

TEST(TcpGathering, NamesWhoIsMissing) {
  const auto addresses = FreeAddresses(4);
  const auto errors = ErrorsOf(3, [&](int r) {  // rank 3 never comes
    CommunicatorOptions options = TcpOptions(r, addresses);
    options.places.timeout = Millis(300);
    return options;
  });
  for (const std::string& error : errors) {
    EXPECT_THAT(error, AllOf(HasSubstr("DEADLINE_EXCEEDED"),
                             HasSubstr("in vain for rank 3 (" + addresses[3] + ")")));
  }
}

TEST(TcpGathering, SaysWhyNobodyAnswers) {
  const auto addresses = FreeAddresses(2);
  const auto errors = ErrorsOf(1, [&](int) {
    CommunicatorOptions options = TcpOptions(1, addresses);
    options.places.timeout = Millis(200);
    return options;
  });
  EXPECT_THAT(errors[0], HasSubstr("in vain for rank 0"));
  EXPECT_THAT(errors[0], HasSubstr("nobody listens at tcp://" + addresses[0]));
}

TEST(TcpGathering, OtherListOfAddressesIsRefused) {
  const auto addresses = FreeAddresses(3);
  const auto errors = ErrorsOf(2, [&](int r) {
    CommunicatorOptions options = TcpOptions(r, {addresses[0], addresses[1]});
    if (r == 1) options.places.addresses.push_back(addresses[2]);
    options.places.timeout = Millis(500);
    return options;
  });
  EXPECT_THAT(errors[0], HasSubstr("in vain for rank 1"));
  EXPECT_THAT(errors[1], AllOf(HasSubstr("FAILED_PRECONDITION"), HasSubstr("2 ranks"),
                               HasSubstr("3 ranks")));
}

TEST(TcpGathering, TwoProcessesOfOneTaskAreFoundOut) {
  const auto addresses = FreeAddresses(2);
  // Both want the address of rank 0; one has it.
  const auto errors = ErrorsOf(2, [&](int) {
    CommunicatorOptions options = TcpOptions(0, addresses);
    options.places.timeout = Millis(500);
    return options;
  });
  const int late = errors[0].find("ALREADY_EXISTS") == 0 ? 0 : 1;
  EXPECT_THAT(errors[late], HasSubstr(addresses[0] + " is in use by another process"));
  EXPECT_THAT(errors[1 - late], HasSubstr("in vain for rank 1"));
}

TEST(TcpGathering, BeyondLoopbackAKeyIsNeeded) {
  const auto errors = ErrorsOf(1, [&](int) {
    return TcpOptions(0, {"0.0.0.0:12345", "192.0.2.1:12345"});
  });
  EXPECT_THAT(errors[0], AllOf(HasSubstr("UNAUTHENTICATED"), HasSubstr("TRIBUTARY_KEY_FILE"),
                               HasSubstr("openssl rand"), HasSubstr("mpirun")));
}

TEST(TcpGathering, AnotherKeyIsRefused) {
  const auto addresses = FreeAddresses(2);
  const std::string other = JobSecrets::Get().Write(
      "another.key", "ff112233445566778899aabbccddeeff0123456789abcdef0123456789ABCDEF\n");
  const auto errors = ErrorsOf(2, [&](int r) {
    CommunicatorOptions options = TcpOptions(r, addresses);
    options.places.key_file = r == 0 ? JobSecrets::Get().key().key_file : other;
    options.places.timeout = Millis(500);
    return options;
  });
  EXPECT_THAT(errors[0], HasSubstr("in vain for rank 1"));
  EXPECT_THAT(errors[1], HasSubstr("the same job key"));
}

TEST(TcpGathering, NonsenseIsNoAddress) {
  for (const char* address : {"localhost", "127.0.0.1:70000", ":80", "::1:80"}) {
    const auto errors =
        ErrorsOf(1, [&](int) { return TcpOptions(0, {address, "127.0.0.1:4000"}); });
    EXPECT_THAT(errors[0], AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr(address)));
  }
}

// Strangers at the door while rank 0 waits for rank 1.
TEST(TcpHostileGathering, StrangersAreRefusedAndTheJobGoesOn) {
  const auto addresses = FreeAddresses(2);
  std::thread rank0([&] {
    const auto comm = ConnectTcpRanks(TcpOptions(0, addresses));
    std::vector<int32_t> value{1};
    comm->AllReduce(value, ReduceOp::kSum);
    EXPECT_EQ(value[0], 3);
  });
  const auto dial = [&] {
    while (true) {
      RawClient client(addresses[0]);
      if (client.connected()) return client;
      std::this_thread::yield();
    }
  };
  HelloMessage wrong_role, wrong_rank;
  wrong_role.hello = {.role = "worker", .task = 1};
  wrong_rank.hello = {.role = "rank", .task = 7};
  std::vector<std::byte> wrong_magic = RawClient::Frame(kHelloKind, EncodeHello(wrong_rank));
  wrong_magic[0] ^= std::byte{1};
  std::vector<std::byte> huge(kFrameHeaderBytes);
  EncodeHeader({.kind = kHelloKind, .payload_bytes = 1ull << 60}, huge.data());
  for (const std::vector<std::byte>& bytes :
       {wrong_magic, huge, RawClient::Frame(kHelloKind, std::vector<std::byte>(5000)),
        RawClient::Frame(1, {}), RawClient::Frame(kHelloKind, EncodeHello(wrong_role)),
        RawClient::Frame(kHelloKind, EncodeHello(wrong_rank))}) {
    RawClient client = dial();
    client.Send(bytes);
    EXPECT_TRUE(client.IsClosed());
  }
  RawClient silent = dial(), browser = dial();  // these stay
  browser.Send(std::string_view("GET / HTTP/1.1\r\n"));
  {
    const auto comm = ConnectTcpRanks(TcpOptions(1, addresses));
    std::vector<int32_t> value{2};
    comm->AllReduce(value, ReduceOp::kSum);
    EXPECT_EQ(value[0], 3);
    // Once all are there, nobody listens.
    EXPECT_FALSE(RawClient(addresses[0]).connected());
    EXPECT_FALSE(RawClient(addresses[1]).connected());
    EXPECT_TRUE(silent.IsClosed());
  }
  rank0.join();
}

// --- Failing

TEST(TcpFailure, AbortEndsEverybodyWithItsReason) {
  RunTcpRanks(3, [](Communicator& comm) {
    if (comm.rank() == 2) {
      comm.Barrier();
      comm.Abort("no more data");
      return;
    }
    try {
      comm.Barrier();  // it may come while a rank is still in here
      std::vector<float> value(1);
      comm.Recv(value, 2);
      ADD_FAILURE() << "no exception";
    } catch (const UnavailableError& e) {
      EXPECT_THAT(e.what(), HasSubstr("rank 2 gave up: no more data"));
    }
    EXPECT_EQ(comm.health()->failed_rank(), 2);
  });
}

TEST(TcpFailure, DeadlineNamesTheRankThatIsMissing) {
  RunTcpRanks(3, [](Communicator& comm) {
    if (comm.rank() == 1) {  // until the others have told
      while (!comm.health()->failed()) std::this_thread::yield();
      return;
    }
    std::vector<float> values(100'000);
    try {
      comm.AllReduce(values, ReduceOp::kSum, {.timeout = Millis(200)});
      ADD_FAILURE() << "no exception";
    } catch (const Error& e) {  // its own deadline, or the other's report
      EXPECT_THAT(e.what(), HasSubstr("waited in vain for rank 1"));
    }
    EXPECT_EQ(comm.health()->failed_rank(), 1);
  });
}

TEST(TcpFailure, WhoHasLeftIsNamed) {
  const auto addresses = FreeAddresses(2);
  std::thread leaves([&] { ConnectTcpRanks(TcpOptions(0, addresses)); });
  const auto comm = ConnectTcpRanks(TcpOptions(1, addresses));
  leaves.join();
  std::vector<float> value(1);
  try {
    comm->Recv(value, 0);
    ADD_FAILURE() << "no exception";
  } catch (const UnavailableError& e) {
    EXPECT_THAT(e.what(), HasSubstr("rank 0 (" + addresses[0] + ") has left"));
  }
  EXPECT_FALSE(comm->health()->failed());  // a goodbye is no failure
}

TEST(TcpFailure, CallsThatDifferAreRefused) {
  RunTcpRanks(2, [](Communicator& comm) {
    std::vector<float> values(10);
    if (comm.rank() == 0) {
      EXPECT_THROW(comm.AllReduce(values, ReduceOp::kSum), InvalidArgumentError);
    } else {
      EXPECT_THROW(comm.Barrier(), InvalidArgumentError);
    }
  });
}

}  // namespace
}  // namespace tributary
