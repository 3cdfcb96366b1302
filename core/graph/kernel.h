#pragma once
// Kernels: how an op is computed on a device. Two phases.
//
//   prepare: a factory sees shapes, dtypes and attributes once, makes what the
//            launch needs (a oneDNN primitive, a packed constant, scratch size)
//            and returns the kernel;
//   launch:  pointers and a stream, nothing else. It neither allocates nor
//            looks anything up.
//
//   REGISTER_KERNEL("Relu", DeviceType::kCpu, {DType::kFloat32}, MakeRelu);
//
// Pointers in LaunchArgs are device pointers to dense row-major data; a resource
// input is a pointer to the variable's data, which the kernel may write;
// string tensors are arrays of std::string.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/graph/attr.h"
#include "core/graph/op.h"

namespace tributary {

struct LaunchArgs {
  void* const* in = nullptr;
  void* const* out = nullptr;
  void* scratch = nullptr;
  Stream* stream = nullptr;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  // Enqueues (CPU: computes). Throws only for errors in the data, such as an
  // index out of range.
  virtual void Launch(const LaunchArgs& args) = 0;
};

// A kernel whose work goes on elsewhere (a network, a file). The executor calls
// Launch to start it and Finish before the first consumer of its outputs.
class AsyncKernel : public Kernel {
 public:
  // Returns when the outputs are written. Throws DeadlineExceededError or
  // UnavailableError naming the peer.
  virtual void Finish() = 0;
};

// What a kernel factory sees and may ask for.
class PrepareContext {
 public:
  PrepareContext(const std::string& op, const AttrMap& attrs,
                 const std::vector<TensorSpec>& inputs,
                 const std::vector<TensorSpec>& outputs,
                 const std::vector<const Tensor*>& constants, Device* device)
      : op_(op), attrs_(attrs), inputs_(inputs), outputs_(outputs),
        constants_(constants), device_(device) {}

  const std::string& op() const { return op_; }
  const AttrMap& attrs() const { return attrs_; }
  template <typename T>
  const T& attr(const std::string& name) const {
    return attrs_.Get<T>(name);
  }
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  // Fully defined shapes. For resources, shape and dtype of the variable.
  const Shape& in_shape(int i) const { return inputs_[i].shape; }
  DType in_dtype(int i) const { return inputs_[i].data_dtype(); }
  const Shape& out_shape(int i) const { return outputs_[i].shape; }
  DType out_dtype(int i) const { return outputs_[i].data_dtype(); }
  // The value of input i when it can't change (a Const), else null.
  const Tensor* constant(int i) const {
    used_constants_ = true;
    return constants_[i];
  }
  // The kernel depends on values, not on shapes alone (it asked for one).
  bool used_constants() const { return used_constants_; }
  // As int64 numbers. Throws InvalidArgumentError when not constant.
  std::vector<int64_t> constant_ints(int i) const;
  Device* device() const { return device_; }

  // Asks for LaunchArgs::scratch of this size, aligned to 64.
  void set_scratch_bytes(size_t bytes) { scratch_bytes_ = bytes; }
  // Output may be written over input (same bytes) if nobody else needs it.
  void allow_in_place(int output, int input) { in_place_.push_back({output, input}); }
  // Output *is* the input's memory (Reshape, Identity, ReadVariableOp). A
  // factory that forwards every output may return null: nothing to launch.
  void forward(int output, int input) { forwards_.push_back({output, input}); }
  // Input i should be produced right at `byte_offset` inside output 0 (ConcatV2
  // on axis 0, _FlatPack). Not guaranteed: the launch compares the pointers and
  // copies when they differ.
  void place_input(int input, size_t byte_offset) { places_.push_back({input, byte_offset}); }

  // A stateful kernel that never writes its resource inputs (ResourceGather).
  void only_reads() { only_reads_ = true; }

  struct Pair { int output, input; };
  struct Place { int input; size_t byte_offset; };
  size_t scratch_bytes() const { return scratch_bytes_; }
  const std::vector<Pair>& in_place() const { return in_place_; }
  const std::vector<Pair>& forwards() const { return forwards_; }
  const std::vector<Place>& places() const { return places_; }
  bool reads_only() const { return only_reads_; }

 private:
  const std::string& op_;
  const AttrMap& attrs_;
  const std::vector<TensorSpec>& inputs_;
  const std::vector<TensorSpec>& outputs_;
  const std::vector<const Tensor*>& constants_;
  Device* device_;
  mutable bool used_constants_ = false;
  bool only_reads_ = false;
  size_t scratch_bytes_ = 0;
  std::vector<Pair> in_place_, forwards_;
  std::vector<Place> places_;
};

using KernelFactory = std::function<std::unique_ptr<Kernel>(PrepareContext&)>;

// A kernel from a callable void(const LaunchArgs&): enough for most ops.
template <typename Fn>
std::unique_ptr<Kernel> MakeKernel(Fn fn) {
  class FnKernel final : public Kernel {
   public:
    explicit FnKernel(Fn fn) : fn_(std::move(fn)) {}
    void Launch(const LaunchArgs& args) override { fn_(args); }

   private:
    Fn fn_;
  };
  return std::make_unique<FnKernel>(std::move(fn));
}

// `dtypes` restricts the data dtype of the op's first type attribute (or, where
// it has none, of its first input); empty: any.
struct KernelRegistrar {
  KernelRegistrar(const char* op, DeviceType device, std::vector<DType> dtypes,
                  KernelFactory factory);
};
#define REGISTER_KERNEL(op, device, ...)                     \
  [[maybe_unused]] static const ::tributary::KernelRegistrar \
      TRB_UNIQUE(trb_kernel_)(op, device, __VA_ARGS__)

// Throws UnimplementedError naming op, device and dtype, and what exists.
const KernelFactory& FindKernel(const OpSchema& schema, const AttrMap& attrs,
                                const std::vector<TensorSpec>& inputs, DeviceType device);
bool HasKernel(const OpSchema& schema, const AttrMap& attrs,
               const std::vector<TensorSpec>& inputs, DeviceType device);

}  // namespace tributary
