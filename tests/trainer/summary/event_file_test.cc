#include "trainer/summary/event_file.h"

#include "core/base/errors.h"
#include "core/io/fault_env.h"
#include "core/io/memory_env.h"
#include "core/proto/event.pb.h"
#include "trainer/summary/summary_writer.h"

namespace tributary {
namespace {

std::vector<proto::Event> ReadEvents(Env* env, const std::string& path) {
  EventFileReader reader(env, path);
  std::vector<proto::Event> events(1);
  while (reader.Read(&events.back())) events.emplace_back();
  EXPECT_FALSE(reader.torn());
  events.pop_back();
  return events;
}

EventFileOptions In(Env* env) { return {.directory = "logs/train", .env = env}; }

TEST(EventFile, StartsWithTheVersion) {
  MemoryEnv env;
  EventFileWriter writer(In(&env));
  EXPECT_THAT(writer.path(), testing::MatchesRegex(
                                 "logs/train/events\\.out\\.tfevents\\.[0-9]{10}\\..*\\.v2"));
  const auto events = ReadEvents(&env, writer.path());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_GT(events[0].wall_time(), 1.6e9);
}

TEST(EventFile, ALaterFileHasALaterName) {
  MemoryEnv env;
  std::vector<std::string> paths;
  for (int i = 0; i < 5; ++i) paths.push_back(EventFileWriter(In(&env)).path());
  EXPECT_EQ(ListEventFiles(&env, "logs/train"), paths);
}

TEST(EventFile, KeepsTheOrderAndFlushesOnRequest) {
  MemoryEnv env;
  EventFileWriter writer(In(&env));
  for (int i = 0; i < 5000; ++i) {
    writer.Write([i](proto::Event* event) { event->set_step(i); });
  }
  writer.Flush();
  const auto events = ReadEvents(&env, writer.path());
  ASSERT_EQ(events.size(), 5001u);
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(events[i + 1].step(), i);
  writer.Close();
  writer.Write([](proto::Event*) {});  // ignored
}

TEST(EventFile, TheDestructorWritesWhatIsQueued) {
  MemoryEnv env;
  std::string path;
  {
    EventFileWriter writer(In(&env));
    path = writer.path();
    writer.Write([](proto::Event* event) { event->set_step(3); });
  }
  EXPECT_EQ(ReadEvents(&env, path).back().step(), 3);
}

TEST(EventFile, ManyThreadsMayWrite) {
  MemoryEnv env;
  EventFileOptions options = In(&env);
  options.max_queue = 16;
  EventFileWriter writer(options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) writer.Write([](proto::Event* e) { e->set_step(1); });
    });
  }
  for (std::thread& t : threads) t.join();
  writer.Flush();
  EXPECT_EQ(ReadEvents(&env, writer.path()).size(), 2001u);
}

TEST(EventFile, AFailingDiskDropsEventsAndNothingElse) {
  MemoryEnv base;
  FaultEnv env(&base);
  EventFileWriter writer(In(&env));
  env.FailAt(0, Code::kResourceExhausted, /*from_then_on=*/true);
  for (int i = 0; i < 10; ++i) writer.Write([](proto::Event* e) { e->set_step(1); });
  writer.Flush();
  EXPECT_EQ(writer.dropped(), 10);
  writer.Write([](proto::Event*) {});
  writer.Flush();
  EXPECT_EQ(writer.dropped(), 11);
}

TEST(EventFile, AnEventThatCantBeMadeIsDroppedAlone) {
  MemoryEnv env;
  EventFileWriter writer(In(&env));
  writer.Write([](proto::Event*) { throw InternalError("no"); });
  writer.Write([](proto::Event* e) { e->set_step(2); });
  writer.Flush();
  EXPECT_EQ(writer.dropped(), 1);
  EXPECT_EQ(ReadEvents(&env, writer.path()).back().step(), 2);
}

TEST(EventFile, ATornTailIsToldFromCorruption) {
  MemoryEnv env;
  std::string path;
  {
    EventFileWriter writer(In(&env));
    path = writer.path();
    writer.Write([](proto::Event* e) { e->set_step(5); });
  }
  const std::string bytes = ReadFile(&env, path);
  env.Overwrite(path, bytes.substr(0, bytes.size() - 1));
  EventFileReader reader(&env, path);
  proto::Event event;
  EXPECT_TRUE(reader.Read(&event));
  EXPECT_FALSE(reader.Read(&event));
  EXPECT_TRUE(reader.torn());
  std::string broken = bytes;
  broken.back() ^= 1;
  env.Overwrite(path, broken);
  EventFileReader second(&env, path);
  EXPECT_TRUE(second.Read(&event));
  EXPECT_THROW(second.Read(&event), DataLossError);
}

}  // namespace
}  // namespace tributary
