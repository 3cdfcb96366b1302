#include "distribute/comm/node_shared/node_group.h"

#include "distribute/comm/host_layout.h"
#include "distribute/comm/node_shared/shared_region.h"
#include "tests/distribute/run_ranks.h"

namespace tributary {
namespace {

using testing::HasSubstr;

NodeGroup MakeGroup(Communicator& comm, std::vector<int> names = {}, int millis = 10'000) {
  for (int r = static_cast<int>(names.size()); r < comm.size(); ++r) names.push_back(r);
  return NodeGroup(comm.Split(0, comm.rank()), names, Millis(millis));
}

class NodeGroupOfRanks : public testing::TestWithParam<int> {};

// A step as the strategy does it: owners sum their slices, write them to common
// memory, and everybody reads the whole.
TEST_P(NodeGroupOfRanks, OwnersSumTheirSlicesLikeAnAllReduce) {
  for (const int64_t count : {1, 17, 1000, 40'001}) {
    RunRanks(GetParam(), [&](Communicator& comm) {
      NodeGroup group = MakeGroup(comm);
      const auto gradients = group.Segment("g", count * sizeof(float));
      const auto variables = group.Common("v", count * sizeof(float));
      float* mine = static_cast<float*>(gradients->data());
      float* common = static_cast<float*>(variables->data());
      const Slice slice = SliceOf(count, sizeof(float), comm.size(), comm.rank());
      for (int step = 0; step < 10; ++step) {
        std::vector<float> expected(count);
        for (int64_t i = 0; i < count; ++i) {
          mine[i] = expected[i] = 1.0f / (1 + (i + step + 7 * comm.rank()) % 97);
        }
        comm.AllReduce(expected, ReduceOp::kMean);
        group.BeginUpdate();
        group.Reduce("g", DType::kFloat32, ReduceOp::kMean, slice, comm.size(),
                     common + slice.begin);
        group.EndUpdate();
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), common));
      }
      EXPECT_EQ(group.updates(), 10u);
    });
  }
}
INSTANTIATE_TEST_SUITE_P(Sizes, NodeGroupOfRanks, testing::Values(1, 2, 3, 4, 5, 8));

TEST(NodeGroup, SumsSmallVectorsInRankOrder) {
  RunRanks(3, [](Communicator& comm) {
    NodeGroup group = MakeGroup(comm);
    group.Segment("norms", 8);
    for (int step = 0; step < 5; ++step) {
      group.BeginUpdate();
      const float mine[2] = {static_cast<float>(comm.rank() + step), 1.0f};
      float sum[2];
      group.Sum("norms", DType::kFloat32, mine, 2, sum);
      EXPECT_EQ(sum[0], 3 + 3 * step);
      EXPECT_EQ(sum[1], 3);
      group.EndUpdate();
    }
  });
}

TEST(NodeGroup, RaisedBitsReachEveryoneAtTheNextUpdateOnce) {
  RunRanks(3, [](Communicator& comm) {
    NodeGroup group = MakeGroup(comm);
    std::vector<uint32_t> seen;
    for (int step = 0; step < 6; ++step) {
      group.BeginUpdate();
      group.EndUpdate();
      seen.push_back(group.TakeRaised());
      if (step == 1 && comm.rank() == 2) group.Raise(4);
      if (step == 1 && comm.rank() == 0) group.Raise(1);
      if (step == 2 && comm.rank() == 1) group.Raise(2);
    }
    EXPECT_EQ(seen, (std::vector<uint32_t>{0, 0, 5, 2, 0, 0}));
  });
}

TEST(NodeGroup, SameNameIsTheSameMemory) {
  RunRanks(2, [](Communicator& comm) {
    NodeGroup group = MakeGroup(comm);
    const auto first = group.Common("v", 100);
    EXPECT_EQ(group.Common("v", 60)->data(), first->data());
    EXPECT_TRUE(group.IsCommon(static_cast<char*>(first->data()) + 99));
    EXPECT_THROW(group.Common("v", 101), InvalidArgumentError);
    const auto segment = group.Segment("g", 100);
    EXPECT_FALSE(group.IsCommon(segment->data()));
    EXPECT_EQ(segment->data(), group.SegmentOf("g", comm.rank()));
    EXPECT_NE(segment->data(), group.SegmentOf("g", 1 - comm.rank()));
    EXPECT_THROW(group.SegmentOf("h", 0), NotFoundError);
    group.Barrier();
  });
}

TEST(NodeGroup, BarrierDeadlineNamesTheMissingRank) {
  RunRanks(3, [](Communicator& comm) {
    NodeGroup group = MakeGroup(comm, {10, 11, 12}, 60);
    comm.Barrier();
    if (comm.rank() == 2) return;
    try {
      group.Barrier();
      ADD_FAILURE() << "no exception";
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("for rank 12"));
    }
    EXPECT_EQ(comm.health()->failed_rank(), 12);
  });
}

TEST(NodeGroup, BarrierEndsWhenTheJobFails) {
  RunRanks(2, [](Communicator& comm) {
    NodeGroup group = MakeGroup(comm);
    comm.Barrier();
    if (comm.rank() == 1) return comm.Abort("no more");
    EXPECT_THROW(group.Barrier(), UnavailableError);
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
