// Who does which steps, without any transport.

#include "distribute/coordinator/step_board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "core/base/errors.h"

namespace tributary::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Window kTen{.epoch = 3, .begin = 20, .end = 30, .first_step = 120};

// "20-24@120", "20-24@120 done 1,0" or "none".
std::string Text(const std::optional<Lease>& lease) {
  if (!lease) return "none";
  std::string text = fmt::format("{}-{}@{}", lease->begin, lease->end, lease->first_step);
  for (size_t s = 0; s < lease->done.size(); ++s) {
    text += fmt::format("{}{}", s ? "," : " done ", lease->done[s]);
  }
  return text;
}

void Lose(StepBoard* board, uint32_t worker, std::vector<int64_t> clocks) {
  board->Lost(worker, clocks);
}

TEST(StepBoardSplit, HandsOutInOrderAndCompletes) {
  StepBoard board(Mode::kSplit, 1, 4);
  EXPECT_TRUE(board.complete());
  board.Join(0);
  board.Join(1);
  EXPECT_EQ(Text(board.Take(0, 0)), "none") << "no window is open";
  board.Open(kTen);
  EXPECT_TRUE(board.open());
  const auto a = board.Take(0, 0), b = board.Take(1, 0);
  EXPECT_EQ(Text(a), "20-24@120");
  EXPECT_EQ(a->epoch, 3);
  EXPECT_EQ(Text(b), "24-28@124");
  EXPECT_NE(a->id, b->id);
  EXPECT_EQ(board.Done(1, b->id), 4);
  EXPECT_EQ(board.done(), 4);
  const auto c = board.Take(1, 4);
  EXPECT_EQ(Text(c), "28-30@128") << "cut to the window";
  board.Done(0, a->id);
  EXPECT_EQ(Text(board.Take(0, 4)), "none");
  EXPECT_FALSE(board.complete()) << "worker 1 has the last";
  board.Done(1, c->id);
  EXPECT_TRUE(board.complete());
  EXPECT_EQ(board.done(), 10);
  board.Open({.epoch = 4, .begin = 0, .end = 1, .first_step = 130});
  EXPECT_EQ(board.done(), 0);
  EXPECT_EQ(Text(board.Take(0, 4)), "0-1@130");
}

TEST(StepBoardSplit, AnEmptyWindowIsComplete) {
  StepBoard board(Mode::kSplit, 1, 4);
  board.Open({.epoch = 0, .begin = 5, .end = 5, .first_step = 5});
  EXPECT_TRUE(board.complete());
}

TEST(StepBoardSplit, WhatIsSaidAgainChangesNothing) {
  StepBoard board(Mode::kSplit, 1, 4);
  board.Join(0);
  board.Open(kTen);
  const auto first = board.Take(0, 7), again = board.Take(0, 7);
  EXPECT_EQ(first->id, again->id);
  EXPECT_THROW(board.Take(0, 8), FailedPreconditionError) << "the lease is not done";
  EXPECT_EQ(board.Done(0, first->id), 4);
  EXPECT_EQ(board.Done(0, first->id), 0);
  EXPECT_EQ(board.done(), 4);
  EXPECT_THROW(board.Done(0, 99), FailedPreconditionError);
  EXPECT_THROW(board.Done(0, 0), FailedPreconditionError);
}

