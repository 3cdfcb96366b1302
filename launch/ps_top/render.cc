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

// "3/17": half of the pushes were at most 3 steps stale, 99 % at most 17.
std::string Stale(const PartFigures& p) {
  return p.pushed ? fmt::format("{:.0f}/{:.0f}", p.staleness_p50, p.staleness_p99) : "-";
}

void RenderServers(const PsFigures& f, std::string* out) {
  *out += fmt::format("\n{:<6} {:<27} {:>9} {:>8} {:>7} {:>7} {:>8} {:>7} {:>7}\n", "SERVER",
                      "ADDRESS", "STEP", "PULLS/S", "P50 US", "P99 US", "PUSHES/S", "P50 US",
                      "P99 US");
  for (const ServerFigures& s : f.servers) {
    if (!s.error.empty()) {
      *out += fmt::format("{:<6} {:<27} does not answer: {}\n", "?", Printable(s.address),
                          Printable(s.error));
      continue;
    }
    *out += fmt::format("{:<6} {:<27} {:>9} {:>8.1f} {:>7} {:>7} {:>8.1f} {:>7} {:>7}\n", s.shard,
                        Printable(s.address), s.applied_steps, s.pulls.per_second,
                        Micros(s.pulls, s.pulls.p50_us), Micros(s.pulls, s.pulls.p99_us),
                        s.pushes.per_second, Micros(s.pushes, s.pushes.p50_us),
                        Micros(s.pushes, s.pushes.p99_us));
  }
  if (f.answered == 0) return;
  *out += fmt::format("\n{:<6} {:>10} {:>10} {:>8} {:>8} {:>7} {:>7} {:>8} {:>7}\n", "SERVER",
                      "MEMORY", "LOG", "WAITING", "RETRIES", "LATE", "FENCED", "NOT FIN", "ERRORS");
  for (const ServerFigures& s : f.servers) {
    if (!s.error.empty()) continue;
    *out += fmt::format("{:<6} {:>10} {:>10} {:>8} {:>8} {:>7} {:>7} {:>8} {:>7}\n", s.shard,
                        FormatBytes(s.resident_bytes), FormatBytes(s.log_bytes), s.waiting,
                        s.duplicates, s.late, s.fenced, s.not_finite, s.errors);
  }
}

// As many as `room` columns hold, but one at least.
std::string HotKeysText(const TableFigures& t, size_t room) {
  std::string text;
  for (const HotKeyFigures& h : t.hot) {
    const std::string next =
        fmt::format("{}{} {:.1f}%", text.empty() ? "" : ", ", h.key, 100 * h.share);
    if (!text.empty() && text.size() + next.size() > room) break;
    text += next;
  }
  return text;
}

std::string TableLine(const std::string& name, uint64_t rows, uint64_t bytes, double pulls,
                      double pushes, const PartFigures* parts) {
  const auto micros = [&](RequestFigures PartFigures::*which, double RequestFigures::*us) {
    return parts ? Micros(parts->*which, parts->*which.*us) : "";
  };
  using P = PartFigures;
  using R = RequestFigures;
  const std::string line = fmt::format(
      "{:<25.25} {:>10} {:>10} {:>8.1f} {:>6} {:>6} {:>8.1f} {:>6} {:>6} {:>6}", name, rows,
      FormatBytes(bytes), pulls, micros(&P::pulls, &R::p50_us), micros(&P::pulls, &R::p99_us),
      pushes, micros(&P::pushes, &R::p50_us), micros(&P::pushes, &R::p99_us),
      parts ? Stale(*parts) : "");
  return line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

// Dense variables have times together: their sum comes first.
std::string DenseLine(const PsFigures& f) {
  uint64_t elements = 0, bytes = 0;
  for (const TableFigures& t : f.tables) {
    if (t.rows_table) continue;
    elements += t.rows;
    bytes += t.bytes;
  }
  return TableLine("(all dense)", elements, bytes, f.dense.pulls.per_second,
                   f.dense.pushes.per_second, &f.dense);
}

void RenderRows(const PsFigures& f, size_t shown, std::string* out) {
  constexpr size_t kRoom = 28;
  if (!f.tables[0].rows_table) return;
  *out += fmt::format("\n{:<25} {:>10} {:>10} {:>6} {:>8} {:>8}  {}\n", "TABLE", "PULLED/S",
                      "PUSHED/S", "HITS", "EVICTED", "REFUSED", "HOT KEYS");
  for (size_t i = 0; i < shown && f.tables[i].rows_table; ++i) {
    const TableFigures& t = f.tables[i];
    const std::string line = fmt::format(
        "{:<25.25} {:>10.0f} {:>10.0f} {:>6} {:>8} {:>8}  {}", Printable(t.name),
        t.pulled_keys_per_second, t.pushed_keys_per_second,
        fmt::format("{:.1f}%", 100 * t.hit_rate), t.evicted, t.refused + t.no_room,
        HotKeysText(t, kRoom));
    *out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
}

void RenderTables(const PsFigures& f, size_t most, std::string* out) {
  if (f.tables.empty()) return;
  const size_t shown = std::min(most, f.tables.size());
  *out += fmt::format("\n{:<25} {:>10} {:>10} {:>8} {:>6} {:>6} {:>8} {:>6} {:>6} {:>6}\n", "TABLE",
                      "ROWS", "BYTES", "PULLS/S", "P50 US", "P99 US", "PUSHES/S", "P50 US",
                      "P99 US", "STALE");
  for (size_t i = 0; i < shown; ++i) {
    const TableFigures& t = f.tables[i];
    if (!t.rows_table && (i == 0 || f.tables[i - 1].rows_table)) *out += DenseLine(f);
    *out += TableLine(Printable(t.name), t.rows, t.bytes, t.pulls_per_second,
                      t.pushes_per_second, t.rows_table ? &t.parts : nullptr);
  }
  if (f.tables.size() > most) {
    *out += fmt::format("and {} more (--json lists all)\n", f.tables.size() - most);
  }
  RenderRows(f, shown, out);
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
  *out += fmt::format("\n{:<6} {:>4} {:>9} {:>8} {:>8} {:>9} {:>9} {:>8}  {}\n", "WORKER", "GEN",
                      "STEP", "STEPS/S", "STALLED", "WAITS", "WAITED S", "RETRIES", "STATE");
  for (const WorkerFigures& w : workers) {
    *out += fmt::format("{:<6} {:>4} {:>9} {:>8.1f} {:>7.1f}% {:>9} {:>9.1f} {:>8}  {}\n", w.worker,
                        w.generation, w.steps, w.steps_per_second, 100 * w.stalled, w.waits,
                        w.waited_seconds, w.retries, State(w));
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

void PutParts(const PartFigures& p, Json* o) {
  for (const auto& [name, r] : {std::pair("pull", &p.pulls), std::pair("push", &p.pushes)}) {
    (*o)[fmt::format("{}_p50_us", name)] = r->p50_us;
    (*o)[fmt::format("{}_p99_us", name)] = r->p99_us;
  }
  (*o)["staleness_p50_steps"] = p.staleness_p50;
  (*o)["staleness_p99_steps"] = p.staleness_p99;
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
  PutParts(t.parts, &o);
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
          {"waited_seconds", w.waited_seconds},
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
  o["dense"] = {{"pulls_per_second", f.dense.pulls.per_second},
                {"pushes_per_second", f.dense.pushes.per_second}};
  PutParts(f.dense, &o["dense"]);
  o["workers"] = Json::array();
  for (const WorkerFigures& w : f.workers) o["workers"].push_back(WorkerJson(w));
  return o;
}

}  // namespace tributary
