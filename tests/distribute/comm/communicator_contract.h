#pragma once
// What every communicator promises, as checks that each rank runs. The suite is
// instantiated by implementation, world size and length: with threads in
// communicator_contract_test.cc, with processes in tests/multiprocess.

#include <gtest/gtest.h>

#include "distribute/comm/communication_queue.h"
#include "distribute/comm/communicator.h"
#include "distribute/comm/slices.h"

namespace tributary {

struct ContractCase {
  std::string implementation;
  int world_size = 1;
  int64_t length = 0;
  // Runs the body on every rank.
  std::function<void(int world_size, const std::function<void(Communicator&)>&)> run;
};

inline void PrintTo(const ContractCase& c, std::ostream* out) {
  *out << c.implementation << " x" << c.world_size << " length " << c.length;
}

class CommunicatorContract : public testing::TestWithParam<ContractCase> {
 protected:
  void Run(const std::function<void(Communicator&)>& body) {
    GetParam().run(GetParam().world_size, body);
  }
  int64_t length() const { return GetParam().length; }

  // Small integers: sums are exact in every dtype and order.
  template <typename T>
  static std::vector<T> Values(int64_t length, int rank) {
    std::vector<T> values(length);
    for (int64_t i = 0; i < length; ++i) values[i] = static_cast<T>((i * 7 + rank * 13) % 101 - 50);
    return values;
  }

  template <typename T>
  static std::vector<T> Expected(int64_t length, int size, ReduceOp op) {
    std::vector<T> result = Values<T>(length, 0);
    for (int r = 1; r < size; ++r) {
      const std::vector<T> more = Values<T>(length, r);
      for (int64_t i = 0; i < length; ++i) {
        if (op == ReduceOp::kMax) result[i] = std::max(result[i], more[i]);
        if (op == ReduceOp::kMin) result[i] = std::min(result[i], more[i]);
        if (op == ReduceOp::kSum || op == ReduceOp::kMean) result[i] += more[i];
      }
    }
    if (op == ReduceOp::kMean) {
      for (T& value : result) value = static_cast<T>(value * static_cast<T>(1.0 / size));
    }
    return result;
  }

