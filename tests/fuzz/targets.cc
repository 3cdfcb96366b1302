#include "tests/fuzz/targets.h"

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/io/bundle_reader.h"
#include "core/io/bundle_writer.h"
#include "core/io/coding.h"
#include "core/io/crc32c.h"
#include "core/io/memory_env.h"
#include "core/io/record.h"
#include "core/io/snappy.h"
#include "core/io/table.h"
#include "core/proto/event.pb.h"
#include "core/proto/tensor.pb.h"
#include "core/tensor/npy.h"
#include "core/tensor/proto.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_state.h"
#include "trainer/summary/event_file.h"

namespace tributary::fuzz {
namespace {

constexpr const char* kPrefix = "d/c";
constexpr const char* kIndex = "d/c.index";
constexpr const char* kData = "d/c.data-00000-of-00001";

TrackablePtr Model() {
  const auto root = Trackable::Container();
  root->Add("model/dense/kernel",
            Trackable::Variable("dense/kernel", Tensor::Zeros(DType::kFloat32, {2, 2})));
  root->Add("save_counter", Trackable::Variable("save_counter", Tensor(int64_t{1})));
  return root;
}

// A directory with one whole checkpoint: variables, strings and slices.
void WriteSample(MemoryEnv* env) {
  BundleWriter writer(env, kPrefix);
  for (const TrackedVariable& v : ListVariables(Model())) writer.Add(v.key, v.node->tensor);
  writer.Add("text", Tensor::FromVector<std::string>({"", "abc", std::string(200, 'x')}));
  writer.AddSlice("part", {4}, {0}, Tensor::FromVector<float>({1, 2}));
  writer.AddSlice("part", {4}, {2}, Tensor::FromVector<float>({3, 4}));
  writer.Add("_CHECKPOINTABLE_OBJECT_GRAPH", Tensor(SerializeObjectGraph(Model())));
  writer.Finish();
}

std::string SampleFile(const char* path) {
  MemoryEnv env;
  WriteSample(&env);
  return ReadFile(&env, path);
}

void ReadCheckpoint(MemoryEnv* env) {
  const CheckpointFile file(env, kPrefix);
  for (const auto& [name, info] : file.bundle().tensors()) {
    try {
      file.bundle().Read(name);
    } catch (const InternalError&) {
      throw;
    } catch (const Error&) {  // the other tensors are read all the same
    }
  }
  try {
    file.Verify();
  } catch (const DataLossError&) {
  }
  file.Restore(Model(), {.expect_partial = true});
}

void ParseIndex(std::string_view bytes) {
  MemoryEnv env;
  WriteSample(&env);
  env.Overwrite(kIndex, std::string(bytes));
  ReadCheckpoint(&env);
}

void ParseData(std::string_view bytes) {
  MemoryEnv env;
  WriteSample(&env);
  env.Overwrite(kData, std::string(bytes));
  ReadCheckpoint(&env);
}

// Entries behind valid checksums: length-prefixed keys and values.
void ParseIndexEntries(std::string_view bytes) {
  std::map<std::string, std::string> entries;
  uint64_t key_size, value_size;
  while (GetVarint(&bytes, &key_size) && GetVarint(&bytes, &value_size) &&
         key_size <= bytes.size() && value_size <= bytes.size() - key_size) {
    entries[std::string(bytes.substr(0, key_size))] = bytes.substr(key_size, value_size);
    bytes.remove_prefix(key_size + value_size);
  }
  TableBuilder table;
  for (const auto& [key, value] : entries) table.Add(key, value);
  MemoryEnv env;
  WriteSample(&env);
  env.Overwrite(kIndex, table.Finish());
  ReadCheckpoint(&env);
}

std::vector<std::string> EntrySeeds() {
  std::string seed;
  ReadTable(SampleFile(kIndex), "seed", [&](std::string_view key, std::string_view value) {
    PutVarint(&seed, key.size());
    PutVarint(&seed, value.size());
    seed.append(key);
    seed.append(value);
  });
  return {seed};
}

// One block, raw or Snappy (by the first byte), behind a valid checksum.
void ParseTableBlock(std::string_view bytes) {
  if (bytes.empty()) return;
  const char type = static_cast<char>(bytes[0] & 1);
  const auto append_block = [](std::string* file, std::string_view block, char kind) {
    std::string with_type = std::string(block) + kind;
    PutFixed32(&with_type, MaskCrc(Crc32c(with_type)));
    *file += with_type;
  };
  std::string file;
  append_block(&file, bytes.substr(1), type);
  std::string handle, index;
  PutVarint(&handle, 0);
  PutVarint(&handle, bytes.size() - 1);
  PutVarint(&index, 0);
  PutVarint(&index, 1);
  PutVarint(&index, handle.size());
  index += "z" + handle;
  PutFixed32(&index, 0);
  PutFixed32(&index, 1);
  const size_t at = file.size();
  append_block(&file, index, 0);
  std::string footer;
  for (int i = 0; i < 2; ++i) {
    PutVarint(&footer, at);
    PutVarint(&footer, index.size());
  }
  footer.resize(40);
  PutFixed64(&footer, 0xdb4775248b80fb57ull);
  ReadTable(file + footer, "table", [](std::string_view, std::string_view) {});
}

// One entry, "a" -> "xy", and one restart; as it is and as a Snappy literal.
std::vector<std::string> BlockSeeds() {
  const std::string block("\0\1\2axy\0\0\0\0\1\0\0\0", 14);
  const std::string literal("\x0e\x34", 2);
  return {std::string(1, '\0') + block, std::string(1, '\1') + literal + block};
}

void ParseSnappy(std::string_view bytes) { SnappyDecode(bytes, "snappy"); }

void ParseRecords(std::string_view bytes) {
  MemoryEnv env;
  env.Overwrite("r", std::string(bytes));
  const auto file = env.OpenReadable("r");
  RecordReader reader(file.get());
  std::string record;
  while (reader.Read(&record) == RecordRead::kRecord) {
  }
}

std::vector<std::string> RecordSeeds() {
  std::string file;
  for (const char* text : {"", "abc", "a longer record than the others"}) AppendRecord(&file, text);
  return {file};
}

// An event behind valid checksums.
void ParseEvent(std::string_view bytes) {
  std::string file;
  AppendRecord(&file, bytes);
  MemoryEnv env;
  env.Overwrite("events", file);
  EventFileReader reader(&env, "events");
  proto::Event event;
  while (reader.Read(&event)) {
    for (const auto& value : event.summary().value()) {
      if (value.has_tensor()) TensorFromProto(value.tensor());
    }
  }
}

std::vector<std::string> EventSeeds() {
  proto::Event event;
  event.set_step(7);
  auto* value = event.mutable_summary()->add_value();
  value->set_tag("loss");
  TensorToProto(Tensor::FromVector<double>({1, 2, 3}), value->mutable_tensor());
  return {event.SerializeAsString()};
}

void ParseTensor(std::string_view bytes) {
  proto::TensorProto message;
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    TensorFromProto(message);
  }
}

std::vector<std::string> TensorSeeds() {
  std::vector<std::string> seeds;
  for (const Tensor& t : {Tensor(true), Tensor("text"), Tensor::Zeros(DType::kHalf, {2, 0, 3}),
                          Tensor::FromVector<int64_t>({1, -1})}) {
    proto::TensorProto message;
    TensorToProto(t, &message);
    seeds.push_back(message.SerializeAsString());
  }
  proto::TensorProto repeated;
  repeated.set_dtype(proto::DT_FLOAT);
  repeated.mutable_tensor_shape()->add_dim()->set_size(5);
  repeated.add_float_val(1);
  seeds.push_back(repeated.SerializeAsString());
  return seeds;
}

void ParseArray(std::string_view bytes) { ParseNpy(bytes, "array"); }

std::vector<std::string> ArraySeeds() {
  return {SerializeNpy(Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2})), SerializeNpy(Tensor(7))};
}

