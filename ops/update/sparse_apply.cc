// The update ops for sparse gradients: rows of equal index are added up first, then
// each row is updated once. `lazy` leaves all other rows and their slots alone; else
// they are updated as by a gradient of zero (moments decay), to the bit as the dense op
// does on the densified gradient, without making one.

#include <array>
#include <cmath>

#include "core/base/parallel.h"
#include "core/runtime/execute.h"
#include "ops/sparse_update_ops.h"
#include "ops/update/row_gradient.h"
#include "ops/update/update.h"

namespace tributary {
namespace {

// How one op's inputs are read: variables, numbers, then grad and indices at the end.
struct RowRule {
  const char* op;
  UpdateRule rule;
  std::array<int, 3> slots;  // input of slot0, slot1, slot2, or -1
  UpdateNumbers (*numbers)(const LaunchArgs&);
  bool decays;  // a gradient of zero changes something
};

alignas(64) constexpr std::array<float, 4096> kZeros{};

UpdateArrays ArraysAt(const LaunchArgs& args, const RowRule& rule, int64_t element) {
  const auto slot = [&](int i) {
    return rule.slots[i] < 0 ? nullptr : Slot(args, rule.slots[i]) + element;
  };
  return {.var = Slot(args, 0) + element, .slot0 = slot(0), .slot1 = slot(1), .slot2 = slot(2)};
}

class RowUpdate final : public Kernel {
 public:
  RowUpdate(PrepareContext& c, const RowRule& rule)
      : rule_(rule), fn_(FindUpdate(rule.rule)), rows_(c.in_shape(0)[0]),
        width_(rows_ ? c.in_shape(0).NumElements() / rows_ : 0),
        grad_(c.num_inputs() - 2), dtype_(c.in_dtype(grad_ + 1)),
        gradient_(c.in_shape(grad_ + 1)[0], width_, rows_),
        all_(rule.decays && !c.attr<bool>("lazy")) {
    c.set_scratch_bytes(gradient_.scratch_bytes());
  }

  void Launch(const LaunchArgs& args) override {
    gradient_.Combine(rule_.op, args.in[grad_ + 1], dtype_,
                      static_cast<const float*>(args.in[grad_]), args.scratch);
    const UpdateNumbers numbers = rule_.numbers(args);
    all_ ? UpdateAll(args, numbers) : UpdateTouched(args, numbers);
  }

 private:
  void UpdateRow(const LaunchArgs& args, const UpdateNumbers& numbers, int64_t i) const {
    UpdateArrays arrays = ArraysAt(args, rule_, gradient_.row(i) * width_);
    arrays.grad = gradient_.sum(i);
    fn_(arrays, numbers, 0, width_);
  }

  void UpdateTouched(const LaunchArgs& args, const UpdateNumbers& numbers) const {
    constexpr int64_t kAhead = 4;
    ParallelFor(gradient_.size(), 1 + (1 << 13) / (width_ + 1), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (i + kAhead < end) {
          const UpdateArrays next = ArraysAt(args, rule_, gradient_.row(i + kAhead) * width_);
          __builtin_prefetch(next.var, 1);
          if (next.slot0) __builtin_prefetch(next.slot0, 1);
          if (next.slot1) __builtin_prefetch(next.slot1, 1);
        }
        UpdateRow(args, numbers, i);
      }
    });
  }

  // One pass over the table: touched rows by their sums, what lies between by zeros.
  void UpdateAll(const LaunchArgs& args, const UpdateNumbers& numbers) {
    gradient_.Sort();
    ParallelFor(rows_, 1 + (1 << 14) / (width_ + 1), [&](int64_t begin, int64_t end) {
      int64_t low = 0, high = gradient_.size();
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        (gradient_.row(middle) < begin ? low = middle + 1 : high = middle);
      }
      int64_t row = begin;
      for (int64_t i = low; i < gradient_.size() && gradient_.row(i) < end; ++i) {
        UpdateByZeros(args, numbers, row, gradient_.row(i));
        UpdateRow(args, numbers, i);
        row = gradient_.row(i) + 1;
      }
      UpdateByZeros(args, numbers, row, end);
    });
  }

  void UpdateByZeros(const LaunchArgs& args, const UpdateNumbers& numbers, int64_t begin,
                     int64_t end) const {
    constexpr auto kPiece = static_cast<int64_t>(kZeros.size());
    for (int64_t at = begin * width_; at < end * width_; at += kPiece) {
      UpdateArrays arrays = ArraysAt(args, rule_, at);
      arrays.grad = kZeros.data();
      fn_(arrays, numbers, 0, std::min(kPiece, end * width_ - at));
    }
  }

  const RowRule rule_;
  const UpdateFn fn_;
  const int64_t rows_, width_;
  const int grad_;
  const DType dtype_;
  RowGradient gradient_;
  const bool all_;
};

