#include "tests/distribute/comm/communicator_contract.h"

#include "tests/distribute/comm/tcp_ranks.h"
#include "tests/distribute/run_ranks.h"
#include "tests/distribute/transport/job_secrets.h"

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

std::vector<ContractCase> TcpCases() {
  std::vector<ContractCase> cases;
  const auto run = [](int ranks, const auto& body) { RunTcpRanks(ranks, body); };
  for (const int size : {1, 2, 3, 4, 5, 8}) {
    for (const int64_t length : {0, 1, 37, 100'003}) cases.push_back({"tcp", size, length, run});
  }
  // Longer than a piece of an all-reduce, and odd.
  cases.push_back({"tcp", 3, 1'300'001, run});
  for (const int64_t length : {37, 100'003}) {
    cases.push_back({"tcp with a key", 3, length, [](int ranks, const auto& body) {
                       RunTcpRanks(ranks, body, JobSecrets::Get().key().key_file);
                     }});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Local, CommunicatorContract, testing::ValuesIn(LocalCases()));
INSTANTIATE_TEST_SUITE_P(Tcp, CommunicatorContract, testing::ValuesIn(TcpCases()));

}  // namespace
}  // namespace tributary