void ParseGraph(std::string_view bytes) { MatchObjectGraph(std::string(bytes), Model(), "graph"); }

void ParseState(std::string_view bytes) {
  MemoryEnv env;
  env.CreateDirs("d");
  env.Overwrite("d/checkpoint", std::string(bytes));
  LatestCheckpoint(&env, "d");
}

}  // namespace

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {
      {"index", ParseIndex, [] { return std::vector{SampleFile(kIndex)}; }},
      {"data", ParseData, [] { return std::vector{SampleFile(kData)}; }},
      {"index_entries", ParseIndexEntries, EntrySeeds},
      {"table_block", ParseTableBlock, BlockSeeds},
      {"snappy", ParseSnappy, [] { return std::vector<std::string>{"\x10\x3cvvvvvvvvvvvvvvvv"}; }},
      {"records", ParseRecords, RecordSeeds},
      {"event", ParseEvent, EventSeeds},
      {"tensor_proto", ParseTensor, TensorSeeds},
      {"npy", ParseArray, ArraySeeds},
      {"object_graph", ParseGraph, [] { return std::vector{SerializeObjectGraph(Model())}; }},
      {"checkpoint_state", ParseState,
       [] {
         return std::vector<std::string>{"model_checkpoint_path: \"ckpt-4\"\n"
                                         "all_model_checkpoint_paths: \"ckpt-4\"\n"
                                         "all_model_checkpoint_timestamps: 1784015290.25\n"};
       }},
  };
  return targets;
}

void RunOne(const Target& target, std::string_view bytes) {
  SetLogLevel(LogLevel::kError);
  try {
    target.parse(bytes);
  } catch (const InternalError&) {
    throw;
  } catch (const Error&) {  // what bad input deserves
  }
}

}  // namespace tributary::fuzz
