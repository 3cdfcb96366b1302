// The coordinator and its clients over real carriers, threads as workers.

#include "tests/distribute/coordinator/coordinator_harness.h"

#include <atomic>

namespace tributary::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

INSTANTIATE_TEST_SUITE_P(Inproc, CoordinatorTest, testing::Values("inproc://"));
INSTANTIATE_TEST_SUITE_P(Tcp, CoordinatorTest, testing::Values("tcp://127.0.0.1:0"));

// --- Meeting -----------------------------------------------------------------------------

TEST_P(CoordinatorTest, ServersMeetHere) {
  Start({});
  const auto server = [&](uint32_t shard) {
    return std::make_unique<CoordinatorClient>(CoordinatorClientOptions{
        .hello = {.role = "ps", .task = shard}, .find = find_, .channel = {},
        .patience = Millis(20'000)});
  };
  const auto first = server(0);
  EXPECT_THAT(ErrorOf<UnavailableError>([&] { chief_->FindServer(0); }),
              HasSubstr("/job:ps/task:0"));
  const auto reply = first->RegisterServer(0, "tcp://a:1");
  EXPECT_EQ(reply.launch_id, chief_->launch_id());
  first->RegisterServer(0, "tcp://a:1");
  EXPECT_THAT(chief_->TakeRestarted(), IsEmpty()) << "the same life says it again";
  EXPECT_EQ(chief_->FindServer(0), "tcp://a:1");
  const std::string missing =
      ErrorOf<UnavailableError>([&] { chief_->WaitForServers(Millis(1)); });
  EXPECT_THAT(missing, HasSubstr("/job:ps/task:1"));
  EXPECT_THAT(missing, Not(HasSubstr("/job:ps/task:0")));
  EXPECT_THAT(ErrorOf<UnavailableError>([&] { first->FindServer(1); }), HasSubstr("task:1"));
  std::thread other([&] { server(1)->RegisterServer(1, "tcp://b:1"); });
  chief_->WaitForServers(Millis(20'000));
  other.join();
  const auto restarted = server(0);
  for (int i = 0; i < 2; ++i) restarted->RegisterServer(0, "tcp://a:2");
  EXPECT_THAT(chief_->TakeRestarted(), ElementsAre(0));
  EXPECT_THAT(chief_->TakeRestarted(), IsEmpty());
  EXPECT_THAT(first->FindServers(), ElementsAre("tcp://a:2", "tcp://b:1"));
  EXPECT_EQ(restarted->FindServer(0), "tcp://a:2");
  EXPECT_THROW(first->RegisterServer(2, "tcp://a:1"), InvalidArgumentError);
  EXPECT_THROW(first->RegisterServer(0, ""), InvalidArgumentError);
}

TEST_P(CoordinatorTest, RegistrationIsHeldUntilTheChiefIsReady) {
  Start({.workers = 2});
  std::atomic<bool> ready{false};
  std::vector<uint64_t> generations(2);
  std::vector<std::thread> threads;
  for (uint32_t w = 0; w < 2; ++w) {
    threads.emplace_back([&, w] {
      const auto worker = Worker(w);
      const auto reply = worker->client().RegisterWorker();
      EXPECT_TRUE(ready);
      EXPECT_EQ(reply.workers, 2);
      generations[w] = reply.generation;
    });
    EXPECT_TRUE(Becomes(w, "registering"));
  }
  ready = true;
  chief_->SetReady();
  for (std::thread& t : threads) t.join();
  EXPECT_NE(generations[0], generations[1]);
  EXPECT_GT(generations[0], 1'700'000'000'000u) << "above those of earlier launches";
}

TEST_P(CoordinatorTest, RefusesWhatDoesNotFit) {
  Start({});
  chief_->SetReady();
  EXPECT_THROW(Coordinator({.servers = 0}), InvalidArgumentError);
  const auto channel = Connect(chief_->address(), {.role = kWorkerRole, .task = 5});
  const auto call = [&](uint16_t kind, const std::string& control) {
    channel->Call(kind, 0, AsBytes(control), {}, {}, After(Millis(20'000)));
  };
  EXPECT_THROW(call(999, ""), UnimplementedError);
  for (const uint16_t kind : {kRegisterServer, kTake, kDone, kRaise}) {
    EXPECT_THROW(call(kind, ""), InvalidArgumentError) << kind;
  }
  EXPECT_THROW(call(kRegisterServer, "garbage"), InvalidArgumentError);
  EXPECT_THAT(ErrorOf<FailedPreconditionError>([&] { call(kTake, Pack(TakeControl{0})); }),
              HasSubstr("has not registered"));
  EXPECT_THROW(call(kRaise, Pack(RaiseControl{1})), FailedPreconditionError);
  const auto server = Connect(chief_->address(), {.role = "ps", .task = 5});
  EXPECT_THROW(server->Call(kRegisterWorker, 0, {}, {}, {}, After(Millis(20'000))),
               FailedPreconditionError);
}

// --- Steps -------------------------------------------------------------------------------

TEST_P(CoordinatorTest, LeasesCoverEachWindowOnce) {
  Start({.workers = 3, .lease_steps = 4});
  chief_->SetReady();
  std::vector<std::thread> threads;
  for (uint32_t w = 0; w < 3; ++w) {
    threads.emplace_back([&, w] {
      const auto worker = Worker(w);
      worker->Register();
      EXPECT_EQ(worker->WorkToTheEnd(), "");
    });
  }
  for (int64_t begin = 0; begin < 150; begin += 50) {
    chief_->Open(Batches(begin, begin + 50));
    EXPECT_EQ(AwaitComplete().done, 50);
    EXPECT_THAT(chief_->TakeFigures(), ElementsAre(50, 0.5 * 13));
    EXPECT_THAT(chief_->TakeFigures(), IsEmpty());
  }
  EXPECT_TRUE(chief_->Await(Millis(0)).complete) << "no window is open";
  chief_->End("");
  for (std::thread& t : threads) t.join();
  pushes_->ExpectAll(150, 1);
  int64_t steps = 0;
  for (const WorkerStatus& w : chief_->WorkerStates()) steps += w.steps;
  EXPECT_EQ(steps, 150);
  EXPECT_THAT(pushes_->evicted(), IsEmpty());
}

TEST_P(CoordinatorTest, SharedStepsAreDoneByAllAndEndTogether) {
  Start({.workers = 2, .mode = Mode::kShared, .lease_steps = 3});
  chief_->SetReady();
  std::vector<std::thread> threads;
  std::vector<int64_t> clocks(2);
  for (uint32_t w = 0; w < 2; ++w) {
    threads.emplace_back([&, w] {
      const auto worker = Worker(w);
      worker->Register();
      EXPECT_EQ(worker->WorkToTheEnd(), "");
      clocks[w] = worker->clock();
    });
  }
  ASSERT_TRUE(Becomes(0, "waiting") && Becomes(1, "waiting"));
  chief_->Open(Batches(0, 20));
  EXPECT_EQ(AwaitComplete().done, 20);
  EXPECT_THAT(chief_->TakeFigures(), ElementsAre(40, 7));
  chief_->Open(Batches(20, 1'000'000));
  EXPECT_GT(chief_->Await(Millis(20'000)).done, 0);
  chief_->Close();
  const int64_t last = 20 + AwaitComplete().done;
  chief_->End("");
  for (std::thread& t : threads) t.join();
  EXPECT_THAT(clocks, ElementsAre(last, last));
  pushes_->ExpectAll(last, 2);
}

TEST_P(CoordinatorTest, CloseEndsAWindowEarly) {
  Start({.lease_steps = 5});
  chief_->SetReady();
  chief_->Open(Batches(0, 100));
  const auto worker = Worker(0);
  worker->Register();
  const auto lease = worker->Take();
  worker->Work(*lease);
  chief_->Close();
  EXPECT_FALSE(chief_->Await(Millis(0)).complete);
  worker->Done(*lease);
  const auto progress = AwaitComplete();
  EXPECT_EQ(progress.done, 5);
  EXPECT_TRUE(progress.complete);
  pushes_->ExpectAll(5, 1);
}

TEST_P(CoordinatorTest, RequestsWakeTheChief) {
  Start({});
  chief_->SetReady();
  chief_->Open(Batches(0, 10));
  const auto worker = Worker(0);
  worker->Register();
  std::thread raise([&] { worker->client().Raise(2); });
  const auto begin = Clock::now();
  EXPECT_EQ(chief_->Await(Millis(600'000)).done, 0);
  EXPECT_LT(Clock::now() - begin, Millis(60'000));
  raise.join();
  worker->client().Raise(4);
  EXPECT_EQ(chief_->TakeRequests(), 6u);
  EXPECT_EQ(chief_->TakeRequests(), 0u);
}

TEST_P(CoordinatorTest, TellsOfItself) {
  Start({.lease_steps = 4});
  chief_->SetReady();
  chief_->Open(Batches(40, 100));
  const auto worker = Worker(3);
  const uint64_t generation = worker->Register();
  const auto lease = worker->Take();
  CoordinatorClient top({.hello = {.role = "top"}, .find = find_, .channel = {},
                         .patience = Millis(20'000)});
  top.RegisterServer(1, "tcp://b:1");
  StatusReply status = top.Status();
  EXPECT_EQ(status.job, "test");
  EXPECT_EQ(status.launch_id, chief_->launch_id());
  EXPECT_THAT(status.servers, ElementsAre("", "tcp://b:1"));
  EXPECT_TRUE(status.open);
  EXPECT_EQ(status.window.begin, 40);
  EXPECT_EQ(status.done, 0);
  ASSERT_THAT(status.workers, SizeIs(1));
  EXPECT_EQ(status.workers[0].id, 3u);
  EXPECT_EQ(status.workers[0].generation, generation);
  EXPECT_EQ(status.workers[0].state, "working");
  EXPECT_EQ(status.workers[0].lease.begin, 40);
  worker->Done(*lease);
  status = top.Status();
  EXPECT_EQ(status.workers[0].state, "waiting");
  EXPECT_EQ(status.workers[0].lease.id, 0u);
  EXPECT_EQ(status.workers[0].steps, 4);
  EXPECT_EQ(status.done, 4);
}

// --- The end -----------------------------------------------------------------------------

TEST_P(CoordinatorTest, TheEndReleasesEverybody) {
  Start({.workers = 2});
  chief_->SetReady();
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    const auto worker = Worker(0);
    worker->Register();
    EXPECT_EQ(worker->WorkToTheEnd(), "it broke");
  });
  threads.emplace_back([&] {
    CoordinatorClient server({.hello = {.role = "ps"}, .find = find_, .channel = {},
                              .patience = Millis(20'000)});
    server.RegisterServer(0, "tcp://a:1");
    EXPECT_EQ(server.AwaitEnd(), "it broke");
  });
  ASSERT_TRUE(Becomes(0, "waiting"));
  chief_->End("it broke");
  for (std::thread& t : threads) t.join();
  chief_->End("");  // the first word stands
  const auto late = Worker(1);
  late->Register();
  EXPECT_EQ(late->WorkToTheEnd(), "it broke");
}

TEST_P(CoordinatorTest, AChiefThatDisappearsIsNamedWithinThePatience) {
  Start({});
  chief_->SetReady();
  std::thread waits([&] {
    const auto worker = Worker(0, Millis(100));
    worker->Register();
    EXPECT_THAT(ErrorOf<UnavailableError>([&] { worker->Take(); }),
                HasSubstr("the chief of /job:worker/task:0 is lost"));
    EXPECT_THROW(Worker(1, Millis(20)), UnavailableError);
  });
  ASSERT_TRUE(Becomes(0, "waiting"));
  chief_.reset();
  waits.join();
}

}  // namespace
}  // namespace tributary::coordinator
