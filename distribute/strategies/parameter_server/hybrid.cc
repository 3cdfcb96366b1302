#include "distribute/strategies/parameter_server/hybrid.h"

#include <atomic>

#include "distribute/ps/ps_server.h"
#include "distribute/strategies/parameter_server/config.h"
#include "distribute/transport/mpi/mpi_transport.h"

namespace tributary {
namespace {

ps::ConsistencyOptions Together(int ranks) {
  return {.mode = ps::Consistency::kSync, .staleness = 0, .workers = ranks, .backup = 0};
}

PsParametersOptions TablesOnly(const JobContext& job, const HybridOptions& options) {
  PsParametersOptions p;
  p.servers = job.world().size();
  p.consistency = Together(job.world().size());
  p.dense = false;
  p.chief = job.cluster().is_chief;
  p.row_policy = options.row_policy;
  p.table_optimizer = options.table_optimizer;
  return p;
}

}  // namespace

Hybrid::Hybrid(JobContext& job, const HybridOptions& options)
    : job_(job), key_lists_(options.key_lists), mirrored_(job, options.mirrored),
      parameters_(TablesOnly(job, options)) {
  const int rank = job.world().rank(), ranks = job.world().size();
  server_ = std::make_unique<ps::PsServer>(ps::PsServerOptions{
      .shard = rank, .shards = ranks, .consistency = Together(ranks)});
  ServerOptions listen;
  listen.hello = {.role = "ps", .task = static_cast<uint32_t>(rank)};
  listen.security.key_file = job.options().key_file;
  static std::atomic<int> jobs{0};
  const Cluster& cluster = job.cluster();
  std::string address = fmt::format("inproc://hybrid-{}-{}", ++jobs, rank);
  if (ranks > 1 && cluster.communicator == "mpi") {
    InitMpiTransport();
    address = fmt::format("mpi://{}", rank);
  } else if (ranks > 1 && cluster.communicator == "tcp") {
    const std::string& own = cluster.spec.Address(cluster.task);
    address = fmt::format("tcp://{}:0", own.substr(0, own.rfind(':')));
  }
  listening_ = Listen(address, server_->handler(), listen);
  addresses_ = AllGatherStrings(job.world(), listening_->address());
}

Hybrid::~Hybrid() { listening_->Stop(); }

std::string Hybrid::Describe() const {
  return fmt::format("hybrid: tables on {} server{}; {}", addresses_.size(),
                     addresses_.size() == 1 ? "" : "s", mirrored_.Describe());
}

void Hybrid::BuildUpdate(UpdateStep& step) {
  mirrored_.BuildUpdate(step);
  parameters_.BuildPush(step);
}

void Hybrid::Connect() {
  const auto rank = static_cast<uint32_t>(job_.world().rank());
  ChannelOptions channel;
  channel.security.key_file = job_.options().key_file;
  parameters_.Connect(std::make_unique<ps::PsClient>(ps::PsClientOptions{
      .hello = {.role = "worker", .task = rank, .generation = 1},
      .servers = static_cast<int>(addresses_.size()),
      .find = [this](int s) { return addresses_[static_cast<size_t>(s)]; },
      .channel = channel, .key_lists = key_lists_}));
}

void Hybrid::SyncInitialState(const std::vector<Tensor>& tensors) {
  if (!parameters_.session().attached()) Connect();
  // After a restore the servers know nobody. A join must find what the chief has made.
  job_.world().Barrier();
  parameters_.session().Join();
  mirrored_.SyncInitialState(tensors);
}

namespace {

REGISTER_STRATEGY(
    OptionTable{"Hybrid",
                "Dense variables are mirrored and all-reduced, embedding tables live on "
                "parameter servers, one a rank.",
                {Opt("node_shared").Bool().Default(true).Doc(
                     "ranks of a host share one copy of the dense variables"),
                 KeyListsOption(), RowsOption(), TableOptimizerOption()},
                {"hybrid"}},
    [](const Options& options) -> std::shared_ptr<Strategy> {
      return std::make_shared<Hybrid>(
          JobContext::Current(),
          HybridOptions{.mirrored = {.node_shared = options.Bool("node_shared")},
                        .row_policy = RowsFrom(options),
                        .table_optimizer = TableOptimizerFrom(options),
                        .key_lists = options.Bool("key_lists")});
    });

}  // namespace
}  // namespace tributary