UpdateNumbers RateOnly(const LaunchArgs& args) { return {.a = Number(args, 1)}; }
UpdateNumbers RateAndOne(const LaunchArgs& args) {
  return {.a = Number(args, 2), .b = Number(args, 3)};
}
UpdateNumbers RmsAt(const LaunchArgs& args, int first) {
  return {.a = Number(args, first), .b = 1.0f - Number(args, first + 1),
          .c = Number(args, first + 2), .d = Number(args, first + 3)};
}
// As ResourceApplyAdam; input 9 is the weight decay.
UpdateNumbers AdamNumbers(const LaunchArgs& args) {
  const float correction = std::sqrt(1.0f - Number(args, 4)) / (1.0f - Number(args, 3));
  return {.a = Number(args, 5) * correction, .b = 1.0f - Number(args, 6),
          .c = 1.0f - Number(args, 7), .d = Number(args, 8),
          .e = 1.0f - Number(args, 5) * Number(args, 9)};
}

template <bool kNesterov>
constexpr RowRule kMomentumRule{
    "_SparseApplyKerasMomentum",
    kNesterov ? UpdateRule::kKerasNesterov : UpdateRule::kKerasMomentum, {1, -1, -1}, RateAndOne,
    true};

KernelFactory FactoryOf(const RowRule& rule) {
  return [rule](PrepareContext& c) { return std::make_unique<RowUpdate>(c, rule); };
}

void RowShape(InferenceContext& c, int variables) {
  UpdateShape(c, variables, c.num_inputs() - 2, c.num_inputs() - 1);
}

Tensor Rows() { return Tensor::FromVector<int64_t>({2, 0, 2}); }
std::vector<OpSample> Lazily(const std::function<std::vector<Tensor>()>& inputs) {
  return {{inputs(), {{"lazy", true}}}, {inputs(), {{"lazy", false}}}};
}

#define TRB_SPARSE_APPLY_END(variables)                        \
  .Input("grad: T")                                            \
      .Input("indices: Tindices")                              \
      .Attr("T: {float32}")                                    \
      .Attr("Tindices: {int32, int64}")                        \
      .Attr("lazy: bool = true")                               \
      .Shape([](InferenceContext& c) { RowShape(c, variables); }) \
      .Stateful()                                              \
      .NotDifferentiable()

REGISTER_OP("_SparseApplyGradientDescent")
    .Input("var: resource").Input("alpha: T") TRB_SPARSE_APPLY_END(1)
    .Samples([] {
      return Lazily([] { return std::vector<Tensor>{SampleVariable(0), 0.1f, SampleGradient(), Rows()}; });
    });
REGISTER_KERNEL("_SparseApplyGradientDescent", DeviceType::kCpu, {DType::kFloat32},
                FactoryOf({"_SparseApplyGradientDescent", UpdateRule::kGradientDescent,
                           {-1, -1, -1}, RateOnly, false}));

REGISTER_OP("_SparseApplyKerasMomentum")
    .Input("var: resource").Input("accum: resource").Input("lr: T").Input("momentum: T")
    TRB_SPARSE_APPLY_END(2)
    .Attr("use_nesterov: bool = false")
    .Samples([] {
      return Lazily([] {
        return std::vector<Tensor>{SampleVariable(0), SampleVariable(0), 0.1f, 0.9f,
                                   SampleGradient(), Rows()};
      });
    });
REGISTER_KERNEL("_SparseApplyKerasMomentum", DeviceType::kCpu, {DType::kFloat32},
                [](PrepareContext& c) {
                  return std::make_unique<RowUpdate>(
                      c, c.attr<bool>("use_nesterov") ? kMomentumRule<true> : kMomentumRule<false>);
                });

