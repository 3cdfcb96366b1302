// A steady step touches the heap not once.
#include <cstdlib>
#include <new>

#include "tests/ops/plan/mlp_step.h"

namespace {
thread_local long allocations = 0;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TRIBUTARY_COUNTS_ALLOCATIONS 1
void* operator new(size_t bytes) {
  ++allocations;
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  ++allocations;
  const size_t align = static_cast<size_t>(alignment);
  if (void* p = std::aligned_alloc(align, (bytes + align - 1) / align * align)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
#endif

namespace tributary {
namespace {

TEST(AllocationTest, TheCounterCounts) {
#ifndef TRIBUTARY_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "sanitizers bring their own operator new";
#endif
  const long before = allocations;
  auto p = std::make_unique<std::string>(100, 'x');
  EXPECT_EQ(allocations - before, 2);
}

TEST(AllocationTest, ASteadyStepAllocatesNothing) {
#ifndef TRIBUTARY_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "sanitizers bring their own operator new";
#endif
  for (const int64_t width : {16, 256}) {
    MlpStep mlp({16, width, 4});
    Graph graph;
    mlp.Trace(&graph, 32);
    const auto plan = mlp.Build(graph, 32);
    const Tensor x = MlpStep::Pattern({32, 16}, 1), y = MlpStep::Labels(32, 4);
    for (int warm = 0; warm < 3; ++warm) {
      plan->BindInput(0, x);
      plan->BindInput(1, y);
      plan->Run();
    }
    const long before = allocations;
    for (int i = 0; i < 100; ++i) {
      plan->BindInput(0, x.raw_data());
      plan->BindInput(1, y);
      plan->Run();
    }
    EXPECT_EQ(allocations - before, 0) << "width " << width;
  }
}

}  // namespace
}  // namespace tributary
