#include "launch/bench/floor.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <dnnl.hpp>
#include <functional>

#include "core/base/parallel.h"
#include "core/runtime/variable.h"
#include "ops/simd/float_loops.h"

namespace tributary {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
constexpr auto kF32 = memory::data_type::f32;

const dnnl::engine& Engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& Queue() {
  static dnnl::stream stream(Engine());
  return stream;
}

Shape Known(const Node& node, const TensorSpec& spec) {
  if (!spec.shape.IsFullyDefined()) {
    throw InvalidArgumentError("[bench] node {} has the open shape {}", node.name(),
                               spec.shape.ToString());
  }
  return spec.shape;
}

Shape In(const Node& node, int i) { return Known(node, node.input(i).spec()); }
Shape Out(const Node& node, int i = 0) { return Known(node, node.output(i)); }

// NHWC dimensions in oneDNN's logical order (N, C, H, W).
memory::dims Nchw(const Shape& s) { return {s[0], s[3], s[1], s[2]}; }
// HWIO filters as (O, I, H, W).
memory::dims Oihw(const Shape& s) { return {s[3], s[2], s[0], s[1]}; }

struct Window {
  memory::dims strides, before, after;
};

// Padding of one axis by TensorFlow's SAME and VALID rules.
std::pair<int64_t, int64_t> PadAxis(const std::string& padding, int64_t in, int64_t window,
                                    int64_t stride) {
  if (padding != "SAME") return {0, 0};
  const int64_t out = (in + stride - 1) / stride;
  const int64_t total = std::max<int64_t>((out - 1) * stride + window - in, 0);
  return {total / 2, total - total / 2};
}

Window WindowOf(const Node& node, const Shape& input, int64_t height, int64_t width) {
  const auto& strides = node.attrs().Get<std::vector<int64_t>>("strides");
  const auto& padding = node.attrs().Get<std::string>("padding");
  const auto h = PadAxis(padding, input[1], height, strides[1]);
  const auto w = PadAxis(padding, input[2], width, strides[2]);
  return {{strides[1], strides[2]}, {h.first, w.first}, {h.second, w.second}};
}

// The shape operand of a backprop op: a constant [4].
Shape ConstantShape(const Node& node, int input) {
  const Tensor* value = node.input(input).node()->constant();
  if (!value) throw InvalidArgumentError("[bench] node {} has an open shape", node.name());
  std::vector<int64_t> dims;
  for (int64_t i = 0; i < value->NumElements(); ++i) {
    dims.push_back(value->dtype() == DType::kInt64 ? value->data<int64_t>()[i]
                                                   : value->data<int32_t>()[i]);
  }
  return Shape(dims);
}

}  // namespace

class StepFloor::Work {
 public:
  virtual ~Work() = default;
  virtual void Run() { run_(); }
  int64_t flops = 0;
  int64_t bytes = 0;

 protected:
  // Zeroed memory of a primitive's argument.
  memory Make(const memory::desc& desc) {
    memory m(desc, Engine());
    if (desc.get_size()) std::memset(m.get_data_handle(), 0, desc.get_size());
    return m;
  }
  using Candidate = std::function<void()>;
  static Candidate Primitive(dnnl::primitive primitive, std::unordered_map<int, memory> args) {
    return [primitive = std::move(primitive), args = std::move(args)] {
      primitive.execute(Queue(), args);
      Queue().wait();
    };
  }
  // Times `candidates` and keeps the fastest.
  void KeepFastest(std::vector<Candidate> candidates) {
    double best = 1e300;
    for (Candidate& candidate : candidates) {
      candidate();
      double fastest = 1e300;
      for (int repeat = 0; repeat < 5; ++repeat) {
        const auto begin = std::chrono::steady_clock::now();
        candidate();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        fastest = std::min(fastest, took.count());
      }
      if (fastest >= best) continue;
      best = fastest;
      run_ = std::move(candidate);
    }
  }

  Candidate run_;
};

