// Writes every sample of every public op as a GraphDef, with the values that the op
// gives here, for check_graphs.py to import and run in TensorFlow.
//
//   graph_samples write DIR   DIR/Op.3.pb: sample 3; DIR/Op.3.1.npy: its output 1
//   graph_samples read DIR    runs DIR/theirs/graph.pb, which TensorFlow wrote

#include <cstdio>

#include "core/graph/graphdef.h"
#include "core/io/env.h"
#include "core/runtime/execute.h"
#include "core/runtime/session.h"
#include "core/runtime/variable.h"
#include "core/tensor/npy.h"

namespace tributary {
namespace {

bool HasValues(const OpSchema& schema, const OpSample& sample) {
  if (schema.stateful) return false;
  for (const Tensor& t : sample.inputs) {
    if (t.dtype() == DType::kResource || t.dtype() == DType::kString) return false;
  }
  return true;
}

void WriteSample(const OpSchema& schema, const OpSample& sample, const std::string& prefix) {
  Graph graph;
  std::vector<Tensor> inputs;
  for (const Tensor& t : sample.inputs) {
    inputs.push_back(t.dtype() == DType::kResource ? graph.Capture(t.resource())
                                                   : graph.Constant(t, "input"));
  }
  graph.AddNode(schema.name, inputs, sample.attrs, "result");
  WriteFileAtomically(PosixEnv(), prefix + ".pb", GraphDefBytes(graph));
  if (!HasValues(schema, sample)) return;
  const std::vector<Tensor> outputs = Execute(schema.name, sample.inputs, sample.attrs);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].dtype() == DType::kString || outputs[i].dtype() == DType::kBFloat16) continue;
    WriteNpy(PosixEnv(), fmt::format("{}.{}.npy", prefix, i), outputs[i]);
  }
}

int WriteAll(const std::string& dir) {
  int count = 0;
  for (const auto& [name, schema] : OpRegistry().entries()) {
    if (name[0] == '_' || !schema.samples) continue;
    const std::vector<OpSample> samples = schema.samples();
    for (size_t k = 0; k < samples.size(); ++k) {
      WriteSample(schema, samples[k], fmt::format("{}/{}.{}", dir, name, k));
      ++count;
    }
  }
  return count;
}

bool Near(const Tensor& a, const Tensor& b) {
  if (a.spec() != b.spec()) return false;
  for (int64_t i = 0; i < a.NumElements(); ++i) {
    if (std::abs(a.data<float>()[i] - b.data<float>()[i]) > 1e-6f) return false;
  }
  return true;
}

// A classifier with variables, their initializers and an update.
bool RunTheirs(const std::string& dir) {
  Env* env = PosixEnv();
  Session session(GraphFromDef(ReadFile(env, dir + "/graph.pb")));
  session.InitializeVariables();
  const Tensor x = ReadNpy(env, dir + "/x.npy");
  const Tensor before = session.Run({{"x:0", x}}, {"y:0"})[0];
  session.Run({{"x", x}}, {}, {"update"});
  const Tensor after = session.Run({{"x", x}}, {"y"})[0];
  return Near(before, ReadNpy(env, dir + "/before.npy")) &&
         Near(after, ReadNpy(env, dir + "/after.npy"));
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  const std::string command = argc == 3 ? argv[1] : "";
  if (command == "write") {
    std::printf("graph_samples: %d graphs\n", tributary::WriteAll(argv[2]));
    return 0;
  }
  if (command == "read") {
    const bool same = tributary::RunTheirs(std::string(argv[2]) + "/theirs");
    std::printf("interop: a Session runs TensorFlow's graph: %s\n", same ? "same" : "DIFFERENT");
    return same ? 0 : 1;
  }
  std::fprintf(stderr, "usage: graph_samples write|read DIR\n");
  return 2;
}
