// Our kernels against oneDNN's on the shapes of the jobs, and the optimizer against the
// memory. The rules of ops/linalg/gemm.cc and the choice of own convolutions and pools
// rest on this program. Times are CPU times of one thread, because the build machines
// are busy; --benchmark_filter picks.

#include <benchmark/benchmark.h>
#include <oneapi/dnnl/dnnl.hpp>

#include "core/base/denormals.h"
#include "core/base/parallel.h"
#include "core/tensor/buffer.h"
#include "ops/linalg/gemm.h"
#include "ops/nn/conv_tiles.h"
#include "ops/nn/dropout_loop.h"
#include "ops/nn/pool_loops.h"
#include "ops/nn/softmax_rows.h"
#include "ops/update/update_loops.h"

namespace tributary {
namespace {

// Aligned floats in [-0.5, 0.5).
class Floats {
 public:
  explicit Floats(int64_t count) : buffer_(Buffer::Allocate(count * sizeof(float) + 64)) {
    for (int64_t i = 0; i < count; ++i) data()[i] = (i * 7919 % 1024) / 1024.0f - 0.5f;
  }
  float* data() const { return static_cast<float*>(buffer_->data()); }

 private:
  std::shared_ptr<Buffer> buffer_;
};

void SetRates(benchmark::State& state, double flops) {
  state.counters["GFLOPS"] = benchmark::Counter(flops * state.iterations() / 1e9,
                                                benchmark::Counter::kIsRate);
}

// m, n, k, transpose_a, transpose_b; the shapes of the MLP jobs and of the convnet's end.
void GemmShapes(benchmark::internal::Benchmark* b) {
  for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{
           {8, 16, 16, 0, 0},   {8, 4, 16, 0, 0},    {16, 4, 8, 1, 0},    {8, 16, 4, 0, 1},
           {32, 128, 784, 0, 0}, {32, 10, 128, 0, 0}, {784, 128, 32, 1, 0}, {128, 10, 32, 1, 0},
           {32, 128, 10, 0, 1},  {128, 512, 784, 0, 0}, {128, 512, 512, 0, 0},
           {128, 10, 512, 0, 0}, {784, 512, 128, 1, 0}, {512, 512, 128, 1, 0},
           {512, 10, 128, 1, 0}, {128, 512, 512, 0, 1}, {128, 512, 10, 0, 1},
           {64, 10, 1600, 0, 0}, {1600, 10, 64, 1, 0},  {64, 1600, 10, 0, 1}}) {
    b->Args(shape);
  }
}

void RunGemm(benchmark::State& state, GemmBackend backend) {
  const GemmSpec s{state.range(0), state.range(1), state.range(2), state.range(3) != 0,
                   state.range(4) != 0};
  const Floats a(s.m * s.k), b(s.k * s.n), c(s.m * s.n);
  const auto gemm = Gemm::Make(s, backend);
  const auto scratch = Buffer::Allocate(gemm->scratch_bytes() + 64);
  for (auto _ : state) {
    gemm->Run({.a = a.data(), .b = b.data(), .c = c.data(), .scratch = scratch->data()});
  }
  SetRates(state, 2.0 * s.m * s.n * s.k);
}
BENCHMARK_CAPTURE(RunGemm, tiles, GemmBackend::kTiles)->Apply(GemmShapes);
BENCHMARK_CAPTURE(RunGemm, onednn, GemmBackend::kOneDnn)->Apply(GemmShapes);

// batch, height = width, channels, filters; 3x3, VALID: the convnet's two.
void ConvShapes(benchmark::internal::Benchmark* b) {
  b->Args({64, 28, 1, 32})->Args({64, 13, 32, 64})->Unit(benchmark::kMicrosecond);
}

ConvSpec SpecOf(const benchmark::State& state) {
  const AttrMap attrs{{"strides", std::vector<int64_t>{1, 1, 1, 1}}, {"padding", "VALID"}};
  const Shape image{state.range(0), state.range(1), state.range(1), state.range(2)};
  return {MakeWindow("Conv2D", attrs, image, 3, 3), state.range(3)};
}

struct ConvBuffers {
  explicit ConvBuffers(const ConvSpec& s)
      : x(s.window.batch * s.window.in_h * s.window.in_w * s.window.channels),
        w(9 * s.window.channels * s.filters),
        y(s.window.batch * s.window.out_h * s.window.out_w * s.filters), bias(s.filters) {}
  Floats x, w, y, bias;
};

double ConvFlops(const ConvSpec& s) {
  return 18.0 * s.window.batch * s.window.out_h * s.window.out_w * s.window.channels * s.filters;
}

enum class Pass { kForward, kInput, kFilter };

void ConvTiles(benchmark::State& state, Pass pass) {
  const ConvSpec s = SpecOf(state);
  const ConvBuffers t(s);
  const ConvForward forward(s, true);
  const ConvBackpropInput input(s);
  const ConvBackpropFilter filter(s);
  const auto scratch = Buffer::Allocate(
      64 + std::max({forward.scratch_bytes(), input.scratch_bytes(), filter.scratch_bytes()}));
  for (auto _ : state) {
    switch (pass) {
      case Pass::kForward:
        forward.Run(t.x.data(), t.w.data(), t.bias.data(), t.y.data(), scratch->data());
        break;
      case Pass::kInput:
        input.Run(t.w.data(), t.y.data(), nullptr, t.x.data(), scratch->data());
        break;
      case Pass::kFilter:
        filter.Run(t.x.data(), t.y.data(), t.w.data(), t.bias.data(), scratch->data());
        break;
    }
  }
  SetRates(state, ConvFlops(s));
}

// oneDNN in the layouts it likes best, bias and relu fused.
void ConvOneDnn(benchmark::State& state, Pass pass) {
  using namespace dnnl;
  using Tag = memory::format_tag;
  const ConvSpec s = SpecOf(state);
  const WindowGeometry& g = s.window;
  const ConvBuffers t(s);
  engine cpu(engine::kind::cpu, 0);
  stream queue(cpu);
  const auto f32 = memory::data_type::f32;
  const memory::desc x({g.batch, g.channels, g.in_h, g.in_w}, f32, Tag::any);
  const memory::desc w({s.filters, g.channels, 3, 3}, f32, Tag::any);
  const memory::desc y({g.batch, s.filters, g.out_h, g.out_w}, f32, Tag::any);
  const memory::desc b({s.filters}, f32, Tag::x);
  const auto direct = algorithm::convolution_direct;
  const memory::dims one{1, 1}, zero{0, 0};
  const convolution_forward::primitive_desc forward(
      {prop_kind::forward_training, direct, x, w, b, y, one, zero, zero}, cpu);
  const auto run = [&](const primitive& p, const std::unordered_map<int, memory>& args) {
    for (auto _ : state) p.execute(queue, args);
  };
  const auto make = [&](const memory::desc& desc) {
    memory m(desc, cpu);
    memset(m.get_data_handle(), 0, desc.get_size());
    return m;
  };
  if (pass == Pass::kForward) {
    run(convolution_forward(forward), {{DNNL_ARG_SRC, make(forward.src_desc())},
                                       {DNNL_ARG_WEIGHTS, make(forward.weights_desc())},
                                       {DNNL_ARG_BIAS, make(forward.bias_desc())},
                                       {DNNL_ARG_DST, make(forward.dst_desc())}});
  } else if (pass == Pass::kInput) {
    const convolution_backward_data::primitive_desc pd({direct, x, w, y, one, zero, zero}, cpu,
                                                       forward);
    run(convolution_backward_data(pd), {{DNNL_ARG_DIFF_SRC, make(pd.diff_src_desc())},
                                        {DNNL_ARG_WEIGHTS, make(pd.weights_desc())},
                                        {DNNL_ARG_DIFF_DST, make(pd.diff_dst_desc())}});
  } else {
    const convolution_backward_weights::primitive_desc pd(
        {direct, x, w, b, y, one, zero, zero}, cpu, forward);
    run(convolution_backward_weights(pd),
        {{DNNL_ARG_SRC, make(pd.src_desc())},
         {DNNL_ARG_DIFF_WEIGHTS, make(pd.diff_weights_desc())},
         {DNNL_ARG_DIFF_BIAS, make(pd.diff_bias_desc())},
         {DNNL_ARG_DIFF_DST, make(pd.diff_dst_desc())}});
  }
  SetRates(state, ConvFlops(s));
}
BENCHMARK_CAPTURE(ConvTiles, forward, Pass::kForward)->Apply(ConvShapes);
BENCHMARK_CAPTURE(ConvOneDnn, forward, Pass::kForward)->Apply(ConvShapes);
BENCHMARK_CAPTURE(ConvTiles, input, Pass::kInput)->Args({64, 13, 32, 64});
BENCHMARK_CAPTURE(ConvOneDnn, input, Pass::kInput)->Args({64, 13, 32, 64});
BENCHMARK_CAPTURE(ConvTiles, filter, Pass::kFilter)->Apply(ConvShapes);
BENCHMARK_CAPTURE(ConvOneDnn, filter, Pass::kFilter)->Apply(ConvShapes);

// height = width, channels; 2x2 windows, batch 64.
void PoolTiles(benchmark::State& state, bool backward) {
  const AttrMap attrs{{"ksize", std::vector<int64_t>{1, 2, 2, 1}},
                      {"strides", std::vector<int64_t>{1, 2, 2, 1}},
                      {"padding", "VALID"}};
  const Shape image{64, state.range(0), state.range(0), state.range(1)};
  const WindowGeometry g = MakePoolWindow("MaxPool", attrs, image);
  const Floats x(image.NumElements()), dx(image.NumElements()), y(image.NumElements() / 4 + 1);
  for (auto _ : state) {
    if (backward) {
      MaxPoolBackward(g, x.data(), y.data(), y.data(), dx.data(), true);
    } else {
      MaxPoolForward(g, x.data(), y.data());
    }
  }
}
BENCHMARK_CAPTURE(PoolTiles, forward, false)->Args({26, 32})->Args({11, 64});
BENCHMARK_CAPTURE(PoolTiles, backward, true)->Args({26, 32})->Args({11, 64});

void PoolOneDnn(benchmark::State& state, bool backward) {
  using namespace dnnl;
  engine cpu(engine::kind::cpu, 0);
  stream queue(cpu);
  const int64_t n = state.range(0), channels = state.range(1);
  const auto desc = [&](int64_t size) {
    return memory::desc({64, channels, size, size}, memory::data_type::f32,
                        memory::format_tag::nChw16c);
  };
  const auto alg = algorithm::pooling_max;
  const memory::dims two{2, 2}, zero{0, 0};
  const pooling_forward::primitive_desc forward(
      {prop_kind::forward_training, alg, desc(n), desc(n / 2), two, two, zero, zero}, cpu);
  const pooling_backward::primitive_desc back({alg, desc(n), desc(n / 2), two, two, zero, zero},
                                              cpu, forward);
  memory x(desc(n), cpu), y(desc(n / 2), cpu), ws(forward.workspace_desc(), cpu);
  memset(x.get_data_handle(), 0, desc(n).get_size());
  memset(y.get_data_handle(), 0, desc(n / 2).get_size());
  pooling_forward(forward).execute(
      queue, {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}, {DNNL_ARG_WORKSPACE, ws}});
  const primitive p = backward ? primitive(pooling_backward(back))
                               : primitive(pooling_forward(forward));
  const std::unordered_map<int, memory> args =
      backward ? std::unordered_map<int, memory>{{DNNL_ARG_DIFF_SRC, x},
                                                 {DNNL_ARG_DIFF_DST, y},
                                                 {DNNL_ARG_WORKSPACE, ws}}
               : std::unordered_map<int, memory>{
                     {DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}, {DNNL_ARG_WORKSPACE, ws}};
  for (auto _ : state) p.execute(queue, args);
}
BENCHMARK_CAPTURE(PoolOneDnn, forward, false)->Args({26, 32})->Args({11, 64});
BENCHMARK_CAPTURE(PoolOneDnn, backward, true)->Args({26, 32})->Args({11, 64});