class StepFloor::Gemm final : public Work {
 public:
  explicit Gemm(const Node& node) {
    const Shape a = In(node, 0);
    const Shape b = In(node, 1);
    const bool batch = node.op() != "MatMul";
    const bool ta = node.attrs().Get<bool>(batch ? "adj_x" : "transpose_a");
    const bool tb = node.attrs().Get<bool>(batch ? "adj_y" : "transpose_b");
    const memory::desc da = Matrix(a, ta), db = Matrix(b, tb), dc = Matrix(Out(node), false);
    const memory ma = Make(da), mb = Make(db), mc = Make(dc);
    const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(da, db, dc), Engine());
    std::vector<Candidate> candidates{
        Primitive(dnnl::matmul(pd),
                  {{DNNL_ARG_SRC, ma}, {DNNL_ARG_WEIGHTS, mb}, {DNNL_ARG_DST, mc}})};
    const int last = a.rank() - 1;
    const int64_t m = Out(node)[last - 1], n = Out(node)[last], k = a[ta ? last - 1 : last];
    flops = 2 * Out(node).NumElements() * k;
    if (flops == 2 * m * n * k) {  // one product: oneDNN's BLAS entry may be faster
      candidates.push_back([=] {
        dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1.0f, Data(ma), a[last],
                   Data(mb), b[last], 0.0f, Data(mc), n);
      });
    }
    KeepFastest(std::move(candidates));
  }

 private:
  static float* Data(const memory& m) { return static_cast<float*>(m.get_data_handle()); }
  static memory::desc Matrix(const Shape& shape, bool transposed) {
    memory::dims dims(shape.dims().begin(), shape.dims().end());
    const auto strides64 = shape.Strides();
    memory::dims strides(strides64.begin(), strides64.end());
    if (transposed) {
      std::swap(dims[dims.size() - 1], dims[dims.size() - 2]);
      std::swap(strides[strides.size() - 1], strides[strides.size() - 2]);
    }
    return memory::desc(dims, kF32, strides);
  }
};

class StepFloor::Convolution final : public Work {
 public:
  explicit Convolution(const Node& node) {
    const bool forward = node.op() == "Conv2D";
    const bool to_input = node.op() == "Conv2DBackpropInput";
    const Shape input = to_input ? ConstantShape(node, 0) : In(node, 0);
    const Shape filter =
        forward || to_input ? In(node, 1) : ConstantShape(node, 1);
    const Shape output = forward ? Out(node) : In(node, 2);
    const Window w = WindowOf(node, input, filter[0], filter[1]);
    std::vector<Candidate> candidates;
    for (const Tag tag : {Tag::nhwc, Tag::any}) {
      const memory::desc src(Nchw(input), kF32, tag), dst(Nchw(output), kF32, tag);
      const memory::desc weights(Oihw(filter), kF32, Tag::any);
      const dnnl::convolution_forward::desc fwd(
          dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, src, weights,
          dst, w.strides, w.before, w.after);
      const dnnl::convolution_forward::primitive_desc hint(fwd, Engine());
      if (forward) {
        candidates.push_back(Primitive(dnnl::convolution_forward(hint),
                                       {{DNNL_ARG_SRC, Make(hint.src_desc())},
                                        {DNNL_ARG_WEIGHTS, Make(hint.weights_desc())},
                                        {DNNL_ARG_DST, Make(hint.dst_desc())}}));
      } else if (to_input) {
        const dnnl::convolution_backward_data::primitive_desc pd(
            dnnl::convolution_backward_data::desc(dnnl::algorithm::convolution_direct, src,
                                                  weights, dst, w.strides, w.before, w.after),
            Engine(), hint);
        candidates.push_back(Primitive(dnnl::convolution_backward_data(pd),
                                       {{DNNL_ARG_DIFF_SRC, Make(pd.diff_src_desc())},
                                        {DNNL_ARG_WEIGHTS, Make(pd.weights_desc())},
                                        {DNNL_ARG_DIFF_DST, Make(pd.diff_dst_desc())}}));
      } else {
        const dnnl::convolution_backward_weights::primitive_desc pd(
            dnnl::convolution_backward_weights::desc(dnnl::algorithm::convolution_direct, src,
                                                     weights, dst, w.strides, w.before, w.after),
            Engine(), hint);
        candidates.push_back(Primitive(dnnl::convolution_backward_weights(pd),
                                       {{DNNL_ARG_SRC, Make(pd.src_desc())},
                                        {DNNL_ARG_DIFF_WEIGHTS, Make(pd.diff_weights_desc())},
                                        {DNNL_ARG_DIFF_DST, Make(pd.diff_dst_desc())}}));
      }
    }
    KeepFastest(std::move(candidates));
    flops = 2 * output.NumElements() * filter[0] * filter[1] * filter[2];
  }
};