REGISTER_OP("_SparseApplyAdagrad")
    .Input("var: resource").Input("accum: resource").Input("lr: T").Input("epsilon: T")
    TRB_SPARSE_APPLY_END(2)
    .Samples([] {
      return Lazily([] {
        return std::vector<Tensor>{SampleVariable(0), SampleVariable(1), 0.1f, 1e-7f,
                                   SampleGradient(), Rows()};
      });
    });
REGISTER_KERNEL("_SparseApplyAdagrad", DeviceType::kCpu, {DType::kFloat32},
                FactoryOf({"_SparseApplyAdagrad", UpdateRule::kKerasAdagrad, {1, -1, -1}, RateAndOne,
                           false}));

REGISTER_OP("_SparseApplyRMSProp")
    .Input("var: resource").Input("ms: resource").Input("mom: resource").Input("lr: T")
    .Input("rho: T").Input("momentum: T").Input("epsilon: T") TRB_SPARSE_APPLY_END(3)
    .Samples([] {
      return Lazily([] {
        return std::vector<Tensor>{SampleVariable(0), SampleVariable(1), SampleVariable(0), 0.1f,
                                   0.9f, 0.5f, 1e-3f, SampleGradient(), Rows()};
      });
    });
REGISTER_KERNEL("_SparseApplyRMSProp", DeviceType::kCpu, {DType::kFloat32},
                FactoryOf({"_SparseApplyRMSProp", UpdateRule::kRMSProp, {1, 2, -1},
                           [](const LaunchArgs& args) { return RmsAt(args, 3); }, true}));

REGISTER_OP("_SparseApplyCenteredRMSProp")
    .Input("var: resource").Input("mg: resource").Input("ms: resource").Input("mom: resource")
    .Input("lr: T").Input("rho: T").Input("momentum: T").Input("epsilon: T")
    TRB_SPARSE_APPLY_END(4)
    .Samples([] {
      return Lazily([] {
        return std::vector<Tensor>{SampleVariable(0), SampleVariable(0), SampleVariable(2),
                                   SampleVariable(0), 0.1f, 0.9f, 0.5f, 1e-3f, SampleGradient(),
                                   Rows()};
      });
    });
REGISTER_KERNEL("_SparseApplyCenteredRMSProp", DeviceType::kCpu, {DType::kFloat32},
                FactoryOf({"_SparseApplyCenteredRMSProp", UpdateRule::kCenteredRMSProp, {2, 3, 1},
                           [](const LaunchArgs& args) { return RmsAt(args, 4); }, true}));

REGISTER_OP("_SparseApplyAdam")
    .Input("var: resource").Input("m: resource").Input("v: resource").Input("beta1_power: T")
    .Input("beta2_power: T").Input("lr: T").Input("beta1: T").Input("beta2: T")
    .Input("epsilon: T").Input("weight_decay: T") TRB_SPARSE_APPLY_END(3)
    .Samples([] {
      return Lazily([] {
        return std::vector<Tensor>{SampleVariable(0), SampleVariable(0), SampleVariable(1), 0.9f,
                                   0.99f, 0.1f, 0.9f, 0.99f, 1e-7f, 0.01f, SampleGradient(),
                                   Rows()};
      });
    });
REGISTER_KERNEL("_SparseApplyAdam", DeviceType::kCpu, {DType::kFloat32},
                FactoryOf({"_SparseApplyAdam", UpdateRule::kAdam, {1, 2, -1}, AdamNumbers, true}));

}  // namespace

namespace ops {

void SparseApply(const std::string& rule, std::vector<Tensor> variables,
                 const std::vector<Tensor>& numbers, const RowSlices& gradient, bool lazy,
                 AttrMap attrs) {
  std::vector<Tensor> inputs = std::move(variables);
  inputs.insert(inputs.end(), numbers.begin(), numbers.end());
  inputs.push_back(gradient.values);
  inputs.push_back(gradient.indices);
  attrs.Set("lazy", lazy);
  Execute("_SparseApply" + rule, inputs, attrs);
}

}  // namespace ops
}  // namespace tributary