TEST(StepBoardSplit, RefusesWhatDoesNotFit) {
  EXPECT_THROW(StepBoard(Mode::kSplit, 0, 4), InvalidArgumentError);
  EXPECT_THROW(StepBoard(Mode::kSplit, 1, 0), InvalidArgumentError);
  StepBoard board(Mode::kSplit, 2, 4);
  EXPECT_THROW(board.Open({.epoch = 0, .begin = 5, .end = 4, .first_step = 0}),
               InvalidArgumentError);
  board.Open(kTen);
  try {
    board.Open(kTen);
    ADD_FAILURE();
  } catch (const FailedPreconditionError& e) {
    EXPECT_THAT(e.what(), HasSubstr("batches 20 to 30 of epoch 3 are not complete"));
  }
  EXPECT_THROW(board.Take(0, 0), FailedPreconditionError);
  board.Join(0);
  board.Take(0, 0);
  EXPECT_THROW(board.Join(0), FailedPreconditionError) << "its lease would be lost";
  EXPECT_THROW(Lose(&board, 0, {1}), InvalidArgumentError);
  EXPECT_THROW(Lose(&board, 1, {0, 0}), FailedPreconditionError);
  EXPECT_NE(board.LeaseOf(0), nullptr) << "nothing was changed by what was refused";
}

TEST(StepBoardSplit, CloseEndsWithWhatIsUnderWay) {
  StepBoard board(Mode::kSplit, 1, 4);
  board.Join(0);
  board.Join(1);
  board.Open(kTen);
  const auto a = board.Take(0, 0);
  board.Close();
  EXPECT_EQ(Text(board.Take(1, 0)), "none");
  EXPECT_FALSE(board.complete());
  // What a lost worker had is still done by another, or its batches would be half done.
  Lose(&board, 0, {1});
  EXPECT_FALSE(board.complete());
  const auto b = board.Take(1, 0);
  EXPECT_EQ(Text(b), "21-24@121");
  board.Done(1, b->id);
  EXPECT_TRUE(board.complete());
  EXPECT_EQ(board.done(), 4);
  board.Open({.epoch = 3, .begin = 24, .end = 30, .first_step = 124});
  EXPECT_EQ(Text(board.Take(1, 4)), "24-28@124");
  StepBoard idle(Mode::kSplit, 1, 4);
  idle.Open(kTen);
  idle.Close();
  EXPECT_TRUE(idle.complete());
}

TEST(StepBoardSplit, ALostLeaseIsHandedOutFirstAndKnowsWhatWasPushed) {
  StepBoard board(Mode::kSplit, 3, 4);
  for (const uint32_t w : {0, 1, 2}) board.Join(w);
  board.Open(kTen);
  const auto a = board.Take(0, 50);
  // Two on server 0, three on 1, one on 2: one is on all of them.
  Lose(&board, 0, {52, 53, 51});
  EXPECT_EQ(board.done(), 1);
  EXPECT_THROW(board.Done(0, a->id), FailedPreconditionError) << "it is gone";
  const auto b = board.Take(1, 7);
  EXPECT_EQ(Text(b), "21-24@121 done 1,2,0");
  EXPECT_NE(b->id, a->id);
  EXPECT_EQ(Text(board.Take(2, 0)), "24-28@124");
  EXPECT_EQ(board.Done(1, b->id), 3);
  EXPECT_EQ(board.done(), 4);
}

TEST(StepBoardSplit, AReissuedLeaseMayBeLostAgain) {
  StepBoard board(Mode::kSplit, 2, 4);
  for (const uint32_t w : {0, 1, 2}) board.Join(w);
  board.Open(kTen);
  board.Take(0, 0);
  Lose(&board, 0, {3, 0});
  EXPECT_EQ(Text(board.Take(1, 10)), "20-24@120 done 3,0");
  // It has passed one batch on both servers, skipping it on server 0, and a second on 1.
  Lose(&board, 1, {11, 12});
  EXPECT_EQ(board.done(), 2);
  EXPECT_EQ(Text(board.Take(2, 20)), "22-24@122 done 1,0");
  // Nothing of it: the same again.
  Lose(&board, 2, {20, 20});
  board.Join(2);
  EXPECT_EQ(Text(board.Take(2, 20)), "22-24@122 done 1,0");
  // All of it, though it could not say so.
  Lose(&board, 2, {22, 22});
  EXPECT_EQ(board.done(), 4);
  board.Join(2);
  EXPECT_EQ(Text(board.Take(2, 0)), "24-28@124");
}

