// Golden bytes: TensorFlow's own, see the comments of each test.

#include "core/base/errors.h"
#include "core/io/bundle_reader.h"
#include "core/io/bundle_writer.h"
#include "core/io/coding.h"
#include "core/io/crc32c.h"
#include "core/io/memory_env.h"
#include "core/io/fault_env.h"
#include "core/io/table.h"
#include "core/proto/checkpoint.pb.h"
#include "tests/core/io/hex.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class Bundle : public testing::Test {
 protected:
  void WriteSample(const std::string& prefix) {
    BundleWriter writer(&env_, prefix);
    writer.Add("w", Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2}));
    writer.Add("counter", Tensor(int64_t{7}));
    writer.Add("text", Tensor::FromVector<std::string>({"", "hello", std::string(300, 'x')}));
    writer.Add("empty", Tensor::Zeros(DType::kFloat32, {0, 5}));
    writer.Add("flags", Tensor::FromVector<uint8_t>({1, 2, 3}));
    writer.Finish();
  }
  // Rewrites one entry of an index.
  void EditEntry(const std::string& prefix, const std::string& key,
                 const std::function<void(proto::BundleEntryProto*)>& edit) {
    std::map<std::string, std::string> entries;
    ReadTable(ReadFile(&env_, prefix + ".index"), prefix,
              [&](std::string_view k, std::string_view v) { entries[std::string(k)] = v; });
    proto::BundleEntryProto entry;
    ASSERT_TRUE(entry.ParseFromString(entries.at(key)));
    edit(&entry);
    entries[key] = entry.SerializeAsString();
    TableBuilder table;
    for (const auto& [k, v] : entries) table.Add(k, v);
    env_.Overwrite(prefix + ".index", table.Finish());
  }
  MemoryEnv env_;
};

TEST_F(Bundle, IndexBytesAreLeveldbs) {
  // Checked with libleveldb.
  BundleWriter writer(&env_, "d/a");
  writer.Add("a", Tensor(0.5f));
  writer.Finish();
  EXPECT_EQ(ToHex(ReadFile(&env_, "d/a.index")),
            "00000608011a02080100010b61080112002804350638271f0000000001000000004505e1ca"
            "000000000100000000c0f2a1b000010262002000000000010000000030d3691c2508320e" +
                std::string(72, '0') + "57fb808b247547db");
  EXPECT_EQ(ToHex(ReadFile(&env_, "d/a.data-00000-of-00001")), "0000003f");
}

TEST_F(Bundle, ObjectBasedCheckpointMatchesItsGoldenBytes) {
  const std::string graph = FromHex(
      "0a1d0a0508011201770a100802120c736176655f636f756e7465722a0208010a3712310a0e5641524941424c45"
      "5f56414c55451201771a1c772f2e415454524942555445532f5641524941424c455f56414c55452a0208010a4d"
      "12470a0e5641524941424c455f56414c5545120c736176655f636f756e7465721a27736176655f636f756e7465"
      "722f2e415454524942555445532f5641524941424c455f56414c55452a020801");
  BundleWriter writer(&env_, "d/b");
  writer.Add("w/.ATTRIBUTES/VARIABLE_VALUE", Tensor::FromVector<float>({1, 2}));
  writer.Add("save_counter/.ATTRIBUTES/VARIABLE_VALUE", Tensor(int64_t{1}));
  writer.Add("_CHECKPOINTABLE_OBJECT_GRAPH", Tensor(graph));
  writer.Finish();
  const std::string data = ReadFile(&env_, "d/b.data-00000-of-00001");
  EXPECT_EQ(ToHex(data), "0000803f000000400100000000000000a7019c94f6ff" + ToHex(graph));
  const std::string index = ReadFile(&env_, "d/b.index");
  EXPECT_EQ(index.size(), 249u);
  EXPECT_EQ(Crc32c(index), 0x85209138u);
}

