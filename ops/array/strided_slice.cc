// StridedSlice, StridedSliceGrad: NumPy's x[begin:end:stride, ..., newaxis, 3].
// Source of the rules: tensorflow/core/util/strided_slice_op.cc.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array/strided_copy.h"
#include "ops/array_ops.h"

namespace tributary {
namespace {

struct Spec {
  std::vector<int64_t> begin, end, strides;
  ops::StridedSliceMasks masks;
};

// How one dimension of the input is read, and what becomes of it.
struct Range {
  int64_t begin = 0, step = 1, size = Shape::kUnknownDim;
  bool shrink = false;
};

struct Sliced {
  std::vector<Range> ranges;  // one a dimension of the input
  Shape shape;                // of the output; -1 where unknown
};

Range SliceDim(int64_t dim, const Spec& spec, int i, const std::string& op) {
  const auto has = [i](int64_t mask) { return (mask >> i) & 1; };
  const int64_t step = spec.strides[i];
  if (step == 0) throw InvalidArgumentError("[{}] strides[{}] must not be 0", op, i);
  if (has(spec.masks.shrink_axis)) {
    if (step < 0) {
      throw InvalidArgumentError("[{}] only stride 1 allowed on non-range indexing, got {} for "
                                 "index {}", op, step, i);
    }
    int64_t at = spec.begin[i];
    if (dim >= 0) {
      if (at < -dim || at >= dim) {
        throw InvalidArgumentError("[{}] index {} is out of range for size {}", op, at, dim);
      }
      if (at < 0) at += dim;
    }
    return {at, 1, 1, true};
  }
  if (dim < 0) return {0, step, Shape::kUnknownDim, false};
  const int64_t low = step > 0 ? 0 : -1;
  const int64_t high = step > 0 ? dim : dim - 1;
  const auto bound = [&](int64_t at) { return std::clamp(at < 0 ? at + dim : at, low, high); };
  const int64_t begin =
      has(spec.masks.begin) ? (step > 0 ? low : high) : bound(spec.begin[i]);
  const int64_t end = has(spec.masks.end) ? (step > 0 ? high : low) : bound(spec.end[i]);
  const int64_t span = step > 0 ? end - begin : begin - end;
  const int64_t size = span <= 0 ? 0 : (span - 1) / std::abs(step) + 1;
  return {begin, step, size, false};
}

Sliced Apply(const Shape& shape, const Spec& spec, const std::string& op) {
  const int n = static_cast<int>(spec.begin.size());
  const auto bit = [](int64_t mask, int i) { return (mask >> i) & 1; };
  int ellipsis = -1;
  int consumed = 0;
  for (int i = 0; i < n; ++i) {
    if (bit(spec.masks.ellipsis, i)) {
      if (ellipsis >= 0) throw InvalidArgumentError("[{}] has two ellipses", op);
      ellipsis = i;
    } else if (!bit(spec.masks.new_axis, i)) {
      ++consumed;
    }
  }
  if (consumed > shape.rank()) {
    throw InvalidArgumentError("[{}] {} indices for shape {}", op, consumed, shape.ToString());
  }
  Sliced result;
  const auto keep_whole = [&](int count) {
    for (int k = 0; k < count; ++k) {
      const int64_t dim = shape[static_cast<int>(result.ranges.size())];
      result.ranges.push_back({0, 1, dim, false});
      result.shape.AddDim(dim);
    }
  };
  for (int i = 0; i < n; ++i) {
    if (bit(spec.masks.ellipsis, i)) {
      keep_whole(shape.rank() - consumed);
    } else if (bit(spec.masks.new_axis, i)) {
      result.shape.AddDim(1);
    } else {
      const int at = static_cast<int>(result.ranges.size());
      result.ranges.push_back(SliceDim(shape[at], spec, i, op));
      if (!result.ranges.back().shrink) result.shape.AddDim(result.ranges.back().size);
    }
  }
  keep_whole(shape.rank() - static_cast<int>(result.ranges.size()));
  return result;
}

ops::StridedSliceMasks MasksOf(const AttrMap& attrs) {
  return {attrs.Get<int64_t>("begin_mask"), attrs.Get<int64_t>("end_mask"),
          attrs.Get<int64_t>("ellipsis_mask"), attrs.Get<int64_t>("new_axis_mask"),
          attrs.Get<int64_t>("shrink_axis_mask")};
}

AttrMap AttrsOf(const ops::StridedSliceMasks& masks) {
  return {{"begin_mask", masks.begin},
          {"end_mask", masks.end},
          {"ellipsis_mask", masks.ellipsis},
          {"new_axis_mask", masks.new_axis},
          {"shrink_axis_mask", masks.shrink_axis}};
}

void CheckLengths(const Spec& spec, const std::string& op) {
  if (spec.begin.size() != spec.end.size() || spec.begin.size() != spec.strides.size() ||
      spec.begin.size() > 32) {
    throw InvalidArgumentError("[{}] begin, end and strides have lengths {}, {} and {}", op,
                               spec.begin.size(), spec.end.size(), spec.strides.size());
  }
}

// begin, end and strides are inputs first, first + 1, first + 2.
std::optional<Spec> SpecOf(const InferenceContext& c, int first) {
  for (int i = 0; i < 3; ++i) c.RequireRank(first + i, 1, "begin, end and strides");
  const auto begin = c.constant_ints(first);
  const auto end = c.constant_ints(first + 1);
  const auto strides = c.constant_ints(first + 2);
  if (!begin || !end || !strides) return std::nullopt;
  Spec spec{*begin, *end, *strides, MasksOf(c.attrs())};
  CheckLengths(spec, c.op());
  return spec;
}

Spec SpecOf(const PrepareContext& c, int first) {
  return {c.constant_ints(first), c.constant_ints(first + 1), c.constant_ints(first + 2),
          MasksOf(c.attrs())};
}

// The box as offset, sizes and strides in the big tensor.
struct Box {
  int64_t offset = 0;
  std::vector<int64_t> dims, strides, dense;
};

Box BoxOf(const Shape& shape, const Sliced& sliced) {
  Box box;
  const auto strides = shape.Strides();
  Shape whole;
  for (size_t i = 0; i < sliced.ranges.size(); ++i) {
    const Range& range = sliced.ranges[i];
    box.offset += range.size ? range.begin * strides[i] : 0;
    box.dims.push_back(range.size);
    box.strides.push_back(range.step * strides[i]);
    whole.AddDim(range.size);
  }
  box.dense = whole.Strides();
  return box;
}

std::unique_ptr<Kernel> MakeStridedSlice(PrepareContext& c) {
  const Shape& in = c.in_shape(0);
  const Box box = BoxOf(in, Apply(in, SpecOf(c, 1), c.op()));
  if (c.out_shape(0).NumElements() == in.NumElements() && box.strides == in.Strides()) {
    c.forward(0, 0);
    return nullptr;
  }
  const StridedCopy copy(c.in_dtype(0), box.dims, box.strides, box.dense, box.offset);
  return MakeKernel([copy](const LaunchArgs& args) { copy(args.in[0], args.out[0]); });
}

std::unique_ptr<Kernel> MakeStridedSliceGrad(PrepareContext& c) {
  const Shape& out = c.out_shape(0);
  const Box box = BoxOf(out, Apply(out, SpecOf(c, 1), c.op()));
  const StridedCopy copy(c.in_dtype(4), box.dims, box.dense, box.strides, 0, box.offset);
  const size_t bytes = out.NumElements() * DTypeSize(c.out_dtype(0));
  if (!IsPlain(c.out_dtype(0))) {
    throw UnimplementedError("[StridedSliceGrad] dtype {} is not supported",
                             DTypeName(c.out_dtype(0)));
  }
  return MakeKernel([copy, bytes](const LaunchArgs& args) {
    if (bytes) std::memset(args.out[0], 0, bytes);
    copy(args.in[4], args.out[0]);
  });
}

std::vector<OpSample> StridedSliceSamples() {
  const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {3, 4});
  const auto ints = [](std::vector<int32_t> v) { return Tensor::FromVector(v); };
  return {
      {{x, ints({0, 1}), ints({3, 4}), ints({2, 2})}},
      {{x, ints({2, -1}), ints({0, 0}), ints({-1, -2})}},
      {{x, ints({1}), ints({2}), ints({1})}, {{"shrink_axis_mask", 1}}},
      {{x, ints({0, 0, 1}), ints({0, 0, 3}), ints({1, 1, 1})},
       {{"ellipsis_mask", 2}, {"new_axis_mask", 1}}},
      {{x, ints({0, 0}), ints({0, 0}), ints({1, -1})}, {{"begin_mask", 3}, {"end_mask", 3}}},
      {{x, ints({2}), ints({1}), ints({1})}}};
}

}  // namespace

