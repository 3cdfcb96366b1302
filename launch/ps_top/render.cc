#include "launch/ps_top/render.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/runtime/report.h"

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;

// Names and errors come from elsewhere: nothing in them may steer the terminal.
std::string Printable(const std::string& text) {
  std::string out = text;
  for (size_t i = 0; i < out.size(); ++i) {
    const auto c = static_cast<unsigned char>(out[i]);
    const bool c1 = i > 0 && static_cast<unsigned char>(out[i - 1]) == 0xc2 && c < 0xa0;
    if (c < 0x20 || c == 0x7f || c1) out[i] = '?';
  }
  return out;
}

std::string Micros(const RequestFigures& r, double us) {
  return r.per_second > 0 ? fmt::format("{:.0f}", us) : "-";
}

void RenderServers(const PsFigures& f, std::string* out) {
  *out += fmt::format("\n{:<6} {:<27} {:>9} {:>10} {:>10} {:>8} {:>7} {:>7} {:>8} {:>7} {:>7} "
                      "{:>7} {:>5} {:>6} {:>7} {:>6}\n",
                      "SERVER", "ADDRESS", "STEP", "MEMORY", "LOG", "PULLS/S", "P50 US", "P99 US",
                      "PUSHES/S", "P50 US", "P99 US", "WAITING", "LATE", "FENCED", "NOT FIN",
                      "ERRORS");
  for (const ServerFigures& s : f.servers) {
    if (!s.error.empty()) {
      *out += fmt::format("{:<6} {:<27} does not answer: {}\n", "?", Printable(s.address),
                          Printable(s.error));
      continue;
    }
    *out += fmt::format("{:<6} {:<27} {:>9} {:>10} {:>10} {:>8.1f} {:>7} {:>7} {:>8.1f} {:>7} "
                        "{:>7} {:>7} {:>5} {:>6} {:>7} {:>6}\n",
                        s.shard, Printable(s.address), s.applied_steps,
                        FormatBytes(s.resident_bytes), FormatBytes(s.log_bytes),
                        s.pulls.per_second, Micros(s.pulls, s.pulls.p50_us),
                        Micros(s.pulls, s.pulls.p99_us), s.pushes.per_second,
                        Micros(s.pushes, s.pushes.p50_us), Micros(s.pushes, s.pushes.p99_us),
                        s.waiting, s.late, s.fenced, s.not_finite, s.errors);
  }
}

std::string HotKeysText(const TableFigures& t) {
  std::string text;
  for (const HotKeyFigures& h : t.hot) {
    text += fmt::format("{}{} {:.1f}%", text.empty() ? "" : ", ", h.key, 100 * h.share);
  }
  return text;
}