TEST_F(Bundle, RoundTripsEveryKind) {
  WriteSample("d/c");
  const BundleReader reader(&env_, "d/c");
  EXPECT_EQ(reader.tensors().size(), 5u);
  EXPECT_EQ(reader.Read("w").ToVector<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(reader.Read("counter").item<int64_t>(), 7);
  EXPECT_EQ(reader.Read("text").data<std::string>()[2], std::string(300, 'x'));
  EXPECT_EQ(reader.Read("empty").shape(), Shape({0, 5}));
  EXPECT_EQ(reader.tensors().at("w").dtype_name, "float32");
  EXPECT_EQ(reader.tensors().at("w").shape, Shape({2, 2}));
  EXPECT_NO_THROW(reader.VerifyAll());
  EXPECT_THAT([&] { reader.Read("countre"); },
              ThrowsMessage<NotFoundError>(HasSubstr("'counter'")));
}

TEST_F(Bundle, SeveralShardsAreOneBundle) {
  BundleWriter writer(&env_, "d/s", 3);
  for (int i = 0; i < 9; ++i) writer.Add(fmt::format("t{}", i), Tensor(i), i % 3);
  writer.Finish();
  EXPECT_THAT(env_.List("d"),
              testing::ElementsAre("s.data-00000-of-00003", "s.data-00001-of-00003",
                                   "s.data-00002-of-00003", "s.index"));
  const BundleReader reader(&env_, "d/s");
  EXPECT_EQ(reader.num_shards(), 3);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(reader.Read(fmt::format("t{}", i)).item<int32_t>(), i);
}

TEST_F(Bundle, AShardWithoutTensorsIsRefused) {
  {
    BundleWriter writer(&env_, "d/s", 2);
    writer.Add("a", Tensor(1));
    EXPECT_THROW(writer.Finish(), FailedPreconditionError);
  }
  EXPECT_TRUE(env_.List("d").empty());
}

TEST_F(Bundle, SliceKeysAreTensorFlows) {
  EXPECT_EQ(ToHex(EncodeSliceKey("w", {{0, 2}, {}})), "0077000101028082807f");
  EXPECT_EQ(ToHex(EncodeSliceKey("w", {{100, 5000}, {}})), "007700010102c064d388807f");
  EXPECT_EQ(ToHex(EncodeSliceKey("w", {{8192, -1}})), "007700010101e020007f");
}

TEST_F(Bundle, PartitionedVariablesAreReadWhole) {
  BundleWriter writer(&env_, "d/p", 2);
  writer.AddSlice("w", {4, 3}, {0, 0}, Tensor::FromVector<float>({0, 1, 2, 3, 4, 5}, {2, 3}), 0);
  writer.AddSlice("w", {4, 3}, {2, 0}, Tensor::FromVector<float>({6, 7, 8, 9, 10, 11}, {2, 3}), 1);
  writer.AddSlice("v", {2}, {0}, Tensor::FromVector<float>({5, 6}));  // not a slice at all
  writer.Finish();
  const BundleReader reader(&env_, "d/p");
  EXPECT_EQ(reader.tensors().size(), 2u);
  EXPECT_TRUE(reader.tensors().at("w").sliced);
  std::vector<float> expected(12);
  for (int i = 0; i < 12; ++i) expected[i] = i;
  EXPECT_EQ(reader.Read("w").ToVector<float>(), expected);
  EXPECT_EQ(reader.Read("v").ToVector<float>(), (std::vector<float>{5, 6}));
  EXPECT_NO_THROW(reader.VerifyAll());
  std::map<std::string, std::string> entries;
  ReadTable(ReadFile(&env_, "d/p.index"), "p",
            [&](std::string_view k, std::string_view v) { entries[std::string(k)] = v; });
  EXPECT_EQ(ToHex(entries.at("w")),
            "0801120812020804120208033a060a0210020a003a080a04080210020a00");
}

TEST_F(Bundle, SlicesMustTile) {
  BundleWriter writer(&env_, "d/p");
  writer.AddSlice("w", {4}, {0}, Tensor::FromVector<float>({0, 1}));
  EXPECT_THROW(writer.Finish(), InvalidArgumentError);
  EXPECT_THROW(writer.AddSlice("w", {4}, {3}, Tensor::FromVector<float>({0, 1})),
               InvalidArgumentError);
}

TEST_F(Bundle, OverlappingSlicesAreSeenOnReading) {
  BundleWriter writer(&env_, "d/p");
  writer.AddSlice("w", {4}, {0}, Tensor::FromVector<float>({0, 1}));
  writer.AddSlice("w", {4}, {1}, Tensor::FromVector<float>({0, 1}));
  writer.Finish();
  const BundleReader reader(&env_, "d/p");
  EXPECT_THROW(reader.Read("w"), DataLossError);
}

TEST_F(Bundle, APrefixIsNeverWrittenTwice) {
  WriteSample("d/c");
  EXPECT_THROW(BundleWriter(&env_, "d/c"), AlreadyExistsError);
  BundleWriter writer(&env_, "d/e");
  writer.Add("a", Tensor(1));
  EXPECT_THROW(writer.Add("a", Tensor(2)), InvalidArgumentError);
}

TEST_F(Bundle, AnUnfinishedWriterLeavesNothing) {
  {
    BundleWriter writer(&env_, "d/u");
    writer.Add("a", Tensor(1));
  }
  EXPECT_TRUE(env_.List("d").empty());
}

TEST_F(Bundle, EveryFlippedBitOfTheDataIsSeenAndNamed) {
  WriteSample("d/c");
  const std::string path = "d/c.data-00000-of-00001";
  const std::string data = ReadFile(&env_, path);
  for (size_t bit = 0; bit < data.size() * 8; ++bit) {
    std::string broken = data;
    broken[bit / 8] ^= 1 << (bit % 8);
    env_.Overwrite(path, broken);
    const BundleReader reader(&env_, "d/c");
    EXPECT_THAT([&] { reader.VerifyAll(); }, ThrowsMessage<DataLossError>(HasSubstr(path))) << bit;
  }
}

TEST_F(Bundle, EveryTruncationIsSeenAndNamed) {
  WriteSample("d/c");
  for (const std::string path : {"d/c.data-00000-of-00001", "d/c.index"}) {
    const std::string whole = ReadFile(&env_, path);
    for (size_t size = 0; size < whole.size(); ++size) {
      env_.Overwrite(path, whole.substr(0, size));
      EXPECT_THAT([&] { BundleReader(&env_, "d/c").VerifyAll(); },
                  ThrowsMessage<DataLossError>(HasSubstr(path)))
          << size;
    }
    env_.Overwrite(path, whole);
  }
}

TEST_F(Bundle, AMissingDataFileIsNamed) {
  WriteSample("d/c");
  env_.Remove("d/c.data-00000-of-00001");
  const BundleReader reader(&env_, "d/c");
  EXPECT_THAT([&] { reader.VerifyAll(); },
              ThrowsMessage<DataLossError>(HasSubstr("data-00000-of-00001 is missing")));
  EXPECT_THROW(BundleReader(&env_, "d/none"), NotFoundError);
}

TEST_F(Bundle, HostileEntriesAreRefused) {
  using Entry = proto::BundleEntryProto;
  const std::vector<std::pair<const char*, std::function<void(Entry*)>>> edits = {
      {"negative dimension", [](Entry* e) { e->mutable_shape()->mutable_dim(0)->set_size(-5); }},
      {"unknown dimension", [](Entry* e) { e->mutable_shape()->mutable_dim(0)->set_size(-1); }},
      {"unknown rank", [](Entry* e) { e->mutable_shape()->set_unknown_rank(true); }},
      {"product overflows",
       [](Entry* e) {
         for (auto& d : *e->mutable_shape()->mutable_dim()) d.set_size(int64_t{1} << 33);
       }},
      {"size disagrees", [](Entry* e) { e->set_size(12); }},
      {"huge", [](Entry* e) {
         e->mutable_shape()->mutable_dim(0)->set_size(int64_t{1} << 30);
         e->set_size(int64_t{1} << 33);
       }},
      {"negative size", [](Entry* e) { e->set_size(-16); }},
      {"negative offset", [](Entry* e) { e->set_offset(-1); }},
      {"offset wraps", [](Entry* e) { e->set_offset(INT64_MAX - 3); }},
      {"shard", [](Entry* e) { e->set_shard_id(1); }},
      {"negative shard", [](Entry* e) { e->set_shard_id(-1); }},
      {"dtype confusion", [](Entry* e) { e->set_dtype(proto::DT_STRING); }},
      {"slice that is not there", [](Entry* e) { e->add_slices()->add_extent(); }},
      {"slice outside", [](Entry* e) {
         auto* slice = e->add_slices();
         slice->add_extent()->set_start(-4);
         slice->add_extent()->set_length(INT64_MAX);
       }},
      {"too many dimensions", [](Entry* e) {
         for (int i = 0; i < 300; ++i) e->mutable_shape()->add_dim()->set_size(1);
       }},
  };
  for (const auto& [what, edit] : edits) {
    const std::string prefix = fmt::format("d/h-{}", what);
    WriteSample(prefix);
    EditEntry(prefix, "w", edit);
    EXPECT_THROW(BundleReader(&env_, prefix).VerifyAll(), DataLossError) << what;
  }
}

TEST_F(Bundle, ForeignDtypesAreListedAndVerifiedButNotRead) {
  WriteSample("d/c");
  EditEntry("d/c", "flags", [](auto* e) {
    e->set_dtype(proto::DT_UINT16);
    e->mutable_shape()->mutable_dim(0)->set_size(7);
  });
  const BundleReader reader(&env_, "d/c");
  EXPECT_EQ(reader.tensors().at("flags").dtype_name, "DT_UINT16");
  EXPECT_NO_THROW(reader.VerifyAll());
  EXPECT_THAT([&] { reader.Read("flags"); },
              ThrowsMessage<UnimplementedError>(HasSubstr("DT_UINT16")));
}

TEST_F(Bundle, BigEndianDataIsSwapped) {
  const std::string data("\0\0\0\2", 4);
  env_.Overwrite("d/b.data-00000-of-00001", data);
  proto::BundleHeaderProto header;
  header.set_num_shards(1);
  header.set_endianness(proto::BundleHeaderProto::BIG);
  proto::BundleEntryProto entry;
  entry.set_dtype(proto::DT_INT32);
  entry.mutable_shape();
  entry.set_size(4);
  entry.set_crc32c(MaskCrc(Crc32c(data)));
  TableBuilder table;
  table.Add("", header.SerializeAsString());
  table.Add("x", entry.SerializeAsString());
  env_.Overwrite("d/b.index", table.Finish());
  EXPECT_EQ(BundleReader(&env_, "d/b").Read("x").item<int32_t>(), 2);
}

TEST_F(Bundle, AFutureVersionIsRefused) {
  proto::BundleHeaderProto header;
  header.set_num_shards(1);
  header.mutable_version()->set_producer(9);
  header.mutable_version()->set_min_consumer(2);
  TableBuilder table;
  table.Add("", header.SerializeAsString());
  env_.Overwrite("d/f.index", table.Finish());
  EXPECT_THROW(BundleReader(&env_, "d/f"), UnimplementedError);
}

// A failure of any file operation leaves no temporary and no half bundle; after
// a power cut at any of them, the bundle is there as a whole or not at all.
TEST_F(Bundle, EveryFailingCallLeavesTheOldStateOrTheNew) {
  FaultEnv faults(&env_);
  const auto write = [&] {
    BundleWriter writer(&faults, "d/x", 2);
    writer.Add("a", Tensor(1), 0);
    writer.Add("b", Tensor(2), 1);
    writer.Finish();
  };
  const auto clear = [&] {
    for (const std::string& name : env_.List("d")) env_.Remove("d/" + name);
  };
  faults.FailNothing();
  write();
  const int calls = faults.calls();
  ASSERT_GT(calls, 10);
  for (const Code code : {Code::kResourceExhausted, Code::kDataLoss}) {
    for (int i = 0; i < calls; ++i) {
      clear();
      faults.FailAt(i, code);
      EXPECT_THROW(write(), Error) << i;
      if (env_.Exists("d/x.index")) {
        EXPECT_NO_THROW(BundleReader(&env_, "d/x").VerifyAll()) << i;
        EXPECT_EQ(env_.List("d").size(), 3u) << i;
      } else {
        EXPECT_TRUE(env_.List("d").empty()) << i;
      }
    }
  }
  for (int i = 0; i <= calls; ++i) {
    clear();
    env_.SyncDir("d");
    faults.FailAt(i, Code::kUnavailable, /*from_then_on=*/true);
    bool acknowledged = true;
    try {
      write();
    } catch (const Error&) {
      acknowledged = false;
    }
    env_.LoseUnsynced();
    if (acknowledged || env_.Exists("d/x.index")) {
      EXPECT_NO_THROW(BundleReader(&env_, "d/x").VerifyAll()) << i;
    }
  }
}

}  // namespace
}  // namespace tributary
