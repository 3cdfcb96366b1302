#pragma once
// Ranks as threads of a test.

#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "distribute/comm/local/local_communicator.h"

namespace tributary {

// Runs body(comm) on `size` threads, one a rank. An exception that leaves a body
// makes the rank abort, so that the others end, and fails the test.
inline void RunRanks(int size, const std::function<void(Communicator&)>& body,
                     CommunicatorOptions options = {}) {
  auto ranks = MakeLocalCommunicators(size, options);
  std::vector<std::thread> threads;
  for (auto& comm : ranks) {
    threads.emplace_back([&body, comm] {
      try {
        body(*comm);
      } catch (const std::exception& e) {
        ADD_FAILURE() << "rank " << comm->rank() << ": " << e.what();
        comm->Abort(e.what());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace tributary
