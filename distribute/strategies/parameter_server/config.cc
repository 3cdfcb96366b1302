#include "distribute/strategies/parameter_server/config.h"

namespace tributary {
namespace {

OptionTable RowsTable() {
  return {"rows", "When an id of an embedding table gets a row, and when it loses it.",
          {Opt("admit_after").Int().Min(0).Default(0)
               .Doc("steps with the id in them before the one that makes its row"),
           Opt("admit_probability").Float().Above(0).Max(1).Default(1.0)
               .Doc("of each step with the id in it"),
           Opt("evict_after").Int().Min(0).Default(0)
               .Doc("steps without the id until its row goes; 0: never"),
           Opt("min_frequency").Int().Min(0).Max(255).Default(0)
               .Doc("rows used less often within `grace` steps go"),
           Opt("grace").Int().Min(1).Default(10000),
           Opt("max_bytes").Int().Min(0).Default(0)
               .Doc("of a table on one server; 0: no cap. At the cap the longest unused go")}};
}

OptionTable SecurityTable() {
  return {"security", "How tasks on several hosts know each other.",
          {Opt("mode").OneOf({"auto", "none", "psk", "certificates"}).Default("auto")
               .Doc("auto: nothing on loopback, else the job's key"),
           Opt("key_file").String().Doc("64 hex digits in a file of mode 0600"),
           Opt("certificate").String(), Opt("private_key").String(), Opt("authority").String()}};
}

SecurityOptions SecurityFrom(const Options& o) {
  SecurityOptions s;
  const std::string& mode = o.String("mode");
  s.mode = mode == "none"           ? SecurityMode::kNone
           : mode == "psk"          ? SecurityMode::kJobKey
           : mode == "certificates" ? SecurityMode::kCertificates
                                    : SecurityMode::kAuto;
  if (o.Has("key_file")) s.key_file = o.String("key_file");
  if (o.Has("certificate")) s.certificate_file = o.String("certificate");
  if (o.Has("private_key")) s.private_key_file = o.String("private_key");
  if (o.Has("authority")) s.authority_file = o.String("authority");
  return s;
}

}  // namespace

OptionSpec RowsOption() { return Opt("rows").Block(RowsTable()); }

OptionSpec TableOptimizerOption() {
  return Opt("table_optimizer").Of("update_rule")
      .Doc("of embedding tables; the job's optimizer unless set");
}

OptionSpec KeyListsOption() {
  return Opt("key_lists").Bool().Default(true)
      .Doc("lists of ids that a server has from an earlier message are not sent again; servers "
           "keep up to 16 MiB of them for each worker");
}

ps::NamedOptions TableOptimizerFrom(const Options& strategy) {
  if (!strategy.Has("table_optimizer")) return {"", {}};
  const Options& rule = strategy.Child("table_optimizer");
  return ps::Matching(*UpdateRules().FindTable(rule.name()), rule);
}

ps::RowPolicy RowsFrom(const Options& strategy) {
  const Options& o = strategy.Child("rows");
  ps::RowPolicy p;
  p.admit_after = static_cast<uint32_t>(o.Int("admit_after"));
  p.admit_probability = o.Float("admit_probability");
  p.evict_after = static_cast<uint32_t>(o.Int("evict_after"));
  p.min_frequency = static_cast<uint32_t>(o.Int("min_frequency"));
  p.grace = static_cast<uint32_t>(o.Int("grace"));
  p.max_bytes = static_cast<uint64_t>(o.Int("max_bytes"));
  return p;
}

const OptionTable& ParameterServerTable() {
  static const OptionTable table{
      "ParameterServer",
      "Variables and embedding tables live on servers; workers pull, compute and push.",
      {Opt("servers").Int().Min(1).Max(4096).Default(1).Doc("processes that keep parameters"),
       Opt("workers").Int().Min(1).Max(4096).Default(1)
           .Doc("threads that train, where one process does everything; under mpirun the ranks "
                "that are left by chief and servers"),
       Opt("consistency").OneOf({"async", "bounded", "sync"}).Default("async")
           .Doc("sync: each batch is shared out and applied as a whole; else each worker has "
                "batches of its own"),
       Opt("staleness").Int().Min(0).Max(1 << 20).Default(4)
           .Doc("bounded: steps that a worker may be ahead of the slowest"),
       Opt("backup").Int().Min(0).Default(0)
           .Doc("sync: so many workers need not come in time"),
       Opt("look_ahead").Bool().Default(false)
           .Doc("rows of the next step travel while this one computes; not in sync"),
       KeyListsOption(),
       Opt("lease").Int().Min(1).Default(32).Doc("batches that a worker takes at a time"),
       Opt("carrier").OneOf({"auto", "inproc", "tcp", "mpi"}).Default("auto")
           .Doc("what messages travel by; only with tcp processes may die and come back"),
       Opt("wire").OneOf({"float32", "bf16", "int8"}).Default("float32")
           .Doc("what gradients travel as; rounding errors of dense ones go with the next step's. "
                "Unless float32, workers read weights as bf16"),
       Opt("durability").OneOf({"log", "fsync", "checkpoint"}).Default("log")
           .Doc("what an acknowledged push survives: the death of its server, of the machine, "
                "or nothing until the next checkpoint"),
       Opt("log_limit").Int().Min(1).Also({"auto"}).Default("auto")
           .Doc("bytes of a server's log since its last checkpoint at which it writes a copy of "
                "its own part and begins the log anew; auto: 1 GiB, or 4 times its weights and "
                "slots where that is more"),
       Opt("on_server_loss").OneOf({"consistent", "partial"}).Default("consistent")
           .Doc("durability checkpoint: all servers go back to the last one, or the lost alone"),
       Opt("restarts").Int().Min(0).Max(1000).Default(3)
           .Doc("tcp: how often a process that dies within a minute is started again"),
       Opt("partitioner").Of("partitioner").Default("MinSize")
           .Doc("how dense variables are cut over servers"),
       RowsOption(), TableOptimizerOption(),
       Opt("metrics_port").Int().Min(0).Max(65535)
           .Doc("server s shows its figures to Prometheus at 127.0.0.1, this port + s; 0: any "
                "free one; none unless set"),
       Opt("listen").String()
           .Doc("the host that chief and servers listen on: an address, or `hostname` for each "
                "machine's own name; loopback unless set. Others need `security`"),
       Opt("security").Block(SecurityTable())},
      {"parameter_server"}};
  return table;
}

PsConfig PsConfig::From(const Options& o) {
  PsConfig c;
  c.servers = o.Get<int>("servers");
  c.workers = o.Get<int>("workers");
  const std::string& consistency = o.String("consistency");
  c.consistency.mode = consistency == "sync"      ? ps::Consistency::kSync
                       : consistency == "bounded" ? ps::Consistency::kBounded
                                                  : ps::Consistency::kAsync;
  c.consistency.staleness = o.Int("staleness");
  c.consistency.backup = o.Get<int>("backup");
  c.look_ahead = o.Bool("look_ahead");
  c.key_lists = o.Bool("key_lists");
  c.lease = o.Int("lease");
  c.carrier = o.String("carrier");
  const std::string& wire = o.String("wire");
  c.wire = wire == "int8"   ? ps::WireFormat::kInt8
           : wire == "bf16" ? ps::WireFormat::kBfloat16
                            : ps::WireFormat::kFloat32;
  const std::string& durability = o.String("durability");
  c.durability = durability == "fsync"        ? ps::Durability::kFsync
                 : durability == "checkpoint" ? ps::Durability::kCheckpoint
                                              : ps::Durability::kLog;
  if (!o.IsString("log_limit")) c.log_limit = static_cast<uint64_t>(o.Int("log_limit"));
  c.roll_back_together = o.String("on_server_loss") == "consistent";
  c.restarts = o.Get<int>("restarts");
  c.partitioner = ps::Partitioners().Build(o.Child("partitioner"));
  c.row_policy = RowsFrom(o);
  c.table_optimizer = TableOptimizerFrom(o);
  if (o.Has("metrics_port")) c.metrics_port = o.Get<int>("metrics_port");
  if (o.Has("listen")) c.listen = o.String("listen");
  c.security = SecurityFrom(o.Child("security"));
  return c;
}

PsParametersOptions PsConfig::Parameters(int workers, bool chief) const {
  PsParametersOptions p;
  p.servers = servers;
  p.consistency = consistency;
  p.consistency.workers = workers;
  p.chief = chief;
  p.push_format = wire;
  if (wire != ps::WireFormat::kFloat32) p.pull_format = ps::WireFormat::kBfloat16;
  p.look_ahead = look_ahead;
  p.partitioner = partitioner;
  p.row_policy = row_policy;
  p.table_optimizer = table_optimizer;
  return p;
}

ps::PsServerOptions PsConfig::Server(int shard, int workers, const std::string& dir) const {
  ps::PsServerOptions s;
  s.shard = shard;
  s.shards = servers;
  s.consistency = consistency;
  s.consistency.workers = workers;
  s.durability = durability;
  s.log_limit = log_limit;
  s.dir = dir;
  return s;
}

}  // namespace tributary
