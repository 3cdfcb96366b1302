// Workers that are lost, in the middle of what they do.

#include "tests/distribute/coordinator/coordinator_harness.h"

#include <atomic>
#include <random>

#include "tests/distribute/transport/proxy.h"

namespace tributary::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(CoordinatorTest, WhatALostWorkerHasNotPushedIsDoneByOthers) {
  Start({.lease_steps = 6});
  chief_->SetReady();
  chief_->Open(Batches(0, 12));
  auto dying = Worker(0);
  const uint64_t generation = dying->Register();
  const auto lease = dying->Take();
  for (const auto& [batch, server] : {std::pair{0, 0}, {0, 1}, {1, 0}, {2, 0}}) {
    dying->Push(*lease, batch, server);
  }
  dying.reset();
  ASSERT_TRUE(Becomes(0, "lost"));
  EXPECT_THAT(pushes_->evicted(), IsEmpty()) << "it is the chief that settles it";
  EXPECT_EQ(chief_->Await(Millis(0)).done, 1);
  EXPECT_EQ(StateOf(0), "evicted");
  EXPECT_THAT(pushes_->evicted(), ElementsAre(std::pair{0u, generation + 1}));
  std::thread other([&] {
    const auto worker = Worker(1);
    worker->Register();
    const auto rest = worker->Take();
    EXPECT_EQ(rest->begin, 1);
    EXPECT_THAT(rest->done, ElementsAre(2, 0));
    worker->Work(*rest);
    worker->Done(*rest);
    EXPECT_EQ(worker->WorkToTheEnd(), "");
  });
  EXPECT_EQ(AwaitComplete().done, 12);
  chief_->End("");
  other.join();
  pushes_->ExpectAll(12, 1);
  EXPECT_EQ(chief_->WorkerStates()[0].losses, 1u);
}

TEST_P(CoordinatorTest, ALaterLifeFencesAnEarlierOne) {
  Start({.lease_steps = 6, .farewell = Millis(20)});
  chief_->SetReady();
  chief_->Open(Batches(0, 6));
  const auto first = Worker(0);
  const uint64_t earlier = first->Register();
  const auto lease = first->Take();
  first->Push(*lease, 0, 0);
  first->Push(*lease, 0, 1);
  uint64_t later = 0;
  std::thread second([&] {
    const auto worker = Worker(0);
    later = worker->Register();
    EXPECT_THAT(pushes_->evicted(), ElementsAre(std::pair{0u, earlier + 1}))
        << "it is held until its earlier life is settled";
    EXPECT_EQ(worker->WorkToTheEnd(), "");
  });
  ASSERT_TRUE(Becomes(0, "registering"));
  EXPECT_THAT(ErrorOf<FailedPreconditionError>([&] { first->Done(*lease); }), HasSubstr("fenced"));
  EXPECT_EQ(AwaitComplete().done, 6);
  EXPECT_THAT(ErrorOf<FailedPreconditionError>([&] { first->client().Raise(1); }),
              HasSubstr("fenced"));
  EXPECT_THROW(first->Push(*lease, 1, 0), FailedPreconditionError);
  chief_->End("");
  EXPECT_EQ(first->Take(), std::nullopt) << "that it is over is told to anybody";
  second.join();
  EXPECT_GT(later, earlier);
  pushes_->ExpectAll(6, 1);
}

TEST_P(CoordinatorTest, AnEvictionThatFailsIsTriedAgain) {
  Start({});
  chief_->SetReady();
  chief_->Open(Batches(0, 6));
  const auto other = Worker(1);
  other->Register();
  auto dying = Worker(0);
  dying->Register();
  const auto lease = dying->Take();
  dying->Push(*lease, 0, 0);
  dying->Push(*lease, 0, 1);
  dying.reset();
  ASSERT_TRUE(Becomes(0, "lost"));
  chief_->SetEvict([](uint32_t, uint64_t) -> std::vector<int64_t> {
    throw UnavailableError("[test] a server is down");
  });
  EXPECT_THAT(ErrorOf<UnavailableError>([&] { chief_->Await(Millis(0)); }),
              HasSubstr("a server is down"));
  EXPECT_EQ(StateOf(0), "lost");
  chief_->SetEvict([this](uint32_t w, uint64_t g) { return pushes_->Evict(w, g); });
  EXPECT_EQ(chief_->Await(Millis(0)).done, 1);
  EXPECT_EQ(other->Take()->begin, 1);
}

// Workers die in the middle of what they do, and come back.
TEST_P(CoordinatorTest, EveryBatchIsPushedOnceWhoeverDies) {
  Start({.workers = 4, .lease_steps = 5}, 3);
  chief_->SetReady();
  std::atomic<int> deaths{0};
  const auto live = [&](uint32_t id) {
    std::mt19937 random(id);
    for (bool alive = false;;) {
      const auto worker = Worker(id);
      worker->Register();
      alive = true;
      while (const auto lease = worker->Take()) {
        for (int64_t i = 0; alive && i < lease->length(); ++i) {
          for (int s = 0; alive && s < pushes_->servers(); ++s) {
            alive = random() % 40 != 0;
            if (alive) worker->Push(*lease, i, s);
          }
        }
        if (!alive) break;
        worker->Done(*lease);
      }
      if (alive) return;
      ++deaths;
    }
  };
  std::vector<std::thread> threads;
  for (uint32_t w = 0; w < 4; ++w) threads.emplace_back(live, w);
  for (int64_t begin = 0; begin < 300; begin += 100) {
    chief_->Open(Batches(begin, begin + 100));
    EXPECT_EQ(AwaitComplete().done, 100);
  }
  chief_->End("");
  for (std::thread& t : threads) t.join();
  pushes_->ExpectAll(300, 1);
  EXPECT_GE(deaths, 5);
}

