#include "core/device/device.h"

namespace tributary {
namespace {

class InlineStream final : public Stream {
 public:
  void Synchronize() override {}
  void* native() const override { return nullptr; }
};

class HostDevice final : public Device {
 public:
  DeviceType type() const override { return DeviceType::kCpu; }
  const std::string& name() const override { return name_; }
  Allocator* allocator() override { return CpuAllocator(); }
  Stream* stream() override { return &stream_; }

 private:
  std::string name_ = "/device:CPU:0";
  InlineStream stream_;
};

}  // namespace

const char* DeviceTypeName(DeviceType type) {
  return type == DeviceType::kCpu ? "CPU" : "GPU";
}

Device* CpuDevice() {
  static auto* device = new HostDevice;
  return device;
}

}  // namespace tributary
