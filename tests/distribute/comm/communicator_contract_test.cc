#include "tests/distribute/comm/communicator_contract.h"

#include "tests/distribute/run_ranks.h"

namespace tributary {
namespace {

std::vector<ContractCase> LocalCases() {
  std::vector<ContractCase> cases;
  for (const int size : {1, 2, 3, 4, 5, 8}) {
    for (const int64_t length : {0, 1, 37, 100'003}) {
      cases.push_back({"local", size, length,
                       [](int ranks, const auto& body) { RunRanks(ranks, body); }});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Local, CommunicatorContract, testing::ValuesIn(LocalCases()));

}  // namespace
}  // namespace tributary