// The same bytes moved by memcpy: Adam reads four arrays and writes three.
void AdamUpdate(benchmark::State& state) {
  const int64_t n = state.range(0);
  const Floats var(n), m(n), v(n), grad(n);
  for (int64_t i = 0; i < n; ++i) v.data()[i] = 0.1f;
  for (auto _ : state) {
    RunUpdate(UpdateRule::kAdam,
              {.var = var.data(), .slot0 = m.data(), .slot1 = v.data(), .grad = grad.data()},
              {.a = 1e-3f, .b = 0.1f, .c = 1e-3f, .d = 1e-7f, .e = 1.0f}, n);
  }
  state.SetBytesProcessed(state.iterations() * n * 28);
}
BENCHMARK(AdamUpdate)->Arg(101'770)->Arg(669'706);

void Memcpy(benchmark::State& state) {
  const int64_t n = state.range(0) * 7 / 2;
  const Floats from(n), to(n);
  for (auto _ : state) {
    memcpy(to.data(), from.data(), n * sizeof(float));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * n * 8);
}
BENCHMARK(Memcpy)->Arg(101'770)->Arg(669'706);

void SparseCrossEntropy(benchmark::State& state) {
  const int64_t rows = state.range(0), columns = state.range(1);
  const Floats x(rows * columns), loss(rows), grad(rows * columns);
  const std::vector<int64_t> labels(rows, 3);
  for (auto _ : state) {
    SparseCrossEntropyRows(x.data(), labels.data(), loss.data(), grad.data(), rows, columns);
  }
}
BENCHMARK(SparseCrossEntropy)->Args({8, 4})->Args({32, 10})->Args({128, 10})->Args({64, 1000});

void DropoutMask(benchmark::State& state) {
  const int64_t n = state.range(0);
  const Floats x(n), y(n);
  for (auto _ : state) RunDropout({1, 2, 3}, 0.5f, x.data(), y.data(), n);
  state.SetItemsProcessed(state.iterations() * n);
}
BENCHMARK(DropoutMask)->Arg(64 * 1600);

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  tributary::SetNumThreads(1);
  tributary::FlushDenormals();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
