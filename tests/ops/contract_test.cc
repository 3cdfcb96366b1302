// Every op keeps its promises: its shape rule holds whatever is known, its kernel
// writes all of its output and nothing else, a plan computes what eager execution
// does, and it survives GraphDef.

#include "core/graph/graphdef.h"
#include "core/runtime/function.h"
#include "tests/ops/op_contract.h"

namespace tributary {
namespace {

TEST(OpContract, EveryOpHasSamples) {
  for (const auto& [name, schema] : OpRegistry().entries()) {
    if (OpsWithoutSamples().count(name)) continue;
    ASSERT_TRUE(schema.samples) << name << " has no samples: no contract covers it";
    EXPECT_FALSE(schema.samples().empty()) << name;
    EXPECT_TRUE(schema.shape || schema.outputs.empty()) << name << " has no shape rule";
  }
  EXPECT_GT(OpRegistry().entries().size(), 100u) << "a library was not linked in";
}

TEST(OpContract, EveryDifferentiableOpHasAGradient) {
  for (const auto& [name, schema] : OpRegistry().entries()) {
    if (!schema.differentiable || name == "_FusedElementwise") continue;
    // Fused ops take the place of others after differentiation.
    if (name[0] == '_' && !schema.gradient) continue;
    EXPECT_TRUE(schema.gradient) << name << " has neither a gradient nor NotDifferentiable()";
  }
}

class Contract : public testing::TestWithParam<std::string> {
 protected:
  const OpSchema& schema() const { return OpRegistry().Get(GetParam()); }
};

// What a kernel leaves behind when its outputs start out as `fill`, with guards.
struct Raw {
  std::vector<std::string> outputs, variables;
  bool guards_intact = true;
};

Raw RunRaw(const OpSchema& schema, const OpSample& sample, char fill, bool in_place) {
  constexpr size_t kGuard = 64;
  std::vector<Tensor> inputs;
  for (const Tensor& t : sample.inputs) {
    inputs.push_back(in_place && IsPlain(t.dtype()) ? t.Clone() : t);
  }
  AttrMap attrs = sample.attrs;
  const auto specs = SpecsOf(inputs);
  const auto constants = ConstantsOf(inputs);
  const auto outputs = InferOutputs(schema, specs, constants, attrs);
  PrepareContext context(schema.name, attrs, specs, outputs, constants, CpuDevice());
  const auto kernel = FindKernel(schema, attrs, specs, DeviceType::kCpu)(context);
  std::vector<void*> in, out;
  for (const Tensor& t : inputs) in.push_back(StorageOf(t).raw_data());
  std::vector<std::vector<char>> memory;
  for (const TensorSpec& spec : outputs) {
    memory.emplace_back(spec.shape.NumElements() * DTypeSize(spec.dtype) + kGuard, fill);
    out.push_back(memory.back().data());
  }
  std::set<int> elsewhere;
  for (const auto& forward : context.forwards()) {
    out[forward.output] = in[forward.input];
    elsewhere.insert(forward.output);
  }
  if (in_place && !context.in_place().empty()) {
    const auto pair = context.in_place().back();
    out[pair.output] = in[pair.input];
    elsewhere.insert(pair.output);
  }
  const auto scratch = Buffer::Allocate(context.scratch_bytes());
  if (scratch->bytes()) std::memset(scratch->data(), fill, scratch->bytes());
  if (kernel) kernel->Launch({in.data(), out.data(), scratch->data(), CpuDevice()->stream()});
  Raw raw;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const size_t bytes = outputs[i].shape.NumElements() * DTypeSize(outputs[i].dtype);
    raw.outputs.emplace_back(static_cast<const char*>(out[i]), bytes);
    if (elsewhere.count(static_cast<int>(i))) continue;
    for (size_t k = bytes; k < memory[i].size(); ++k) raw.guards_intact &= memory[i][k] == fill;
  }
  for (const Tensor& t : inputs) {
    if (t.dtype() != DType::kResource) continue;
    const Tensor value = StorageOf(t);
    raw.variables.emplace_back(static_cast<const char*>(value.raw_data()), value.bytes());
  }
  return raw;
}

bool AnyStrings(const OpSample& sample) {
  return std::any_of(sample.inputs.begin(), sample.inputs.end(),
                     [](const Tensor& t) { return t.dtype() == DType::kString; });
}

TEST_P(Contract, KernelWritesAllOfItsOutputAndNothingElse) {
  const size_t count = schema().samples().size();
  for (size_t s = 0; s < count; ++s) {
    // Fresh samples each time: a stateful op changes its variables.
    const OpSample first = schema().samples()[s], second = schema().samples()[s];
    if (AnyStrings(first)) continue;
    SCOPED_TRACE(Describe(GetParam(), first, s));
    const Raw zeros = RunRaw(schema(), first, 0, false);
    const Raw ones = RunRaw(schema(), second, static_cast<char>(0xff), false);
    EXPECT_TRUE(zeros.guards_intact && ones.guards_intact) << "wrote beyond its output";
    EXPECT_EQ(zeros.outputs, ones.outputs) << "left part of an output unwritten";
    EXPECT_EQ(zeros.variables, ones.variables);
  }
}

TEST_P(Contract, KernelMayRunInPlaceWhereItSaysSo) {
  const size_t count = schema().samples().size();
  for (size_t s = 0; s < count; ++s) {
    const OpSample first = schema().samples()[s], second = schema().samples()[s];
    if (AnyStrings(first)) continue;
    SCOPED_TRACE(Describe(GetParam(), first, s));
    EXPECT_EQ(RunRaw(schema(), first, 0, false).outputs, RunRaw(schema(), second, 0, true).outputs);
  }
}

TEST_P(Contract, ShapeRuleHoldsWhateverIsKnown) {
  const auto samples = schema().samples();
  for (size_t s = 0; s < samples.size(); ++s) {
    SCOPED_TRACE(Describe(GetParam(), samples[s], s));
    const auto full = SpecsOf(samples[s].inputs);
    AttrMap attrs = samples[s].attrs;
    const auto expected = InferOutputs(schema(), full, ConstantsOf(samples[s].inputs), attrs);
    std::vector<TensorSpec> open = full, unknown = full;
    for (TensorSpec& spec : open) {
      if (spec.dtype != DType::kResource) {
        spec.shape = Shape(std::vector<int64_t>(spec.shape.rank(), Shape::kUnknownDim));
      }
    }
    for (TensorSpec& spec : unknown) {
      if (spec.dtype != DType::kResource) spec.shape = Shape::UnknownRank();
    }
    const std::vector<const Tensor*> nothing(full.size(), nullptr);
    for (const auto& specs : {full, open, unknown}) {
      for (const auto& constants : {nothing, ConstantsOf(samples[s].inputs)}) {
        AttrMap again = samples[s].attrs;
        const auto outputs = InferOutputs(schema(), specs, constants, again);
        ASSERT_EQ(outputs.size(), expected.size());
        for (size_t i = 0; i < outputs.size(); ++i) {
          EXPECT_EQ(outputs[i].dtype, expected[i].dtype);
          EXPECT_TRUE(outputs[i].shape.IsCompatibleWith(expected[i].shape))
              << outputs[i].ToString() << " against " << expected[i].ToString();
        }
      }
    }
  }
}

// Inputs that a plan gets from outside: those whose values no shape depends on.
bool IsFed(const Tensor& t) {
  return IsFloating(t.dtype()) && t.rank() > 0;
}

// The op as a traced function of its fed inputs.
std::vector<Tensor> RunAsFunction(const std::string& op, const OpSample& sample,
                                  bool open_dims) {
  std::vector<Tensor> args;
  std::vector<TensorSpec> signature;
  for (const Tensor& t : sample.inputs) {
    if (!IsFed(t)) continue;
    args.push_back(t);
    TensorSpec spec = t.spec();
    if (open_dims) spec.shape = Shape(std::vector<int64_t>(t.rank(), Shape::kUnknownDim));
    signature.push_back(spec);
  }
  Function function("f", [&](const std::vector<Tensor>& in) {
    std::vector<Tensor> inputs;
    size_t next = 0;
    for (const Tensor& t : sample.inputs) inputs.push_back(IsFed(t) ? in[next++] : t);
    return Execute(op, inputs, sample.attrs);
  }, signature);
  return function(args);
}

// Eager calls go on with the stream of their seeds, a plan starts it.
void Reseed(OpSample* eager, OpSample* planned) {
  static int64_t unused = 1000;
  ++unused;
  for (const char* seed : {"seed", "seed2"}) {
    if (!eager->attrs.Find(seed)) continue;
    eager->attrs.Set(seed, unused);
    planned->attrs.Set(seed, unused);
  }
}

TEST_P(Contract, PlanComputesWhatEagerExecutionDoes) {
  if (GetParam() == "NoOp") return;
  const size_t count = schema().samples().size();
  for (const bool open_dims : {false, true}) {
    for (size_t s = 0; s < count; ++s) {
      OpSample eager = schema().samples()[s], planned = schema().samples()[s];
      Reseed(&eager, &planned);
      SCOPED_TRACE(Describe(GetParam(), eager, s) + (open_dims ? " open dimensions" : ""));
      const auto expected = Execute(GetParam(), eager.inputs, eager.attrs);
      const auto got = RunAsFunction(GetParam(), planned, open_dims);
      ASSERT_EQ(expected.size(), got.size());
      for (size_t i = 0; i < got.size(); ++i) ExpectSame(expected[i], got[i], 1e-6, "output");
      for (size_t i = 0; i < eager.inputs.size(); ++i) {
        if (eager.inputs[i].dtype() != DType::kResource) continue;
        ExpectSame(StorageOf(eager.inputs[i]), StorageOf(planned.inputs[i]), 1e-6, "variable");
      }
    }
  }
}

TEST_P(Contract, SurvivesGraphDef) {
  const auto samples = schema().samples();
  for (size_t s = 0; s < samples.size(); ++s) {
    SCOPED_TRACE(Describe(GetParam(), samples[s], s));
    Graph graph;
    {
      GraphScope scope(&graph);
      std::vector<Tensor> inputs;
      for (const Tensor& t : samples[s].inputs) {
        inputs.push_back(IsFed(t) ? graph.Placeholder(t.dtype(), t.shape()) : graph.AsSymbolic(t));
      }
      graph.AddNode(GetParam(), inputs, samples[s].attrs);
    }
    const std::string bytes = GraphDefBytes(graph);
    const auto copy = GraphFromDef(bytes);
    EXPECT_EQ(GraphDefBytes(*copy), bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Contract, testing::ValuesIn(SampledOps()), OpTestName);

}  // namespace
}  // namespace tributary
