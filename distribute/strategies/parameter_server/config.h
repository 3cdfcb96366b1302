#pragma once
// What a job says about its parameter servers: the `strategy: {ParameterServer: {...}}`
// block.

#include <optional>
#include <string>

#include "core/base/options.h"
#include "distribute/ps/placement.h"
#include "distribute/ps/ps_server.h"
#include "distribute/strategies/parameter_server/parameters.h"
#include "distribute/transport/transport.h"

namespace tributary {

struct PsConfig {
  int servers = 1;
  int workers = 1;  // threads, where one process does everything
  ps::ConsistencyOptions consistency;
  bool look_ahead = false;
  bool key_lists = true;        // PsClientOptions::key_lists of workers
  int64_t lease = 32;           // batches that a worker takes at a time
  std::string carrier = "auto";  // inproc, tcp, mpi; auto: as the launch implies
  ps::WireFormat wire = ps::WireFormat::kFloat32;  // of gradients
  ps::Durability durability = ps::Durability::kLog;
  uint64_t log_limit = 0;  // bytes; 0: auto
  bool roll_back_together = true;  // on_server_loss: consistent
  int restarts = 3;
  ps::Partitioner partitioner;
  ps::RowPolicy row_policy;
  ps::NamedOptions table_optimizer{"", {}};
  SecurityOptions security;
  std::optional<int> metrics_port;
  std::string listen;  // host that chief and servers listen on; "": loopback

  // `options` of ParameterServerTable.
  static PsConfig From(const Options& options);
  // `workers` take part (consistency counts them).
  PsParametersOptions Parameters(int workers, bool chief) const;
  ps::PsServerOptions Server(int shard, int workers, const std::string& dir) const;
};

const OptionTable& ParameterServerTable();

// Options that other strategies with servers have as well, and what they stand for.
OptionSpec RowsOption();
OptionSpec TableOptimizerOption();
OptionSpec KeyListsOption();
ps::RowPolicy RowsFrom(const Options& strategy);
ps::NamedOptions TableOptimizerFrom(const Options& strategy);

}  // namespace tributary
