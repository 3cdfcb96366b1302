// The communicator contract among real processes: run under mpirun, every rank
// runs every case.

#include <gmock/gmock.h>

#include "distribute/comm/mpi/mpi_runtime.h"
#include "tests/distribute/comm/communicator_contract.h"

namespace tributary {
namespace {

std::shared_ptr<Communicator> World() {
  static const auto world = CommunicatorRegistry().Get("mpi").connect({});
  return world;
}

std::vector<ContractCase> MpiCases() {
  std::vector<ContractCase> cases;
  // The last one is longer than a piece of an all-reduce, and odd.
  for (const int64_t length : {0, 1, 37, 100'003, 1'300'001}) {
    cases.push_back({"mpi", World()->size(), length, [](int, const auto& body) {
                       body(*World());
                       World()->Barrier();
                     }});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Mpi, CommunicatorContract, testing::ValuesIn(MpiCases()));

TEST(MpiRuntime, StartsOnceHoweverOftenItIsAsked) {
  MpiRuntime::Init();
  MpiRuntime::Init();
  EXPECT_TRUE(MpiRuntime::initialized());
}

// Last, since the job has failed for this communicator afterwards.
TEST(ZMpiDeadline, RecvNamesTheRankThatDoesNotSend) {
  const auto comm = CommunicatorRegistry().Get("mpi").connect({});
  if (comm->size() < 2 || comm->rank() != 0) return;
  std::vector<float> value(1);
  try {
    comm->Recv(value, 1, {.timeout = Millis(30), .tag = 4});
    ADD_FAILURE() << "no exception";
  } catch (const DeadlineExceededError& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("a message of rank 1 (tag 4)"));
  }
  EXPECT_EQ(comm->health()->failed_rank(), 1);
}

TEST(ZMpiDeadline, BarrierEndsWhenSomebodyIsMissing) {
  const auto comm = CommunicatorRegistry().Get("mpi").connect({});
  if (comm->size() < 2 || comm->rank() != 0) return;
  EXPECT_THROW(comm->Barrier({.timeout = Millis(30)}), DeadlineExceededError);
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  tributary::MpiRuntime::Init();
  testing::InitGoogleTest(&argc, argv);
  if (tributary::World()->rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    // One report is enough; failures of the others still show in the exit code.
    if (getenv("TRIBUTARY_TEST_ALL_RANKS") == nullptr) {
      delete listeners.Release(listeners.default_result_printer());
    }
  }
  const int result = RUN_ALL_TESTS();
  if (result != 0) std::_Exit(result);
  tributary::MpiRuntime::Finalize();
  return 0;
}
