// The transport contract among real processes: run under mpirun, every rank serves and
// calls the next one.

#include "distribute/comm/communicator.h"
#include "distribute/comm/mpi/mpi_runtime.h"
#include "distribute/transport/mpi/mpi_transport.h"
#include "tests/distribute/transport/transport_contract.h"

namespace tributary {
namespace {

Communicator& World() {
  static const auto world = CommunicatorRegistry().Get("mpi").connect({});
  return *world;
}

CarrierCase Mpi(bool checksums) {
  CarrierCase mpi;
  mpi.carrier = "mpi";
  mpi.checksums = checksums;
  mpi.listen_address = [] { return fmt::format("mpi://{}", World().rank()); };
  mpi.connect_address = [](const std::string&) {
    return fmt::format("mpi://{}", (World().rank() + 1) % World().size());
  };
  mpi.barrier = [] { World().Barrier(); };
  mpi.one_process = false;
  return mpi;
}

INSTANTIATE_TEST_SUITE_P(Mpi, TransportContract, testing::Values(Mpi(true), Mpi(false)));

TEST(MpiTransport, SeveralShardsOfARankAreServersOfTheirOwn) {
  const std::string one = fmt::format("mpi://{}/1", World().rank());
  const std::string two = fmt::format("mpi://{}/2", World().rank());
  ContractServer first(one), second(two);
  const auto to_first = Connect(one, {.role = "worker"}), to_second = Connect(two, {.role = "worker"});
  const Deadline soon = After(Millis(20'000));
  to_first->Call(kEcho, 0, Text("x"), {}, {}, soon);
  to_first->Call(kEcho, 0, Text("y"), {}, {}, soon);
  to_second->Call(kEcho, 0, Text("z"), {}, {}, soon);
  EXPECT_EQ(first->stats().requests, 2u);
  EXPECT_EQ(second->stats().requests, 1u);
  EXPECT_THROW(Listen(one, [](const Request&, Responder) {}, {}), AlreadyExistsError);
}

TEST(MpiTransport, WrongAddressesAreNamed) {
  EXPECT_THAT(ErrorOf<InvalidArgumentError>([] { Connect("mpi://999", {}); }),
              HasSubstr("rank below"));
  EXPECT_THAT(ErrorOf<InvalidArgumentError>([] { Connect("mpi://x", {}); }), HasSubstr("mpi://RANK"));
  ChannelOptions hurried;
  hurried.connect_timeout = Millis(30);
  EXPECT_THAT(ErrorOf<UnavailableError>([&] {
                Connect(fmt::format("mpi://{}/9", World().rank()), {.role = "worker"}, hurried);
              }),
              HasSubstr("no answer"));
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  tributary::MpiRuntime::Init();
  tributary::InitMpiTransport();
  testing::InitGoogleTest(&argc, argv);
  if (tributary::World().rank() != 0 && getenv("TRIBUTARY_TEST_ALL_RANKS") == nullptr) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  const int result = RUN_ALL_TESTS();
  if (result != 0) std::_Exit(result);
  tributary::MpiRuntime::Finalize();
  return 0;
}
