// tributary ps top: what the parameter servers of a running job do.

#include <fmt/format.h>

#include <thread>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/base/strings.h"
#include "core/io/env.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "launch/config/job.h"
#include "launch/config/paths.h"
#include "launch/ps_top/poller.h"
#include "launch/ps_top/render.h"
#include "launch/roles/terminal.h"

namespace tributary {
namespace {

constexpr char kClearScreen[] = "\x1b[H\x1b[2J";

struct TopArguments {
  std::string run;
  std::vector<std::string> servers, overrides;
  double every = 2;
  bool once = false, json = false;
  SecurityOptions security;
};

std::string RunDirOf(const TopArguments& arguments) {
  Env* env = PosixEnv();
  if (env->IsDirectory(arguments.run)) return arguments.run;
  if (!env->Exists(arguments.run)) {
    throw NotFoundError("[ps] there is no run folder or job file '{}'{}", arguments.run,
                        NearPath(arguments.run));
  }
  return LoadJob(arguments.run, {.overrides = arguments.overrides, .check_files = false}).run_dir;
}

// Asked again at every look: a server that was started anew has another address.
class Servers {
 public:
  explicit Servers(const TopArguments& arguments) : addresses_(arguments.servers) {
    if (addresses_.empty()) addresses_ = ReadServers(run_dir_ = RunDirOf(arguments));
  }
  const std::vector<std::string>& Now() {
    if (run_dir_.empty()) return addresses_;
    try {
      addresses_ = ReadServers(run_dir_);
    } catch (const NotFoundError&) {
      // The job has ended: they will be shown as not answering.
    }
    return addresses_;
  }

 private:
  std::string run_dir_;
  std::vector<std::string> addresses_;
};

void Show(const PsFigures& figures, const TopArguments& arguments, bool clear) {
  if (arguments.json) {
    fmt::print("{}\n", PsFiguresJson(figures).dump(arguments.once ? 2 : -1, ' ', false,
                                                   nlohmann::json::error_handler_t::replace));
  } else {
    fmt::print("{}{}{}", clear ? kClearScreen : "", RenderPsFigures(figures),
               arguments.once || clear ? "" : "\n");
  }
  std::fflush(stdout);
}

int RunTop(const TopArguments& arguments) {
  Servers servers(arguments);
  PsPoller poller(arguments.security);
  const bool clear = !arguments.once && OutputIsTerminal();
  const auto every = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(arguments.every));
  // Rates need two looks; whoever stays gets the figures since the start meanwhile.
  std::vector<PsSample> before = poller.Ask(servers.Now());
  if (!arguments.once) Show(Summarize(before, {}), arguments, clear);
  for (auto next = Clock::now() + every;; next = std::max(next + every, Clock::now())) {
    std::this_thread::sleep_until(next);
    std::vector<PsSample> now = poller.Ask(servers.Now());
    const PsFigures figures = Summarize(now, before);
    Show(figures, arguments, clear);
    if (arguments.once) return figures.answered > 0 ? kExitOk : kExitPeersLost;
    before = std::move(now);
  }
}

std::function<int()> SetUp(const CommandLine& line) {
  line.RequireCommand();
  const CommandLine top = line.AddCommand(
      "top", "Show tables, servers and workers of a running job, again and again");
  auto a = std::make_shared<TopArguments>();
  const Argument run = top.Add("RUN", &a->run, "The run's folder, or its job, a YAML file");
  top.Add("--servers", &a->servers, "The servers themselves, instead of RUN")
      .Delimiter(',')
      .OneWordEach()
      .TypeName("tcp://HOST:PORT,...")
      .Excludes(run);
  top.Add("--set", &a->overrides, "Change a value of the job, as for train")
      .OneWordEach()
      .TypeName("KEY=VALUE")
      .Needs(run);
  top.Add("--every", &a->every, "Seconds from one look to the next, over which rates are")
      .Range(0.05, 3600.0);
  top.Add("--once", &a->once, "Look twice, print the figures once, and stop");
  top.Add("--json", &a->json, "One JSON object; without --once one a line and look");
  top.Add("--key-file", &a->security.key_file,
          "The job's key, for servers that are not on this machine's loopback");
  top.Add("--job-id", &a->security.job_id, "The job id that goes with the key");
  top.RequireThat([a] { return !a->run.empty() || !a->servers.empty(); }, "RUN or --servers");
  return [a] { return RunTop(*a); };
}

const CommandRegistrar registrar("ps", {"Look at the parameter servers of a running job", 8,
                                        SetUp});

}  // namespace
}  // namespace tributary
