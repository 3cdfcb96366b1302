// _FlatPack: tensors side by side in one flat bucket. No op of TensorFlow's: it is how
// gradients come to lie in one span. The plan lets every producer write to its place;
// what could not be placed is copied.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array_ops.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

void CheckOffsets(const InferenceContext& c) {
  const auto& offsets = c.attr<std::vector<int64_t>>("offsets");
  const int64_t size = c.attr<int64_t>("size");
  if (static_cast<int>(offsets.size()) != c.num_inputs()) {
    throw InvalidArgumentError("[_FlatPack] {} offsets for {} inputs", offsets.size(),
                               c.num_inputs());
  }
  int64_t end = 0;
  for (int i = 0; i < c.num_inputs(); ++i) {
    const int64_t count = c.shape(i).IsFullyDefined() ? c.shape(i).NumElements() : 0;
    if (offsets[i] < end || count > size - offsets[i]) {
      throw InvalidArgumentError("[_FlatPack] input {} of {} elements at offset {} overlaps "
                                 "another or ends beyond {}",
                                 i, count, offsets[i], size);
    }
    end = offsets[i] + count;
  }
}

struct Piece {
  int input;  // -1: a gap
  size_t offset, bytes;
};

std::unique_ptr<Kernel> MakeFlatPack(PrepareContext& c) {
  const auto& offsets = c.attr<std::vector<int64_t>>("offsets");
  const size_t element = DTypeSize(c.out_dtype(0));
  if (!IsPlain(c.out_dtype(0))) throw UnimplementedError("[_FlatPack] needs numbers");
  std::vector<Piece> pieces;
  size_t end = 0;
  for (int i = 0; i < c.num_inputs(); ++i) {
    const size_t offset = offsets[i] * element;
    const size_t bytes = c.in_shape(i).NumElements() * element;
    if (offset > end) pieces.push_back({-1, end, offset - end});
    pieces.push_back({i, offset, bytes});
    c.place_input(i, offset);
    end = offset + bytes;
  }
  const size_t total = c.attr<int64_t>("size") * element;
  if (total > end) pieces.push_back({-1, end, total - end});
  if (c.attr<bool>("leave_gaps")) std::erase_if(pieces, [](const Piece& p) { return p.input < 0; });
  return MakeKernel([pieces](const LaunchArgs& args) {
    char* out = static_cast<char*>(args.out[0]);
    for (const Piece& piece : pieces) {
      if (piece.bytes == 0) continue;
      if (piece.input < 0) {
        std::memset(out + piece.offset, 0, piece.bytes);
      } else if (args.in[piece.input] != out + piece.offset) {
        std::memcpy(out + piece.offset, args.in[piece.input], piece.bytes);
      }
    }
  });
}

}  // namespace

REGISTER_OP("_FlatPack")
    .Input("inputs: N * T")
    .Output("flat: T")
    .Attr("N: int >= 1")
    .Attr("T: type")
    .Attr("offsets: list(int)")
    .Attr("size: int >= 0")
    .Attr("bucket: string = \"\"")
    .Attr("leave_gaps: bool = false")
    .Shape([](InferenceContext& c) {
      CheckOffsets(c);
      c.set_output(0, Shape{c.attr<int64_t>("size")});
    })
    .Gradient([](const GradContext& g) -> Grads {
      Grads grads;
      const auto& offsets = g.attr<std::vector<int64_t>>("offsets");
      for (int i = 0; i < g.num_inputs(); ++i) {
        const Tensor size = ops::Reshape(ops::SizeOf(g.input(i)), {1});
        const Tensor part = ops::Slice(g.grad(), {offsets[i]}, size);
        grads.push_back(ops::ReshapeLike(part, g.input(i)));
      }
      return grads;
    })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4}, {2, 2});
      const Tensor y = Tensor::FromVector<double>({5, 6, 7});
      return std::vector<OpSample>{
          {{x, y}, {{"offsets", std::vector<int64_t>{0, 6}}, {"size", 12}}}};
    });
REGISTER_KERNEL("_FlatPack", DeviceType::kCpu, {}, MakeFlatPack);

namespace ops {

Tensor FlatPack(const std::vector<Tensor>& inputs, const std::vector<int64_t>& offsets,
                int64_t size, const std::string& bucket, bool leave_gaps) {
  return Execute1("_FlatPack", inputs,
                  {{"offsets", offsets}, {"size", size}, {"bucket", bucket},
                   {"leave_gaps", leave_gaps}});
}

}  // namespace ops
}  // namespace tributary
