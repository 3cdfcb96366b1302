#include "distribute/ps/stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tributary::ps {

void LatencyHistogram::Add(double us) {
  const double at = us <= 0.1 ? 0 : 4 * std::log2(us / 0.1);
  ++buckets_[std::min<size_t>(buckets_.size() - 1, static_cast<size_t>(at))];
  ++count_;
}

double LatencyHistogram::Quantile(double q) const {
  if (count_ == 0) return 0;
  const double target = q * static_cast<double>(count_);
  double seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += static_cast<double>(buckets_[i]);
    if (seen >= target) return 0.1 * std::exp2((static_cast<double>(i) + 0.5) / 4);
  }
  return 0.1 * std::exp2(static_cast<double>(buckets_.size()) / 4);
}

void HotKeys::Add(uint64_t key) {
  Entry* least = nullptr;
  for (Entry& e : entries_) {
    if (e.key == key) {
      ++e.count;
      return;
    }
    if (!least || e.count < least->count) least = &e;
  }
  if (entries_.size() < kKept) {
    entries_.push_back({key, 1});
  } else {
    *least = {key, least->count + 1};
  }
}

std::vector<HotKeys::Entry> HotKeys::Top(size_t count) const {
  std::vector<Entry> top = entries_;
  std::sort(top.begin(), top.end(), [](const Entry& a, const Entry& b) {
    return a.count != b.count ? a.count > b.count : a.key < b.key;
  });
  if (top.size() > count) top.resize(count);
  return top;
}

