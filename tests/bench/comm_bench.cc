// What communication costs, against the machine's own measure: a raw MPI_Allreduce
// of the same bytes in the same run.
//   mpirun --bind-to none -n 2 comm_bench [floats...]
// Prints one JSON object a size: microseconds of a call, the best of many short
// rounds, which a busy machine disturbs least.

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <cstdio>
#include <cstdlib>

#include "distribute/comm/communication_queue.h"
#include "distribute/comm/node_shared/node_group.h"
#include "distribute/comm/slices.h"
#include "distribute/job/job_context.h"

namespace tributary {
namespace {

constexpr int kRounds = 150;

// Adam, as every variant below applies it.
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3", "no-math-errno")))
void Adam(float* w, float* m, float* v, const float* g, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    m[i] += (g[i] - m[i]) * 0.1f;
    v[i] += (g[i] * g[i] - v[i]) * 0.001f;
    w[i] -= 1e-6f * m[i] / (__builtin_sqrtf(v[i]) + 1e-7f);
  }
}

struct Buffers {
  explicit Buffers(int64_t count) : w(count), m(count), v(count), g(count, 1e-6f) {}
  std::vector<float> w, m, v, g;
};

// Microseconds of one call, in the best round; ranks start each round together.
template <typename Fn>
double Measure(Communicator& world, int64_t count, Fn fn) {
  const int calls = static_cast<int>(std::clamp<int64_t>(2'000'000 / (count + 1), 3, 100));
  for (int i = 0; i < calls; ++i) fn();
  double best = 1e30;
  for (int r = 0; r < kRounds; ++r) {
    world.Barrier();
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) fn();
    const std::chrono::duration<double, std::micro> took = Clock::now() - start;
    best = std::min(best, took.count() / calls);
  }
  return best;
}

void Bench(JobContext& job, int64_t count) {
  Communicator& world = job.world();
  Buffers b(count);
  const auto host = world.Split(job.hosts().host, world.rank());
  NodeGroup node(host, job.hosts().RanksOf(job.hosts().host), job.options().timeout);
  const size_t bytes = count * sizeof(float);
  float* w = static_cast<float*>(node.Common("w", bytes)->data());
  float* m = static_cast<float*>(node.Common("m", bytes)->data());
  float* v = static_cast<float*>(node.Common("v", bytes)->data());
  std::fill_n(static_cast<float*>(node.Segment("g", bytes)->data()), count, 1e-6f);
  const Slice mine = SliceOf(count, sizeof(float), node.size(), node.rank());
  std::vector<float> slice(mine.count);
  CommunicationQueue queue(world.Split(0, world.rank()));

  const double raw = Measure(world, count, [&] {
    MPI_Allreduce(MPI_IN_PLACE, b.g.data(), static_cast<int>(count), MPI_FLOAT, MPI_SUM,
                  MPI_COMM_WORLD);
    std::fill_n(b.g.data(), 1, 1e-6f);
  });
  std::fill(b.g.begin(), b.g.end(), 0.0f);  // sums of sums stay finite
  const double sum = Measure(world, count, [&] { world.AllReduce(b.g, ReduceOp::kSum); });
  const double mean = Measure(world, count, [&] { world.AllReduce(b.g, ReduceOp::kMean); });
  const double queued = Measure(world, count, [&] {
    Work work;
    queue.AllReduce(b.g, ReduceOp::kSum, &work);  // as a step does
    work.Wait();
  });
  const double adam = Measure(world, count, [&] {
    Adam(b.w.data(), b.m.data(), b.v.data(), b.g.data(), count);
  });
  const double reduced = Measure(world, count, [&] {
    world.AllReduce(b.g, ReduceOp::kMean);
    Adam(b.w.data(), b.m.data(), b.v.data(), b.g.data(), count);
  });
  const double shared = Measure(world, count, [&] {
    node.BeginUpdate();
    node.Reduce("g", DType::kFloat32, ReduceOp::kMean, mine, world.size(), slice.data());
    Adam(w + mine.begin, m + mine.begin, v + mine.begin, slice.data(), mine.count);
    node.EndUpdate();
  });
  const double barrier = Measure(world, 100'000, [&] { node.Barrier(); });
  if (world.rank() != 0) return;
  std::printf("{\"floats\": %ld, \"ranks\": %d, \"raw_allreduce_us\": %.1f, "
              "\"allreduce_sum_us\": %.1f, \"allreduce_mean_us\": %.1f, "
              "\"queued_allreduce_us\": %.1f, \"adam_us\": %.1f, \"allreduce_adam_us\": %.1f, "
              "\"node_shared_adam_us\": %.1f, \"shared_barrier_us\": %.2f, "
              "\"sum_over_raw\": %.3f, \"queued_over_raw\": %.3f, \"mean_over_raw\": %.3f, "
              "\"node_shared_speedup\": %.2f}\n",
              static_cast<long>(count), world.size(), raw, sum, mean, queued, adam, reduced,
              shared, barrier, sum / raw, queued / raw, mean / raw, reduced / shared);
  std::fflush(stdout);
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  using namespace tributary;
  std::vector<int64_t> sizes;
  for (int i = 1; i < argc; ++i) sizes.push_back(std::atoll(argv[i]));
  if (sizes.empty()) sizes = {101'770, 669'706};
  const auto job = JobContext::Connect(ResolveCluster());
  for (const int64_t count : sizes) Bench(*job, count);
  job->Finish();
  return 0;
}