class StepFloor::Pooling final : public Work {
 public:
  explicit Pooling(const Node& node) {
    const bool maximum = StartsWith(node.op(), "MaxPool");
    const bool forward = node.op() == "MaxPool" || node.op() == "AvgPool";
    const Shape input = node.op() == "AvgPoolGrad" ? ConstantShape(node, 0) : In(node, 0);
    const Shape output = forward ? Out(node) : In(node, node.num_inputs() - 1);
    const auto& ksize = node.attrs().Get<std::vector<int64_t>>("ksize");
    const Window w = WindowOf(node, input, ksize[1], ksize[2]);
    const auto algorithm = maximum ? dnnl::algorithm::pooling_max
                                   : dnnl::algorithm::pooling_avg_exclude_padding;
    std::vector<Candidate> candidates;
    for (const Tag tag : {Tag::nhwc, Tag::nChw16c}) {
      const memory::desc src(Nchw(input), kF32, tag), dst(Nchw(output), kF32, tag);
      const memory::dims kernel{ksize[1], ksize[2]};
      const dnnl::pooling_forward::primitive_desc hint(
          dnnl::pooling_forward::desc(dnnl::prop_kind::forward_training, algorithm, src, dst,
                                      w.strides, kernel, w.before, w.after),
          Engine());
      std::unordered_map<int, memory> args;
      if (maximum) args[DNNL_ARG_WORKSPACE] = Make(hint.workspace_desc());
      if (forward) {
        args[DNNL_ARG_SRC] = Make(src);
        args[DNNL_ARG_DST] = Make(dst);
        candidates.push_back(Primitive(dnnl::pooling_forward(hint), args));
      } else {
        const dnnl::pooling_backward::primitive_desc pd(
            dnnl::pooling_backward::desc(algorithm, src, dst, w.strides, kernel, w.before,
                                         w.after),
            Engine(), hint);
        args[DNNL_ARG_DIFF_SRC] = Make(src);
        args[DNNL_ARG_DIFF_DST] = Make(dst);
        candidates.push_back(Primitive(dnnl::pooling_backward(pd), args));
      }
    }
    KeepFastest(std::move(candidates));
  }
};

// Streams over the variable, its slots and the gradient; writes all but the last.
class StepFloor::Update final : public Work {
 public:
  Update(int64_t elements, int slots) : elements_(elements), slots_(slots) {
    for (int i = 0; i < slots + 2; ++i) arrays_.push_back(Tensor::Zeros(DType::kFloat32, {elements}));
    bytes = elements * 4 * (2 * (slots + 1) + 1);
  }

  void Run() override {
    const float* gradient = arrays_.back().data<float>();
    ParallelFor(elements_, 16384, [&](int64_t begin, int64_t end) {
      // In chunks that stay in the first cache: memory sees every array once.
      for (int64_t at = begin; at < end; at += kChunk) {
        const int64_t n = std::min<int64_t>(kChunk, end - at);
        for (int i = 0; i <= slots_; ++i) {
          float* state = arrays_[i].mutable_data<float>() + at;
          add_(state, gradient + at, state, n);
        }
      }
    });
  }

 private:
  static constexpr int64_t kChunk = 1024;
  const simd::BinaryFn add_ = simd::FindBinary("AddV2").vector_vector;
  int64_t elements_;
  int slots_;
  std::vector<Tensor> arrays_;
};

StepFloor::StepFloor(const Graph& graph) {
  omp_set_num_threads(NumThreads());  // oneDNN by itself, on its own team
  for (const auto& node : graph.nodes()) {
    try {
      AddNode(*node);
    } catch (const dnnl::error& e) {
      std::string shapes;
      for (const Tensor& input : node->inputs()) shapes += " " + input.spec().ToString();
      throw InternalError("[bench] node {} ({}) on{} -> {}: {}", node->name(), node->op(), shapes,
                          node->output(0).ToString(), e.message);
    }
  }
}

void StepFloor::AddNode(const Node& node) {
  const std::string& op = node.op();
  if (op == "MatMul" || op == "BatchMatMulV2") {
    Add(std::make_unique<Gemm>(node));
  } else if (StartsWith(op, "Conv2D")) {
    Add(std::make_unique<Convolution>(node));
  } else if (StartsWith(op, "MaxPool") || StartsWith(op, "AvgPool")) {
    Add(std::make_unique<Pooling>(node));
  } else if (StartsWith(op, "ResourceApply")) {
    // Variable first, then its slots of the same size, gradient among the rest.
    int same = 0;
    for (const Tensor& input : node.inputs()) {
      same += input.dtype() == DType::kResource &&
              input.spec().shape == node.input(0).spec().shape;
    }
    Add(std::make_unique<Update>(In(node, 0).NumElements(), std::min(same - 1, 2)));
  }
}

StepFloor::~StepFloor() = default;

void StepFloor::Add(std::unique_ptr<Work> work) {
  flops_ += work->flops;
  update_bytes_ += work->bytes;
  work_.push_back(std::move(work));
}

void StepFloor::Run() {
  for (const auto& work : work_) work->Run();
}

}  // namespace tributary