  template <typename T>
  void CheckReduction(ReduceOp op) {
    Run([&](Communicator& comm) {
      const std::vector<T> expected = Expected<T>(length(), comm.size(), op);
      std::vector<T> values = Values<T>(length(), comm.rank());
      comm.AllReduce(values, op);
      EXPECT_EQ(values, expected) << ReduceOpName(op);

      const std::vector<T> input = Values<T>(length(), comm.rank());
      const Slice mine = SliceOf(length(), sizeof(T), comm.size(), comm.rank());
      std::vector<T> slice(mine.count);
      comm.ReduceScatter(input, slice, op);
      EXPECT_EQ(slice, std::vector<T>(expected.begin() + mine.begin, expected.begin() + mine.end()))
          << ReduceOpName(op);
    });
  }
};

TEST_P(CommunicatorContract, RanksAreNumberedFromZero) {
  std::atomic<int> sum{0}, called{0};
  Run([&](Communicator& comm) {
    EXPECT_EQ(comm.size(), GetParam().world_size);
    EXPECT_GE(comm.rank(), 0);
    EXPECT_LT(comm.rank(), comm.size());
    std::vector<int32_t> ranks{comm.rank()}, all(comm.size());
    comm.AllGather(ranks, all);
    for (int r = 0; r < comm.size(); ++r) EXPECT_EQ(all[r], r);
  });
}

TEST_P(CommunicatorContract, SumsEveryDType) {
  CheckReduction<float>(ReduceOp::kSum);
  CheckReduction<double>(ReduceOp::kSum);
  CheckReduction<int32_t>(ReduceOp::kSum);
  CheckReduction<int64_t>(ReduceOp::kSum);
}

TEST_P(CommunicatorContract, TakesMeanOfFloats) {
  CheckReduction<float>(ReduceOp::kMean);
  CheckReduction<double>(ReduceOp::kMean);
}

TEST_P(CommunicatorContract, TakesExtremes) {
  CheckReduction<float>(ReduceOp::kMax);
  CheckReduction<float>(ReduceOp::kMin);
  CheckReduction<int64_t>(ReduceOp::kMax);
  CheckReduction<int32_t>(ReduceOp::kMin);
}

TEST_P(CommunicatorContract, SumsHaveTheSameBitsOnEveryRank) {
  Run([&](Communicator& comm) {
    std::vector<float> values(length());
    for (int64_t i = 0; i < length(); ++i) values[i] = 1.0f / (1 + i % 977 + 3 * comm.rank());
    std::vector<float> again = values;
    const std::vector<float> own = values;
    comm.AllReduce(values, ReduceOp::kSum);
    comm.AllReduce(again, ReduceOp::kSum);
    std::vector<float> all(length() * comm.size()), inputs(length() * comm.size());
    comm.AllGather(values, all);
    comm.AllGather(own, inputs);
    EXPECT_EQ(values, again);
    for (int r = 0; r < comm.size(); ++r) {
      EXPECT_TRUE(std::equal(values.begin(), values.end(), all.begin() + r * length()));
    }
    if (comm.size() == 2) {
      for (int64_t i = 0; i < length(); ++i) EXPECT_EQ(values[i], inputs[i] + inputs[length() + i]);
    }
  });
}

TEST_P(CommunicatorContract, BroadcastsFromEveryRoot) {
  Run([&](Communicator& comm) {
    for (int root = 0; root < comm.size(); ++root) {
      std::vector<uint8_t> bytes(length(), static_cast<uint8_t>(comm.rank() + 1));
      comm.Broadcast(bytes, root);
      EXPECT_EQ(bytes, std::vector<uint8_t>(length(), static_cast<uint8_t>(root + 1)));
    }
  });
}

TEST_P(CommunicatorContract, GathersInRankOrder) {
  Run([&](Communicator& comm) {
    std::vector<double> all(length() * comm.size());
    comm.AllGather(Values<double>(length(), comm.rank()), all);
    for (int r = 0; r < comm.size(); ++r) {
      const std::vector<double> part(all.begin() + r * length(), all.begin() + (r + 1) * length());
      EXPECT_EQ(part, Values<double>(length(), r));
    }
  });
}

TEST_P(CommunicatorContract, GathersTextsOfAnyLength) {
  Run([&](Communicator& comm) {
    const auto texts = AllGatherStrings(comm, std::string(comm.rank() * 3, 'a' + comm.rank()));
    ASSERT_EQ(static_cast<int>(texts.size()), comm.size());
    for (int r = 0; r < comm.size(); ++r) EXPECT_EQ(texts[r], std::string(r * 3, 'a' + r));
  });
}

TEST_P(CommunicatorContract, MessagesOfOneTagArriveInOrder) {
  Run([&](Communicator& comm) {
    const int next = (comm.rank() + 1) % comm.size();
    const int previous = (comm.rank() + comm.size() - 1) % comm.size();
    // Small ones first: a ring of blocking sends must not lock up.
    for (int i = 0; i < 3; ++i) comm.Send(std::vector<int32_t>{i, comm.rank()}, next, {.tag = 5});
    comm.Send(std::vector<int32_t>{77}, next, {.tag = 6});
    std::vector<int32_t> other(1), pair(2);
    comm.Recv(other, previous, {.tag = 6});
    EXPECT_EQ(other[0], 77);
    for (int i = 0; i < 3; ++i) {
      comm.Recv(pair, previous, {.tag = 5});
      EXPECT_EQ(pair, (std::vector<int32_t>{i, previous}));
    }
    EXPECT_FALSE(comm.CanRecv(previous, 5));
  });
}

TEST_P(CommunicatorContract, PostedMessagesArriveAndNobodyWaits) {
  Run([&](Communicator& comm) {
    const int next = (comm.rank() + 1) % comm.size();
    const int previous = (comm.rank() + comm.size() - 1) % comm.size();
    for (int i = 0; i < 20; ++i) comm.Post(std::vector<int32_t>(100, i), next, 8);
    comm.Barrier();
    for (int i = 0; i < 20; ++i) {
      std::vector<int32_t> got(100);
      comm.Recv(got, previous, {.tag = 8});
      EXPECT_EQ(got, std::vector<int32_t>(100, i));
    }
  });
}

TEST_P(CommunicatorContract, LongMessagesArriveWhole) {
  Run([&](Communicator& comm) {
    if (comm.size() < 2) return;
    if (comm.rank() == 0) {
      comm.Send(Values<float>(length(), 0), 1);
    } else if (comm.rank() == 1) {
      std::vector<float> values(length());
      comm.Recv(values, 0);
      EXPECT_EQ(values, Values<float>(length(), 0));
    }
  });
}

TEST_P(CommunicatorContract, RefusesMessageOfAnotherSize) {
  Run([&](Communicator& comm) {
    const int next = (comm.rank() + 1) % comm.size();
    const int previous = (comm.rank() + comm.size() - 1) % comm.size();
    comm.Send(std::vector<int32_t>{1, 2, 3}, next);
    std::vector<int32_t> two(2);
    EXPECT_THROW(comm.Recv(two, previous), InvalidArgumentError);
  });
}

TEST_P(CommunicatorContract, SplitsIntoIndependentGroups) {
  Run([&](Communicator& comm) {
    const int color = comm.rank() % 2;
    // Keys turn the order round.
    const auto group = comm.Split(color, -comm.rank());
    const int members = (comm.size() + 1 - color) / 2;
    EXPECT_EQ(group->size(), members);
    EXPECT_EQ(group->rank(), members - 1 - comm.rank() / 2);
    std::vector<int64_t> values(length(), comm.rank());
    group->AllReduce(values, ReduceOp::kSum);
    int64_t sum = 0;
    for (int r = color; r < comm.size(); r += 2) sum += r;
    EXPECT_EQ(values, std::vector<int64_t>(length(), sum));
    comm.Barrier();
  });
}

TEST_P(CommunicatorContract, BarrierHoldsEveryoneUntilTheLastArrives) {
  Run([&](Communicator& comm) {
    // A message sent before the barrier is there after it.
    if (comm.rank() != 0) comm.Send(std::vector<int32_t>{comm.rank()}, 0, {.tag = 9});
    comm.Barrier();
    if (comm.rank() == 0) {
      for (int r = 1; r < comm.size(); ++r) {
        std::vector<int32_t> value(1);
        comm.Recv(value, r, {.timeout = Millis(5000), .tag = 9});
        EXPECT_EQ(value[0], r);
      }
    }
    comm.Barrier();
  });
}

TEST_P(CommunicatorContract, QueuedWorkFinishesInOrder) {
  Run([&](Communicator& comm) {
    CommunicationQueue queue(comm.Split(0, comm.rank()));
    std::vector<float> first = Values<float>(length(), comm.rank());
    std::vector<float> second = Values<float>(length(), comm.rank() + 1);
    Work one, two, three;
    queue.AllReduce(first, ReduceOp::kSum, &one);
    queue.AllReduce(second, ReduceOp::kMax, &two);
    queue.Barrier(&three);
    three.Wait();
    EXPECT_TRUE(one.done());
    EXPECT_TRUE(two.done());
    EXPECT_EQ(one.status(), Code::kOk);
    EXPECT_EQ(first, Expected<float>(length(), comm.size(), ReduceOp::kSum));
    // A Work serves again.
    queue.Broadcast(second, 0, &one);
    one.Wait();
    comm.Barrier();
  });
}

TEST_P(CommunicatorContract, NamesDTypeThatItCannotReduce) {
  Run([&](Communicator& comm) {
    std::vector<uint8_t> bytes(length());
    EXPECT_THROW(comm.AllReduce(bytes, ReduceOp::kSum), UnimplementedError);
    std::vector<int32_t> whole(length());
    EXPECT_THROW(comm.AllReduce(whole, ReduceOp::kMean), InvalidArgumentError);
    EXPECT_THROW(comm.Broadcast(whole, comm.size()), InvalidArgumentError);
    std::vector<int32_t> wrong(length() * comm.size() + 1);
    EXPECT_THROW(comm.AllGather(whole, wrong), InvalidArgumentError);
    comm.Barrier();
  });
}

TEST_P(CommunicatorContract, CountsProgress) {
  Run([&](Communicator& comm) {
    const uint64_t before = comm.health()->progress();
    comm.Barrier();
    EXPECT_GT(comm.health()->progress(), before);
  });
}

}  // namespace tributary
