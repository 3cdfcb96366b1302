#pragma once
// Device and Stream: where a kernel runs, and in which order.
//
// The CPU stream runs inline: a launch has finished when it returns. A CUDA
// stream completes asynchronously; code that reads results on the host calls
// Synchronize first. Kernels get pointers of their own device only.

#include <memory>
#include <string>

#include "core/tensor/buffer.h"

namespace tributary {

enum class DeviceType { kCpu, kCuda };
const char* DeviceTypeName(DeviceType type);  // "CPU", "GPU"

// A queue of launches that complete in order.
class Stream {
 public:
  virtual ~Stream() = default;
  // Returns when everything launched before has finished.
  virtual void Synchronize() = 0;
  // cudaStream_t on a GPU, null on the CPU.
  virtual void* native() const = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceType type() const = 0;
  // "/device:CPU:0", as TensorFlow names devices.
  virtual const std::string& name() const = 0;
  virtual Allocator* allocator() = 0;
  // The stream that plans run on.
  virtual Stream* stream() = 0;
};

// The host. Never null, lives for ever.
Device* CpuDevice();

}  // namespace tributary