REGISTER_OP("StridedSlice")
    .Input("input: T")
    .Input("begin: Index")
    .Input("end: Index")
    .Input("strides: Index")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Index: {int32, int64}")
    .Attr("begin_mask: int = 0")
    .Attr("end_mask: int = 0")
    .Attr("ellipsis_mask: int = 0")
    .Attr("new_axis_mask: int = 0")
    .Attr("shrink_axis_mask: int = 0")
    .Shape([](InferenceContext& c) {
      const auto spec = SpecOf(c, 1);
      if (!spec || c.shape(0).unknown_rank()) return;
      c.set_output(0, Apply(c.shape(0), *spec, c.op()).shape);
    })
    .Gradient([](const GradContext& g) -> Grads {
      AttrMap attrs = AttrsOf(MasksOf(g.attrs()));
      const Tensor shape = ops::ShapeOf(g.input(0), g.input(1).dtype());
      return {Execute1("StridedSliceGrad",
                       {shape, g.input(1), g.input(2), g.input(3), g.grad()}, attrs),
              {}, {}, {}};
    })
    .Samples(StridedSliceSamples);
REGISTER_KERNEL("StridedSlice", DeviceType::kCpu, {}, MakeStridedSlice);

REGISTER_OP("StridedSliceGrad")
    .Input("shape: Index")
    .Input("begin: Index")
    .Input("end: Index")
    .Input("strides: Index")
    .Input("dy: T")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Index: {int32, int64}")
    .Attr("begin_mask: int = 0")
    .Attr("end_mask: int = 0")
    .Attr("ellipsis_mask: int = 0")
    .Attr("new_axis_mask: int = 0")
    .Attr("shrink_axis_mask: int = 0")
    .Shape([](InferenceContext& c) {
      const Shape shape = ops::ShapeFromInput(c, 0);
      const auto spec = SpecOf(c, 1);
      if (spec && !shape.unknown_rank()) {
        ops::MergeShapes(c, Apply(shape, *spec, c.op()).shape, c.shape(4));
      }
      c.set_output(0, shape);
    })
    .Gradient([](const GradContext& g) -> Grads {
      return {{}, {}, {}, {},
              ops::StridedSlice(g.grad(), g.input(1), g.input(2), g.input(3),
                                MasksOf(g.attrs()))};
    })
    .Samples([] {
      const auto ints = [](std::vector<int32_t> v) { return Tensor::FromVector(v); };
      return std::vector<OpSample>{{{ints({3, 4}), ints({0, 1}), ints({3, 4}), ints({2, 2}),
                                     Tensor::FromVector<double>({1, 2, 3, 4}, {2, 2})}}};
    });
REGISTER_KERNEL("StridedSliceGrad", DeviceType::kCpu, {}, MakeStridedSliceGrad);

namespace ops {

Tensor StridedSlice(const Tensor& input, const IntList& begin, const IntList& end,
                    const IntList& strides, const StridedSliceMasks& masks) {
  return Execute1("StridedSlice", {input, begin.tensor(), end.tensor(), strides.tensor()},
                  AttrsOf(masks));
}

}  // namespace ops
}  // namespace tributary