namespace {

std::string Escaped(const std::string& label) {
  std::string out;
  for (const char c : label) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

struct Metric {
  const char* name;
  const char* type;
  const char* help;
};

void Head(std::string* out, const Metric& m) {
  *out += fmt::format("# HELP tributary_ps_{} {}\n# TYPE tributary_ps_{} {}\n", m.name, m.help,
                      m.name, m.type);
}

void Tables(std::string* out, const ServerStats& s, const Metric& m, auto value) {
  Head(out, m);
  for (const TableStats& t : s.tables) {
    *out += fmt::format("tributary_ps_{}{{shard=\"{}\",table=\"{}\"}} {}\n", m.name, s.shard,
                        Escaped(t.name), value(t));
  }
}

void Workers(std::string* out, const ServerStats& s, const Metric& m, auto value) {
  Head(out, m);
  for (const WorkerStats& w : s.workers) {
    *out += fmt::format("tributary_ps_{}{{shard=\"{}\",worker=\"{}\"}} {}\n", m.name, s.shard,
                        w.worker, value(w));
  }
}

void Server(std::string* out, const ServerStats& s, const Metric& m, auto value) {
  Head(out, m);
  *out += fmt::format("tributary_ps_{}{{shard=\"{}\"}} {}\n", m.name, s.shard, value);
}

void Latency(std::string* out, const ServerStats& s, const char* name, const LatencyHistogram& h) {
  Head(out, {name, "summary", "Microseconds in the server."});
  for (const double q : {0.5, 0.99}) {
    *out += fmt::format("tributary_ps_{}{{shard=\"{}\",quantile=\"{}\"}} {:.4g}\n", name, s.shard,
                        q, h.Quantile(q));
  }
  *out += fmt::format("tributary_ps_{}_count{{shard=\"{}\"}} {}\n", name, s.shard, h.count());
}

}  // namespace

std::string PrometheusText(const ServerStats& s) {
  std::string out;
  using T = const TableStats&;
  using W = const WorkerStats&;
  Tables(&out, s, {"rows", "gauge", "Rows."}, [](T t) { return t.rows; });
  Tables(&out, s, {"bytes", "gauge", "Memory."}, [](T t) { return t.bytes; });
  Tables(&out, s, {"pulls_total", "counter", "Pulls."}, [](T t) { return t.pulls; });
  Tables(&out, s, {"pushes_total", "counter", "Pushes."}, [](T t) { return t.pushes; });
  Tables(&out, s, {"pulled_keys_total", "counter", "Keys pulled."},
         [](T t) { return t.pulled_keys; });
  Tables(&out, s, {"pushed_keys_total", "counter", "Keys pushed."},
         [](T t) { return t.pushed_keys; });
  Tables(&out, s, {"hit_rate", "gauge", "Pulled rows that there were."},
         [](T t) { return t.hit_rate(); });
  Tables(&out, s, {"rows_created_total", "counter", "Rows made."}, [](T t) { return t.created; });
  Tables(&out, s, {"rows_refused_total", "counter", "Pushes of ids that were not admitted."},
         [](T t) { return t.refused; });
  Tables(&out, s, {"rows_evicted_total", "counter", "Rows removed."},
         [](T t) { return t.evicted; });
  Workers(&out, s, {"worker_steps", "gauge", "Steps done."}, [](W w) { return w.steps; });
  Workers(&out, s, {"worker_active", "gauge", "Takes part."}, [](W w) { return w.active ? 1 : 0; });
  Workers(&out, s, {"worker_waits_total", "counter", "Requests that waited for others."},
          [](W w) { return w.waits; });
  Workers(&out, s, {"worker_waited_seconds_total", "counter", "How long."},
          [](W w) { return w.waited_seconds; });
  Workers(&out, s, {"worker_duplicates_total", "counter", "Retries that were known already."},
          [](W w) { return w.duplicates; });
  Head(&out, {"staleness", "histogram", "Steps that a push's pull was behind."});
  uint64_t sum = 0, total = 0;
  for (size_t i = 0; i < s.staleness.size(); ++i) {
    total += s.staleness[i];
    sum += i * s.staleness[i];
    const bool last = i + 1 == s.staleness.size();
    out += fmt::format("tributary_ps_staleness_bucket{{shard=\"{}\",le=\"{}\"}} {}\n", s.shard,
                       last ? std::string("+Inf") : std::to_string(i), total);
  }
  out += fmt::format("tributary_ps_staleness_sum{{shard=\"{}\"}} {}\n"
                     "tributary_ps_staleness_count{{shard=\"{}\"}} {}\n", s.shard, sum, s.shard,
                     total);
  Latency(&out, s, "pull_microseconds", s.pull_us);
  Latency(&out, s, "push_microseconds", s.push_us);
  Server(&out, s, {"applied_steps", "gauge", "Complete steps."}, s.applied_steps);
  Server(&out, s, {"duplicates_total", "counter", "Pushes known already."}, s.duplicates);
  Server(&out, s, {"fenced_total", "counter", "Requests of earlier lives."}, s.fenced);
  Server(&out, s, {"late_total", "counter", "Pushes of complete steps."}, s.late);
  Server(&out, s, {"not_finite_total", "counter", "Pushes refused."}, s.not_finite);
  Server(&out, s, {"errors_total", "counter", "Requests that failed."}, s.errors);
  Server(&out, s, {"waiting", "gauge", "Requests that wait now."}, s.waiting);
  Server(&out, s, {"log_bytes", "gauge", "Bytes of the log's last segment."}, s.log_bytes);
  return out;
}

std::string TopText(const ServerStats& now, const ServerStats* before) {
  const double seconds =
      std::max(1e-9, now.uptime_seconds - (before ? before->uptime_seconds : 0));
  const auto old = [&](const std::string& name) -> const TableStats* {
    if (!before) return nullptr;
    for (const TableStats& t : before->tables) {
      if (t.name == name) return &t;
    }
    return nullptr;
  };
  std::string out = fmt::format(
      "ps {}/{}  step {}  waiting {}  pull p50 {:.0f} us p99 {:.0f} us  push p50 {:.0f} us p99 "
      "{:.0f} us  duplicates {}  late {}  fenced {}  not finite {}\n",
      now.shard, now.shards, now.applied_steps, now.waiting, now.pull_us.Quantile(0.5),
      now.pull_us.Quantile(0.99), now.push_us.Quantile(0.5), now.push_us.Quantile(0.99),
      now.duplicates, now.late, now.fenced, now.not_finite);
  out += fmt::format("{:24} {:>12} {:>10} {:>12} {:>12} {:>7} {:>10}  {}\n", "table", "rows", "MB",
                     "pulled/s", "pushed/s", "hits", "evicted", "hot keys");
  for (const TableStats& t : now.tables) {
    const TableStats* b = old(t.name);
    const auto rate = [&](uint64_t a, uint64_t z) { return static_cast<double>(a - z) / seconds; };
    std::string hot;
    for (const HotKeys::Entry& e : t.hot) hot += fmt::format("{} ", e.key);
    out += fmt::format("{:24} {:>12} {:>10.1f} {:>12.0f} {:>12.0f} {:>6.1f}% {:>10}  {}\n",
                       t.name.substr(0, 24), t.rows, static_cast<double>(t.bytes) / 1e6,
                       rate(t.pulled_keys, b ? b->pulled_keys : 0),
                       rate(t.pushed_keys, b ? b->pushed_keys : 0), 100 * t.hit_rate(), t.evicted,
                       hot);
  }
  for (const WorkerStats& w : now.workers) {
    out += fmt::format("worker {:3}  step {:8}  {}  waits {} ({:.1f} s)  retries {}\n", w.worker,
                       w.steps, w.active ? "active " : "evicted", w.waits, w.waited_seconds,
                       w.duplicates);
  }
  return out;
}

}  // namespace tributary::ps