TEST(StepBoardSplit, ClocksOfAWorkerThatNeverPushedCountAsNothing) {
  StepBoard board(Mode::kSplit, 2, 4);
  board.Join(0);
  board.Open(kTen);
  board.Take(0, 5);
  Lose(&board, 0, {0, 900});  // absurd ones are clamped
  board.Join(0);
  EXPECT_EQ(Text(board.Take(0, 5)), "20-24@120 done 0,4");
}

TEST(StepBoardSplit, AWorkerWithoutALeaseIsNotMissed) {
  StepBoard board(Mode::kSplit, 2, 100);
  board.Join(0);
  board.Join(1);
  board.Open(kTen);
  const auto a = board.Take(0, 0);
  Lose(&board, 1, {});
  board.Done(0, a->id);
  EXPECT_TRUE(board.complete());
}

// Random workers, losses in the middle of pushes, windows and closes: every batch that
// was handed out is pushed exactly once to each server, in a window's order of leases.
TEST(StepBoardSplit, EveryBatchIsPushedOnceToEachServer) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % n); };
    const int servers = 1 + static_cast<int>(below(3));
    StepBoard board(Mode::kSplit, servers, 1 + below(6));
    struct Sim {
      std::vector<int64_t> clocks;  // on each server
      std::optional<Lease> lease;
      int64_t taken_at = 0;
    };
    std::map<uint32_t, Sim> workers;
    int64_t begin = 0;
    for (int window = 0; window < 4; ++window) {
      const int64_t end = begin + below(40);
      board.Open({.epoch = 1, .begin = begin, .end = end, .first_step = 1000 + begin});
      std::vector<std::map<int64_t, int>> pushed(servers);
      const int64_t close_at = below(4) ? -1 : below(60);
      for (int64_t round = 0; board.open(); ++round) {
        ASSERT_LT(round, 100'000);
        if (round == close_at) board.Close();
        const auto id = static_cast<uint32_t>(below(4));
        if (!workers.contains(id)) {  // comes (back), with any clock of its own
          board.Join(id);
          workers[id].clocks.assign(servers, below(100));
          continue;
        }
        Sim& w = workers[id];
        if (below(25) == 0) {
          board.Lost(id, w.clocks);
          workers.erase(id);
        } else if (!w.lease) {
          w.taken_at = w.clocks[0];
          w.lease = board.Take(id, w.taken_at);
          if (w.lease) { ASSERT_EQ(w.lease->first_step, 1000 + w.lease->begin); }
        } else if (const auto s = below(servers);
                   w.clocks[s] - w.taken_at < w.lease->length()) {
          const int64_t batch = w.clocks[s]++ - w.taken_at;  // servers at paces of their own
          if (w.lease->done.empty() || batch >= w.lease->done[s]) {
            ++pushed[s][w.lease->begin + batch];
          }
        } else if (*std::min_element(w.clocks.begin(), w.clocks.end()) - w.taken_at ==
                   w.lease->length()) {
          ASSERT_EQ(board.Done(id, w.lease->id), w.lease->length());
          w.lease.reset();
        }
      }
      if (close_at < 0) { ASSERT_EQ(board.done(), end - begin); }
      for (const auto& server : pushed) {
        ASSERT_EQ(static_cast<int64_t>(server.size()), board.done()) << seed;
        for (const auto& [batch, times] : server) ASSERT_EQ(times, 1) << seed << " " << batch;
        if (!server.empty()) { ASSERT_EQ(server.rbegin()->first, begin + board.done() - 1); }
      }
      begin += board.done();
    }
  }
}

// --- Shared ------------------------------------------------------------------------------