void RenderTables(const PsFigures& f, size_t most, std::string* out) {
  if (f.tables.empty()) return;
  *out += fmt::format("\n{:<28} {:>12} {:>10} {:>8} {:>8} {:>11} {:>11} {:>7} {:>9} {:>9}  {}\n",
                      "TABLE", "ROWS", "BYTES", "PULLS/S", "PUSHES/S", "PULLED/S", "PUSHED/S",
                      "HITS", "EVICTED", "REFUSED", "HOT KEYS");
  for (size_t i = 0; i < std::min(most, f.tables.size()); ++i) {
    const TableFigures& t = f.tables[i];
    const std::string line = fmt::format(
        "{:<28.28} {:>12} {:>10} {:>8.1f} {:>8.1f} {:>11.0f} {:>11.0f} {:>7} {:>9} {:>9}  {}",
        Printable(t.name), t.rows, FormatBytes(t.bytes), t.pulls_per_second, t.pushes_per_second,
        t.pulled_keys_per_second, t.pushed_keys_per_second,
        t.rows_table ? fmt::format("{:.1f}%", 100 * t.hit_rate) : "-", t.evicted,
        t.refused + t.no_room, HotKeysText(t));
    *out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  if (f.tables.size() > most) {
    *out += fmt::format("and {} more (--json lists all)\n", f.tables.size() - most);
  }
}

std::string State(const WorkerFigures& w) {
  if (!w.active) return "evicted";
  return w.waiting_seconds > 0 ? fmt::format("waits {:.1f} s", w.waiting_seconds) : "active";
}

void RenderWorkers(const PsFigures& f, size_t most, std::string* out) {
  if (f.workers.empty()) return;
  std::vector<WorkerFigures> workers = f.workers;
  if (workers.size() > most) {
    std::stable_sort(workers.begin(), workers.end(),
                     [](const auto& a, const auto& b) { return a.steps < b.steps; });
    workers.resize(most);
  }
  *out += fmt::format("\n{:<6} {:>4} {:>9} {:>8} {:>8} {:>9} {:>8}  {}\n", "WORKER", "GEN", "STEP",
                      "STEPS/S", "STALLED", "WAITS", "RETRIES", "STATE");
  for (const WorkerFigures& w : workers) {
    *out += fmt::format("{:<6} {:>4} {:>9} {:>8.1f} {:>7.1f}% {:>9} {:>8}  {}\n", w.worker,
                        w.generation, w.steps, w.steps_per_second, 100 * w.stalled, w.waits,
                        w.retries, State(w));
  }
  if (f.workers.size() > most) {
    *out += fmt::format("and {} more that are further (--json lists all)\n",
                        f.workers.size() - most);
  }
}

// --- JSON -------------------------------------------------------------------------------

void PutRequests(const char* name, const RequestFigures& r, Json* o) {
  (*o)[fmt::format("{}s_per_second", name)] = r.per_second;
  (*o)[fmt::format("{}_p50_us", name)] = r.p50_us;
  (*o)[fmt::format("{}_p99_us", name)] = r.p99_us;
}

Json ServerJson(const ServerFigures& s) {
  Json o = {{"address", s.address}, {"answered", s.error.empty()}};
  if (!s.error.empty()) {
    o["error"] = s.error;
    return o;
  }
  o["shard"] = s.shard;
  o["uptime_seconds"] = s.uptime_seconds;
  o["interval_seconds"] = s.interval_seconds;
  o["applied_steps"] = s.applied_steps;
  o["steps_per_second"] = s.steps_per_second;
  PutRequests("pull", s.pulls, &o);
  PutRequests("push", s.pushes, &o);
  o["resident_bytes"] = s.resident_bytes;
  o["log_bytes"] = s.log_bytes;
  o["bases"] = s.bases;
  o["waiting_requests"] = s.waiting;
  o["duplicates"] = s.duplicates;
  o["late"] = s.late;
  o["fenced"] = s.fenced;
  o["not_finite"] = s.not_finite;
  o["errors"] = s.errors;
  return o;
}

Json TableJson(const TableFigures& t) {
  Json o = {{"name", t.name},
            {"kind", t.rows_table ? "rows" : "dense"},
            {"servers", t.servers},
            {"rows", t.rows},
            {"bytes", t.bytes},
            {"pulls_per_second", t.pulls_per_second},
            {"pushes_per_second", t.pushes_per_second},
            {"pulled_keys_per_second", t.pulled_keys_per_second},
            {"pushed_keys_per_second", t.pushed_keys_per_second}};
  if (!t.rows_table) return o;
  o["hit_rate"] = t.hit_rate;
  o["created_per_second"] = t.created_per_second;
  o["evicted"] = t.evicted;
  o["refused"] = t.refused;
  o["no_room"] = t.no_room;
  o["hot_keys"] = Json::array();
  for (const HotKeyFigures& h : t.hot) {
    o["hot_keys"].push_back({{"key", h.key}, {"share_of_pulled", h.share}});
  }
  return o;
}

Json WorkerJson(const WorkerFigures& w) {
  return {{"worker", w.worker},
          {"generation", w.generation},
          {"active", w.active},
          {"steps", w.steps},
          {"steps_per_second", w.steps_per_second},
          {"stalled_share", w.stalled},
          {"waiting_seconds", w.waiting_seconds},
          {"waits", w.waits},
          {"retries", w.retries}};
}

}  // namespace

std::string RenderPsFigures(const PsFigures& f, size_t most) {
  std::string out = fmt::format(
      "{} of {} servers, step {} ({:.1f}/s), {} workers, {} of weights, staleness p50 {:.0f} "
      "p99 {:.0f} steps\n",
      f.answered, f.servers.size(), f.applied_steps, f.steps_per_second,
      std::count_if(f.workers.begin(), f.workers.end(), [](const auto& w) { return w.active; }),
      FormatBytes(f.bytes), f.staleness_p50, f.staleness_p99);
  RenderServers(f, &out);
  RenderTables(f, most, &out);
  RenderWorkers(f, most, &out);
  return out;
}

Json PsFiguresJson(const PsFigures& f) {
  Json o = {{"servers_asked", f.servers.size()},
            {"servers_answered", f.answered},
            {"applied_steps", f.applied_steps},
            {"steps_per_second", f.steps_per_second},
            {"staleness_p50_steps", f.staleness_p50},
            {"staleness_p99_steps", f.staleness_p99},
            {"bytes", f.bytes}};
  o["servers"] = Json::array();
  for (const ServerFigures& s : f.servers) o["servers"].push_back(ServerJson(s));
  o["tables"] = Json::array();
  for (const TableFigures& t : f.tables) o["tables"].push_back(TableJson(t));
  o["workers"] = Json::array();
  for (const WorkerFigures& w : f.workers) o["workers"].push_back(WorkerJson(w));
  return o;
}

}  // namespace tributary
