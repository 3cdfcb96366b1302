#pragma once
// The plan that runs: an array of launches over fixed addresses.

#include "core/runtime/layout.h"

namespace tributary {

class CompiledPlan final : public Plan {
 public:
  CompiledPlan(PreparedGraph prepared, Layout layout, std::vector<std::string> feed_names,
               std::vector<TensorSpec> feed_specs, Stream* stream, PlanReport report);
  ~CompiledPlan() override;

  void BindInput(int i, const void* data) override;
  void BindInput(int i, const Tensor& tensor) override;
  const Tensor& output(int i) const override { return fetches_.at(i); }
  int num_outputs() const override { return static_cast<int>(fetches_.size()); }
  void Run() override;
  const PlanReport& report() const override { return report_; }

 private:
  struct Launch {
    Kernel* kernel;
    LaunchArgs args;
  };
  // Where the address of a feed is stored.
  struct Feed {
    std::string name;
    TensorSpec spec;
    std::vector<void**> slots;
    std::shared_ptr<Buffer> held;  // of the tensor bound last
    bool bound = false;
  };

  void AddLaunch(const LayoutStep& step, void** pointers, Stream* stream);
  [[noreturn]] void Fail(size_t step, const std::exception& error);
  [[noreturn]] void ThrowUnbound() const;
  // Waits for what was started: it may still be writing into this plan's memory.
  void Drain(size_t failed) noexcept;

  PreparedGraph prepared_;
  std::vector<std::unique_ptr<Kernel>> helpers_;  // copies and waits
  std::vector<void*> pointers_;                   // LaunchArgs::in and out point here
  std::vector<Launch> launches_;
  std::vector<LayoutStep> steps_;                 // one a launch, for messages
  std::vector<Feed> feeds_;
  int unbound_ = 0;
  std::vector<Tensor> fetches_;
  std::vector<std::shared_ptr<void>> keep_alive_;
  PlanReport report_;
};

}  // namespace tributary