TEST(StepBoardShared, AllDoAll) {
  StepBoard board(Mode::kShared, 2, 4);
  board.Join(0);
  board.Join(1);
  board.Open(kTen);
  std::vector<std::string> had[2];
  int64_t clock[2] = {120, 120};
  for (const int w : {0, 0, 1, 0, 1, 1}) {
    const auto lease = board.Take(w, clock[w]);
    had[w].push_back(Text(lease));
    EXPECT_TRUE(lease->done.empty());
    clock[w] += board.Done(w, lease->id);
    if (had[1].empty()) { EXPECT_EQ(board.done(), 0); }
  }
  EXPECT_EQ(had[0], had[1]);
  EXPECT_THAT(had[0], ElementsAre("20-24@120", "24-28@124", "28-30@128"));
  EXPECT_TRUE(board.complete());
  EXPECT_EQ(board.done(), 10);
  EXPECT_EQ(Text(board.Take(0, 130)), "none");
  board.Open({.epoch = 4, .begin = 0, .end = 3, .first_step = 130});
  EXPECT_EQ(Text(board.Take(0, 130)), "0-3@130");
}

TEST(StepBoardShared, CountsWhatTheSlowestHasDone) {
  StepBoard board(Mode::kShared, 1, 5);
  board.Join(0);
  board.Join(1);
  board.Open(kTen);
  board.Done(0, board.Take(0, 120)->id);
  EXPECT_EQ(board.done(), 0);
  const auto b = board.Take(1, 120);
  board.Done(0, board.Take(0, 125)->id);
  EXPECT_EQ(Text(board.Take(0, 130)), "none");
  EXPECT_FALSE(board.complete());
  board.Done(1, b->id);
  EXPECT_EQ(board.done(), 5);
}

TEST(StepBoardShared, CloseStopsAllAtTheSameBatch) {
  StepBoard board(Mode::kShared, 1, 4);
  board.Join(0);
  board.Join(1);
  board.Open(kTen);
  const auto a = board.Take(0, 120);
  board.Close();
  EXPECT_FALSE(board.complete());
  EXPECT_EQ(board.Done(0, a->id), 4);
  EXPECT_EQ(Text(board.Take(0, 124)), "none");
  const auto b = board.Take(1, 121);
  EXPECT_EQ(Text(b), "21-24@121");
  board.Done(1, b->id);
  EXPECT_TRUE(board.complete());
  EXPECT_EQ(board.done(), 4);
}

TEST(StepBoardShared, WithoutAWorkerItIsNotComplete) {
  StepBoard board(Mode::kShared, 1, 16);
  board.Open(kTen);
  EXPECT_FALSE(board.complete());
  board.Join(0);
  EXPECT_FALSE(board.complete());
  const auto a = board.Take(0, 120);
  Lose(&board, 0, {});
  EXPECT_FALSE(board.complete());
  board.Join(0);
  board.Join(1);
  EXPECT_EQ(Text(board.Take(1, 127)), "27-30@127") << "it joined where the servers stand";
  board.Done(1, board.LeaseOf(1)->id);
  EXPECT_FALSE(board.complete());
  Lose(&board, 0, {});
  EXPECT_TRUE(board.complete()) << "the others have done it";
  EXPECT_THROW(board.Done(0, a->id), FailedPreconditionError);
}

TEST(StepBoardShared, ANewLifeGoesOnWhereItStands) {
  StepBoard board(Mode::kShared, 1, 4);
  board.Join(0);
  board.Open(kTen);
  board.Done(0, board.Take(0, 120)->id);
  board.Take(0, 124);
  board.Join(0);
  EXPECT_EQ(board.LeaseOf(0), nullptr);
  EXPECT_EQ(board.done(), 4);
  EXPECT_EQ(Text(board.Take(0, 126)), "26-30@126");
  board.Join(0);
  EXPECT_THROW(board.Take(0, 119), FailedPreconditionError) << "before the window";
  EXPECT_EQ(Text(board.Take(0, 130)), "none");
  EXPECT_TRUE(board.complete());
}

}  // namespace
}  // namespace tributary::coordinator
