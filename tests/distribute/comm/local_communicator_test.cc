// Failures that only ranks in one process can act out.

#include "distribute/comm/local/local_communicator.h"

#include "distribute/comm/communication_queue.h"
#include "tests/distribute/run_ranks.h"

namespace tributary {
namespace {

using testing::HasSubstr;

template <typename E, typename Fn>
std::string MessageOf(Fn fn) {
  try {
    fn();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "another exception: " << e.what();
    return "";
  }
  ADD_FAILURE() << "no exception";
  return "";
}

TEST(LocalCommunicator, SumsInRankOrder) {
  RunRanks(3, [](Communicator& comm) {
    // (1e8 + 1) - 1e8 differs from 1e8 + (1 - 1e8) in float.
    const float inputs[] = {1e8f, 1.0f, -1e8f};
    std::vector<float> values{inputs[comm.rank()]};
    comm.AllReduce(values, ReduceOp::kSum);
    volatile float expected = inputs[0] + inputs[1];
    expected = expected + inputs[2];
    EXPECT_EQ(values[0], expected);
  });
}

TEST(LocalCommunicator, DeadlineNamesTheRankThatIsMissing) {
  RunRanks(3, [](Communicator& comm) {
    if (comm.rank() == 1) return;
    const std::string message = MessageOf<Error>([&] { comm.Barrier({.timeout = Millis(50)}); });
    EXPECT_THAT(message, HasSubstr("for rank 1"));
    EXPECT_TRUE(comm.health()->failed());
    EXPECT_EQ(comm.health()->failed_rank(), 1);
  });
}

TEST(LocalCommunicator, RecvDeadlineNamesTheSender) {
  RunRanks(2, [](Communicator& comm) {
    if (comm.rank() == 1) return;
    std::vector<float> value(1);
    EXPECT_THAT(MessageOf<DeadlineExceededError>(
                    [&] { comm.Recv(value, 1, {.timeout = Millis(20), .tag = 3}); }),
                HasSubstr("a message of rank 1 (tag 3)"));
  });
}

TEST(LocalCommunicator, AbortEndsWaitsOfTheOthersAndNamesTheRank) {
  RunRanks(4, [](Communicator& comm) {
    if (comm.rank() == 2) {
      comm.Abort("the data ran out");
      return;
    }
    const std::string message = MessageOf<UnavailableError>([&] { comm.Barrier(); });
    EXPECT_THAT(message, HasSubstr("rank 2 gave up: the data ran out"));
    // Later calls end too.
    EXPECT_THROW(comm.Barrier(), UnavailableError);
  });
}

TEST(LocalCommunicator, AbortReachesGroupsThatWereSplitOff) {
  RunRanks(4, [](Communicator& comm) {
    const auto half = comm.Split(comm.rank() / 2, comm.rank());
    if (comm.rank() == 3) {
      half->Abort("no");
      return;
    }
    if (comm.rank() == 2) {
      EXPECT_THAT(MessageOf<UnavailableError>([&] { half->Barrier(); }), HasSubstr("rank 3"));
    } else {
      std::vector<float> value(1);
      EXPECT_THAT(MessageOf<UnavailableError>([&] { comm.Recv(value, 3); }), HasSubstr("rank 3"));
    }
  });
}

TEST(LocalCommunicator, RanksThatDisagreeAllGetAnError) {
  RunRanks(3, [](Communicator& comm) {
    std::vector<float> values(comm.rank() == 2 ? 5 : 4);
    const std::string message =
        MessageOf<InvalidArgumentError>([&] { comm.AllReduce(values, ReduceOp::kSum); });
    EXPECT_THAT(message, HasSubstr("rank 2 calls AllReduce of 5 x float32"));
    // The group is still in step.
    std::vector<float> one{1};
    comm.AllReduce(one, ReduceOp::kSum);
    EXPECT_EQ(one[0], 3);
  });
}

TEST(LocalCommunicator, FailureOfQueuedWorkIsThrownByWait) {
  RunRanks(2, [](Communicator& comm) {
    CommunicationQueue queue(comm.Split(0, comm.rank()));
    Work work;
    if (comm.rank() == 0) {
      queue.Barrier(&work);
      EXPECT_THROW(work.Wait(), UnavailableError);
      EXPECT_EQ(work.status(), Code::kUnavailable);
    } else {
      comm.Abort("broken");
    }
  });
}

TEST(LocalCommunicator, WaitOfWorkHasADeadlineOfItsOwn) {
  RunRanks(2, [](Communicator& comm) {
    CommunicationQueue queue(comm.Split(0, comm.rank()));
    Work work;
    if (comm.rank() == 0) {
      queue.Barrier(&work);
      EXPECT_THROW(work.Wait(Millis(10)), DeadlineExceededError);
      EXPECT_FALSE(work.done());
    }
    comm.Barrier();
    if (comm.rank() == 1) queue.Barrier(&work);
    work.Wait();
  });
}

TEST(LocalCommunicator, AbortThroughWorkGivesTheJobUp) {
  RunRanks(2, [](Communicator& comm) {
    CommunicationQueue queue(comm.Split(0, comm.rank()));
    Work work;
    if (comm.rank() == 0) {
      queue.Barrier(&work);
      work.Abort("enough");
      EXPECT_THROW(work.Wait(), UnavailableError);
    } else {
      std::vector<float> value(1);
      EXPECT_THROW(comm.Recv(value, 0), UnavailableError);
    }
  });
}

}  // namespace
}  // namespace tributary
