#include "launch/roles/connected.h"

#include "core/base/logging.h"
#include "core/base/strings.h"
#include "distribute/job/job_context.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"

namespace tributary {
namespace {

// The environment's word (tests, operators) comes before the default only.
JobOptions MakeJobOptions(const JobConfig& job) {
  JobOptions options = JobOptions::FromEnvironment();
  if (job.cluster().Origin("timeout") != "default") {
    options.liveness.dead_after = Millis(static_cast<int>(job.cluster().Float("timeout") * 1000));
    options.liveness.suspect_after = options.liveness.dead_after * 2 / 5;
  }
  return options;
}

// Whether the failure that the job ends with is another rank's, in the same words. (The
// end of a long reason is cut off on its way.)
bool SaidByAnother(const JobContext& context, const std::string& error) {
  const JobHealth& health = context.health();
  if (!health.failed() || health.failed_rank() == context.cluster().rank) return false;
  const std::string reason = health.reason();
  const size_t begin = reason.find(" failed: ");
  return begin != std::string::npos && StartsWith(error, reason.substr(begin + 9));
}

Code CodeOf(const std::exception& error) {
  const auto* typed = dynamic_cast<const Error*>(&error);
  return typed ? typed->code() : Code::kUnknown;
}

// What a rank has to say after a part: how it went, and in which words.
struct Report {
  Code code = Code::kOk;
  std::string text;

  std::string Encode() const { return fmt::format("{} {}", static_cast<int>(code), text); }
  static Report Decode(const std::string& line) {
    const size_t space = line.find(' ');
    return {static_cast<Code>(std::stoi(line.substr(0, space))), line.substr(space + 1)};
  }
};

// "", "rank 1: " or "ranks 1, 3: "; all of them need no name.
std::string Ranks(const std::vector<int>& ranks, int world_size) {
  if (static_cast<int>(ranks.size()) == world_size) return "";
  return fmt::format("rank{} {}: ", ranks.size() == 1 ? "" : "s", fmt::join(ranks, ", "));
}

// The error that the reports amount to; kOk when all went well, and alike.
Report Verdict(const std::vector<Report>& reports) {
  Report verdict;
  std::vector<std::pair<std::string, std::vector<int>>> said;  // in order of rank
  for (size_t rank = 0; rank < reports.size(); ++rank) {
    const Report& report = reports[rank];
    if (verdict.code == Code::kOk) verdict.code = report.code;
    auto same = std::find_if(said.begin(), said.end(),
                             [&](const auto& entry) { return entry.first == report.text; });
    if (same == said.end()) same = said.insert(said.end(), {report.text, {}});
    same->second.push_back(static_cast<int>(rank));
  }
  if (verdict.code == Code::kOk && said.size() == 1) return verdict;
  const bool differs = verdict.code == Code::kOk;
  if (differs) {
    verdict.code = Code::kFailedPrecondition;
    verdict.text = "[job] the processes of this launch do not have the same data: ";
  }
  bool first = true;
  for (const auto& [text, ranks] : said) {
    if (!differs && reports[ranks[0]].code == Code::kOk) continue;
    verdict.text += (std::exchange(first, false) ? "" : "; ") +
                    Ranks(ranks, static_cast<int>(reports.size())) + text;
  }
  return verdict;
}

}  // namespace

int RunConnected(const JobConfig& job, const std::function<int(JobContext&)>& body) {
  const Cluster cluster = ResolveCluster(job.cluster().String("resolver"));
  const std::unique_ptr<JobContext> context = JobContext::Connect(cluster, MakeJobOptions(job));
  try {
    const int code = body(*context);
    context->Finish();
    return code;
  } catch (const std::exception& e) {
    context->ReportFailure(e.what());
    if (SaidByAnother(*context, e.what())) throw QuietExit{ExitCodeOf(e)};
    throw;
  }
}

namespace {

Report Try(const std::function<std::string()>& part, std::exception_ptr* error) {
  try {
    return {Code::kOk, part()};
  } catch (const std::exception& e) {
    *error = std::current_exception();
    return {CodeOf(e), e.what()};
  }
}

std::vector<Report> Gather(JobContext& context, const Report& mine) {
  std::vector<Report> reports;
  for (const std::string& line : AllGatherStrings(context.world(), mine.Encode())) {
    reports.push_back(Report::Decode(line));
  }
  return reports;
}

// Ends all ranks alike with what the reports amount to, unless that is nothing.
void Conclude(JobContext& context, const std::vector<Report>& reports, const Report& mine,
              const std::exception_ptr& error) {
  const Report verdict = Verdict(reports);
  if (verdict.code == Code::kOk) return;
  context.AgreeToFail();
  // With its own type, which may say more than its code.
  if (error && verdict.text == mine.text && context.cluster().rank == 0) {
    std::rethrow_exception(error);
  }
  try {
    ThrowError(verdict.code, verdict.text);
  } catch (const std::exception& e) {
    if (context.cluster().rank > 0) throw QuietExit{ExitCodeOf(e)};
    throw;
  }
}

}  // namespace

void RunAlike(JobContext& context, const std::function<std::string()>& part) {
  std::exception_ptr error;
  const Report mine = Try(part, &error);
  Conclude(context, Gather(context, mine), mine, error);
}

std::string RunOnChief(JobContext& context, const std::function<std::string()>& part) {
  std::exception_ptr error;
  const bool chief = context.cluster().is_chief;
  const Report mine = chief ? Try(part, &error) : Report{};
  std::vector<Report> reports = Gather(context, mine);
  // The chief speaks for all. The others have said nothing.
  for (const Report& report : reports) {
    if (report.code == Code::kOk && report.text.empty()) continue;
    std::fill(reports.begin(), reports.end(), Report(report));
    break;
  }
  Conclude(context, reports, mine, error);
  return reports.front().text;
}

}  // namespace tributary