TEST_P(CoordinatorTest, InSharedStepsALostWorkerIsEvictedAfterItsGrace) {
  Start({.workers = 2, .mode = Mode::kShared, .lease_steps = 4, .grace = Millis(50)});
  chief_->SetReady();
  chief_->Open(Batches(0, 8));
  const auto stays = Worker(0);
  stays->Register();
  auto dying = Worker(1);
  const uint64_t generation = dying->Register();
  dying->Take();
  dying.reset();
  for (int i = 0; i < 2; ++i) {
    const auto lease = stays->Take();
    stays->Work(*lease);
    stays->Done(*lease);
  }
  EXPECT_EQ(AwaitComplete().done, 8);
  EXPECT_THAT(pushes_->evicted(), ElementsAre(std::pair{1u, generation + 1}));
  EXPECT_EQ(StateOf(1), "evicted");
  // It may come back, for what comes then.
  chief_->Open(Batches(8, 10));
  const auto back = Worker(1);
  EXPECT_GT(back->Register(8), generation);
  EXPECT_EQ(back->Take()->begin, 8);
}

TEST_P(CoordinatorTest, InSharedStepsANewLifeTakesThePlaceOfALostOne) {
  Start({.mode = Mode::kShared, .lease_steps = 4, .grace = Millis(60'000)});
  chief_->SetReady();
  chief_->Open(Batches(0, 4));
  auto dying = Worker(0);
  dying->Register();
  dying->Take();
  dying.reset();
  const auto again = Worker(0);
  again->Register(1);  // where the servers stand
  const auto lease = again->Take();
  EXPECT_EQ(lease->begin, 1);
  again->Done(*lease);
  EXPECT_EQ(AwaitComplete().done, 4);
  EXPECT_THAT(pushes_->evicted(), IsEmpty()) << "nobody need wait, and nobody is missed";
}

TEST_P(CoordinatorTest, AJobWithoutWorkersIsGivenUp) {
  Start({.workers = 2, .patience = Millis(30)});
  chief_->SetReady();
  chief_->Open(Batches(0, 4));
  {
    const auto worker = Worker(0);
    worker->Register();
    worker->Take();
  }
  const std::string error = ErrorOf<UnavailableError>([&] {
    for (;;) chief_->Await(Millis(20'000));
  });
  EXPECT_THAT(error, HasSubstr("/job:worker/task:0 was lost, /job:worker/task:1 never came"));
  const auto back = Worker(0);
  back->Register();
  EXPECT_EQ(back->Take()->begin, 0);
  EXPECT_FALSE(chief_->Await(Millis(0)).complete);
}

// A link that breaks without a goodbye.
class BrokenLink : public CoordinatorTest {
 protected:
  void Break(CoordinatorOptions options) {
    Start(options);
    chief_->SetReady();
    chief_->Open(Batches(0, 12));
    auto proxy = std::make_unique<Proxy>(chief_->address(),
                                         [](int, bool, std::vector<std::byte>&) {});
    // The first time by the link that will break.
    find_ = [direct = chief_->address(), by_link = proxy->address(), first = true]() mutable {
      return std::exchange(first, false) ? by_link : direct;
    };
    worker_ = Worker(0);
    generation_ = worker_->Register();
    lease_ = *worker_->Take();
    worker_->Push(lease_, 0, 0);
    worker_->Push(lease_, 0, 1);
    proxy.reset();
    ASSERT_TRUE(Becomes(0, "lost"));
  }
  std::unique_ptr<TestWorker> worker_;
  uint64_t generation_ = 0;
  Lease lease_;
};
INSTANTIATE_TEST_SUITE_P(Tcp, BrokenLink, testing::Values("tcp://127.0.0.1:0"));

TEST_P(BrokenLink, InSplitStepsTheWorkerGoesOnAsSomebodyNew) {
  Break({.lease_steps = 6});
  EXPECT_THAT(ErrorOf<FailedPreconditionError>([&] { worker_->Done(lease_); }),
              HasSubstr("fenced"));
  std::thread goes_on([&] {
    EXPECT_GT(worker_->Register(), generation_);
    EXPECT_EQ(worker_->WorkToTheEnd(), "");
    worker_.reset();
  });
  EXPECT_EQ(AwaitComplete().done, 12);
  chief_->End("");
  goes_on.join();
  pushes_->ExpectAll(12, 1);
}

TEST_P(BrokenLink, InSharedStepsItIsBackWithinItsGrace) {
  Break({.mode = Mode::kShared, .lease_steps = 6, .grace = Millis(60'000)});
  for (int i = 1; i < 6; ++i) {
    for (int s = 0; s < 2; ++s) worker_->Push(lease_, i, s);
  }
  worker_->Done(lease_);
  const auto next = worker_->Take();
  EXPECT_EQ(next->begin, 6);
  worker_->Work(*next);
  worker_->Done(*next);
  EXPECT_EQ(AwaitComplete().done, 12);
  EXPECT_THAT(pushes_->evicted(), IsEmpty());
  pushes_->ExpectAll(12, 1);
}

}  // namespace
}  // namespace tributary::coordinator
