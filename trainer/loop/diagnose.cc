// Where do the NaNs come from? Runs the forward pass of the failed batch again,
// with every layer's output in sight.

#include "core/runtime/function.h"
#include "trainer/loop/check_finite.h"
#include "trainer/loop/program.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

struct Seen {
  std::string name, class_name;
};

// The input that is not finite, or "".
std::string BadInput(const std::vector<Tensor>& batch, int64_t row_offset) {
  for (size_t i = 0; i < batch.size(); ++i) {
    const int64_t at = FirstNonFinite(batch[i]);
    if (at < 0) continue;
    const int64_t row = row_offset + at / std::max<int64_t>(1, batch[i].NumElements() / batch[i].dim(0));
    return fmt::format("row {} of the batch's {} is not finite", row,
                       i + 1 == batch.size() ? "target" : fmt::format("input {}", i));
  }
  return "";
}

std::string BadVariable(const std::vector<VariablePtr>& variables) {
  for (const VariablePtr& variable : variables) {
    if (FirstNonFinite(variable->storage()) >= 0) return variable->name();
  }
  return "";
}

}  // namespace

void ThrowNonFinite(Program& program, const std::vector<Tensor>& batch, int64_t row_offset,
                    int64_t step) {
  const auto fail = [&](const std::string& layer, const std::string& what) {
    throw NonFiniteError(
        step, layer,
        fmt::format("[fit] step {} {}: {}; lower the learning rate, clip gradients "
                    "(global_clipnorm), or clean the data",
                    step, NonFiniteError::kWords, what));
  };
  if (const std::string input = BadInput(batch, row_offset); !input.empty()) fail("", input);
  if (const std::string name = BadVariable(program.trainable); !name.empty()) {
    fail("", fmt::format("variable '{}' is not finite", name));
  }
  std::vector<Seen> layers;
  Function forward("diagnose", [&](const std::vector<Tensor>& in) {
    layers.clear();
    std::vector<Tensor> outputs;
    CallContext context(true);
    context.set_random_step(program.step->value());
    context.set_row_offset(row_offset);
    context.set_observer([&](const Layer& layer, const Tensor& output) {
      if (!IsFloating(output.dtype())) return;
      layers.push_back({layer.path(), layer.class_name()});
      outputs.push_back(output);
    });
    program.model->CallAll({in.begin(), in.end() - 1}, context);
    return outputs;
  });
  const std::vector<Tensor> outputs = forward(batch);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (FirstNonFinite(outputs[i]) < 0) continue;
    fail(layers[i].name, fmt::format("layer '{}' ({}) is the first whose output is not finite",
                                     layers[i].name, layers[i].class_name));
  }
  fail("", "the loss or a gradient is not finite, though every layer's output is");
  throw InternalError("[fit] unreachable");
}

}  // namespace tributary
