// One checkpoint by several writers.

#include "core/io/bundle_shard.h"

#include "core/base/errors.h"
#include "core/io/bundle_reader.h"
#include "core/io/memory_env.h"

namespace tributary {
namespace {

TEST(BundleShard, WholeTensorsRowsAndConcatenationsComeTogether) {
  MemoryEnv env;
  const Tensor words = Tensor::FromVector<std::string>({"", "hello", std::string(300, 'x')});
  std::vector<std::string> entries;
  for (int shard = 0; shard < 2; ++shard) {
    BundleShardWriter writer(&env, "ckpt", shard, 3);
    writer.AddRows("kernel", {3, 2},
                   shard == 0 ? 0 : 2,
                   shard == 0 ? Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2})
                              : Tensor::FromVector<float>({5, 6}, {1, 2}));
    writer.AddConcatenated("ids", shard == 0 ? Tensor::FromVector<int64_t>({7})
                                             : Tensor::FromVector<int64_t>({8, 9}));
    entries.push_back(writer.Finish());
  }
  BundleShardWriter last(&env, "ckpt", 2, 3);
  last.Add("words", words);
  last.Add("step", Tensor(int64_t{12}));
  entries.push_back(last.Finish());
  CommitBundleShards(&env, "ckpt", entries);
  const BundleReader reader(&env, "ckpt");
  reader.VerifyAll();
  EXPECT_EQ(reader.Read("kernel").ToVector<float>(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(reader.Read("ids").ToVector<int64_t>(), (std::vector<int64_t>{7, 8, 9}));
  EXPECT_EQ(reader.Read("words").ToVector<std::string>(), words.ToVector<std::string>());
  EXPECT_EQ(reader.Read("step").item<int64_t>(), 12);
}

TEST(BundleShard, WithoutTheCommitThereIsNothing) {
  MemoryEnv env;
  BundleShardWriter writer(&env, "ckpt", 0, 2);
  writer.Add("x", Tensor(1.0f));
  const std::string entries = writer.Finish();
  EXPECT_THROW(BundleReader(&env, "ckpt"), NotFoundError);
  EXPECT_THROW(CommitBundleShards(&env, "ckpt", {entries}), InvalidArgumentError);
  EXPECT_THROW(CommitBundleShards(&env, "ckpt", {entries, entries}), InvalidArgumentError);
  EXPECT_THROW(CommitBundleShards(&env, "ckpt", {entries, "torn"}), InvalidArgumentError);
}

}  // namespace
}  // namespace tributary
