#include "distribute/comm/node_shared/shared_window.h"

#include "distribute/comm/host_layout.h"
#include "distribute/comm/node_shared/shared_region.h"
#include "tests/distribute/run_ranks.h"

namespace tributary {
namespace {

using testing::HasSubstr;

std::vector<int> Names(Communicator& comm) {
  std::vector<int> names(comm.size());
  for (int r = 0; r < comm.size(); ++r) names[r] = r;
  return names;
}

class SharedWindowOfRanks : public testing::TestWithParam<int> {};

// The sum of a step, as the strategy does it: every rank ends up reading the whole
// reduced buffer out of the owners' segments.
TEST_P(SharedWindowOfRanks, OwnersSumTheirSlicesLikeAnAllReduce) {
  for (const int64_t count : {1, 17, 1000, 40'001}) {
    RunRanks(GetParam(), [&](Communicator& comm) {
      SharedWindow window(comm, Names(comm), 0, count * sizeof(float), Millis(10'000));
      float* mine = static_cast<float*>(window.segment(comm.rank()));
      for (int step = 0; step < 20; ++step) {
        std::vector<float> expected(count);
        for (int64_t i = 0; i < count; ++i) {
          mine[i] = expected[i] = 1.0f / (1 + (i + step + 7 * comm.rank()) % 97);
        }
        comm.AllReduce(expected, ReduceOp::kSum);
        window.Barrier();
        window.ReduceOwnSlice(DType::kFloat32, ReduceOp::kSum, 0, count);
        window.Barrier();
        for (int r = 0; r < comm.size(); ++r) {
          const Slice slice = SliceOf(count, sizeof(float), comm.size(), r);
          const float* owner = static_cast<const float*>(window.segment(r));
          EXPECT_TRUE(std::equal(owner + slice.begin, owner + slice.end(),
                                 expected.begin() + slice.begin));
        }
        window.Barrier();
      }
    });
  }
}
INSTANTIATE_TEST_SUITE_P(Sizes, SharedWindowOfRanks, testing::Values(1, 2, 3, 4, 5, 8));

TEST(SharedWindow, CommonSegmentIsOneForAll) {
  RunRanks(3, [](Communicator& comm) {
    SharedWindow window(comm, Names(comm), 256, 128, Millis(10'000));
    auto* common = static_cast<int32_t*>(window.common());
    EXPECT_EQ(common[0], 0);
    window.Barrier();
    if (comm.rank() == 1) common[5] = 42;
    window.Barrier();
    EXPECT_EQ(common[5], 42);
    window.Barrier();
  });
}

TEST(SharedWindow, BarrierDeadlineNamesTheMissingRank) {
  RunRanks(3, [](Communicator& comm) {
    SharedWindow window(comm, {10, 11, 12}, 0, 64, Millis(60));
    comm.Barrier();
    if (comm.rank() == 2) return;
    try {
      window.Barrier();
      ADD_FAILURE() << "no exception";
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("for rank 12"));
    }
    EXPECT_EQ(comm.health()->failed_rank(), 12);
  });
}

TEST(SharedWindow, BarrierEndsWhenTheJobFails) {
  RunRanks(2, [](Communicator& comm) {
    SharedWindow window(comm, {0, 1}, 0, 64, Millis(60'000));
    comm.Barrier();
    if (comm.rank() == 1) return comm.Abort("no more");
    EXPECT_THROW(window.Barrier(), UnavailableError);
  });
}

TEST(SharedRegion, OutlivesTheRankThatMadeIt) {
  RunRanks(2, [](Communicator& comm) {
    std::shared_ptr<void> region = MakeSharedRegion(comm, 100);
    if (comm.rank() == 0) region.reset();
    comm.Barrier();
    if (comm.rank() == 1) {
      static_cast<char*>(region.get())[99] = 1;
    }
  });
}

TEST(SharedRegion, KnowsHowMuchMemoryIsLeft) {
  EXPECT_GT(AvailableMemory(), size_t{1} << 20);
  EXPECT_LT(AvailableMemory(), size_t{1} << 50);
}

TEST(HostLayout, RanksOfOneProcessShareAHost) {
  RunRanks(4, [](Communicator& comm) {
    const HostLayout layout = FindHosts(comm);
    EXPECT_EQ(layout.num_hosts, 1);
    EXPECT_EQ(layout.local_rank, comm.rank());
    EXPECT_EQ(layout.local_size, 4);
    EXPECT_TRUE(layout.uniform);
  });
}

TEST(HostLayout, PretendedHostsTakeBlocksOfRanks) {
  RunRanks(5, [](Communicator& comm) {
    const HostLayout layout = FindHosts(comm, 2);
    EXPECT_EQ(layout.num_hosts, 2);
    EXPECT_EQ(layout.host_of, (std::vector<int>{0, 0, 0, 1, 1}));
    EXPECT_EQ(layout.local_rank, comm.rank() % 3);
    EXPECT_FALSE(layout.uniform);
    EXPECT_EQ(layout.RanksOf(1), (std::vector<int>{3, 4}));
    EXPECT_THROW(FindHosts(comm, 6), InvalidArgumentError);
  });
}

}  // namespace
}  // namespace tributary
