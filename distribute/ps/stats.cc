#include "distribute/ps/stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tributary::ps {

// --- Counting ------------------------------------------------------------------------

namespace {

// 4 * log2(x) rounded down, of x >= 1: by the exponent, and by where the fraction is. Every
// part of every request comes here.
size_t QuarterOctave(double x) {
  const auto bits = std::bit_cast<uint64_t>(x);
  const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
  constexpr auto kFraction = [](double bound) {
    return std::bit_cast<uint64_t>(bound) & ((uint64_t{1} << 52) - 1);
  };
  constexpr uint64_t k1 = kFraction(1.1892071150027210), k2 = kFraction(1.4142135623730951),
                     k3 = kFraction(1.6817928305074292);
  return 4 * static_cast<size_t>((bits >> 52) - 1023) + (fraction >= k1) + (fraction >= k2) +
         (fraction >= k3);
}

}  // namespace

void LatencyHistogram::Add(double us) {
  ++buckets_[us > 0.1 ? std::min(kBuckets - 1, QuarterOctave(us * 10)) : 0];
  ++count_;
  sum_ += std::max(us, 0.0);
}

void LatencyHistogram::Add(const LatencyHistogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
}

LatencyHistogram LatencyHistogram::Since(const LatencyHistogram& before) const {
  LatencyHistogram since = *this;
  for (size_t i = 0; i < kBuckets; ++i) since.buckets_[i] -= before.buckets_[i];
  since.count_ -= before.count_;
  since.sum_ -= before.sum_;
  return since;
}

double LatencyHistogram::UpperBound(size_t bucket) {
  return 0.1 * std::exp2((static_cast<double>(bucket) + 1) / 4);
}

double LatencyHistogram::Quantile(double q) const {
  if (count_ == 0) return 0;
  const double target = q * static_cast<double>(count_);
  double seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += static_cast<double>(buckets_[i]);
    if (seen >= target && buckets_[i] > 0) {
      return 0.1 * std::exp2((static_cast<double>(i) + 0.5) / 4);
    }
  }
  return UpperBound(kBuckets - 1);
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
    *least = {key, least->count + 1, least->count};
  }
}

std::vector<HotKeys::Entry> HotKeys::Top(size_t count) const {
  std::vector<Entry> top = entries_;
  std::sort(top.begin(), top.end(), [](const Entry& a, const Entry& b) {
    return a.at_least() != b.at_least() ? a.at_least() > b.at_least() : a.key < b.key;
  });
  if (top.size() > count) top.resize(count);
  return top;
}

// --- The page for Prometheus -----------------------------------------------------------

namespace {

// Length of the UTF-8 character that begins at `text`, 0 where there is none.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(0) < 0x80                       ? 1
                        : byte(0) >= 0xc2 && byte(0) < 0xe0  ? 2
                        : byte(0) >= 0xe0 && byte(0) < 0xf0  ? 3
                        : byte(0) >= 0xf0 && byte(0) <= 0xf4 ? 4
                                                             : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Too long a form, half of a surrogate pair, beyond the last character.
  if (byte(0) == 0xe0 && byte(1) < 0xa0) return 0;
  if (byte(0) == 0xed && byte(1) > 0x9f) return 0;
  if (byte(0) == 0xf0 && byte(1) < 0x90) return 0;
  if (byte(0) == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

// Names come from workers: one that is no UTF-8 would cost the whole page.
std::string Escaped(std::string_view label) {
  std::string out;
  while (!label.empty()) {
    const size_t length = CharacterLength(label);
    if (length == 0) {
      out += '?';
    } else if (label[0] == '\n') {
      out += "\\n";
    } else {
      if (label[0] == '\\' || label[0] == '"') out += '\\';
      out += label.substr(0, length);
    }
    label.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

struct Metric {
  const char* name;
  const char* type;
  const char* help;
};

class Page {
 public:
  explicit Page(const ServerStats& s) : s_(s), shard_(fmt::format("shard=\"{}\"", s.shard)) {}

  void Server(const Metric& m, auto value) {
    Head(m);
    Line(m.name, shard_, value);
  }
  void Tables(const Metric& m, auto value) {
    Head(m);
    for (const TableStats& t : s_.tables) Line(m.name, OfTable(t), value(t));
  }
  // Of embedding tables only.
  void Rows(const Metric& m, auto value) {
    Head(m);
    for (const TableStats& t : s_.tables) {
      if (t.rows_table) Line(m.name, OfTable(t), value(t));
    }
  }
  void HotKeys(const Metric& m) {
    Head(m);
    for (const TableStats& t : s_.tables) {
      for (const ps::HotKeys::Entry& e : t.hot) {
        Line(m.name, fmt::format("{},key=\"{}\"", OfTable(t), e.key), e.at_least());
      }
    }
  }
  void Workers(const Metric& m, auto value) {
    Head(m);
    for (const WorkerStats& w : s_.workers) {
      Line(m.name, fmt::format("{},worker=\"{}\"", shard_, w.worker), value(w));
    }
  }
  void Latency(const Metric& m, const LatencyHistogram& h) {
    Head(m);
    Durations(m, shard_, h);
  }
  void Latencies(const Metric& m, LatencyHistogram PartStats::*h) {
    Head(m);
    for (const TableStats& t : s_.tables) {
      if (t.rows_table) Durations(m, OfTable(t), t.parts.*h);
    }
  }
  void Staleness(const Metric& m, const std::vector<uint64_t>& pushes) {
    Head(m);
    Steps(m, shard_, pushes);
  }
  void Stalenesses(const Metric& m) {
    Head(m);
    for (const TableStats& t : s_.tables) {
      if (t.rows_table) Steps(m, OfTable(t), t.parts.staleness);
    }
  }
  std::string Take() { return std::move(out_); }

 private:
  void Head(const Metric& m) {
    out_ += fmt::format("# HELP tributary_ps_{} {}\n# TYPE tributary_ps_{} {}\n", m.name, m.help,
                        m.name, m.type);
  }
  void Line(std::string_view name, const std::string& labels, auto value) {
    out_ += fmt::format("tributary_ps_{}{{{}}} {}\n", name, labels, value);
  }
  // In seconds, Prometheus's unit; bounds that double.
  void Durations(const Metric& m, const std::string& labels, const LatencyHistogram& h) {
    uint64_t below = 0;
    for (size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
      below += h.buckets()[i];
      if (i % 4 != 3 || i + 1 == LatencyHistogram::kBuckets) continue;
      Bucket(m, labels, fmt::format("{:.6g}", LatencyHistogram::UpperBound(i) * 1e-6), below);
    }
    Totals(m, labels, h.sum() * 1e-6, h.count());
  }
  void Steps(const Metric& m, const std::string& labels, const std::vector<uint64_t>& pushes) {
    uint64_t below = 0, sum = 0;
    for (size_t i = 0; i < pushes.size(); ++i) {
      below += pushes[i];
      sum += i * pushes[i];
      if (i + 1 < pushes.size()) Bucket(m, labels, std::to_string(i), below);
    }
    Totals(m, labels, sum, below);
  }
  void Bucket(const Metric& m, const std::string& labels, const std::string& bound,
              uint64_t below) {
    Line(fmt::format("{}_bucket", m.name), fmt::format("{},le=\"{}\"", labels, bound), below);
  }
  void Totals(const Metric& m, const std::string& labels, auto sum, uint64_t count) {
    Bucket(m, labels, "+Inf", count);
    Line(fmt::format("{}_sum", m.name), labels, sum);
    Line(fmt::format("{}_count", m.name), labels, count);
  }
  std::string OfTable(const TableStats& t) const {
    return fmt::format("{},table=\"{}\"", shard_, Escaped(t.name));
  }

  const ServerStats& s_;
  const std::string shard_;
  std::string out_;
};

void AddTables(Page* page) {
  using T = const TableStats&;
  page->Tables({"rows", "gauge", "Rows of a table, elements of a dense part."},
               [](T t) { return t.rows; });
  page->Tables({"bytes", "gauge", "Memory of weights, optimizer slots and index."},
               [](T t) { return t.bytes; });
  page->Tables({"updates_total", "counter", "Times that the optimizer has run."},
               [](T t) { return t.updates; });
  page->Tables({"pulls_total", "counter", "Pulls that had it in them; each lookup counts."},
               [](T t) { return t.pulls; });
  page->Tables({"pushes_total", "counter", "Pushes that had it in them; each lookup counts."},
               [](T t) { return t.pushes; });
  page->Tables({"pulled_keys_total", "counter", "Rows, or elements, pulled."},
               [](T t) { return t.pulled_keys; });
  page->Tables({"pushed_keys_total", "counter", "Rows, or elements, pushed."},
               [](T t) { return t.pushed_keys; });
  page->Rows({"pull_hits_total", "counter", "Pulled rows that there were."},
             [](T t) { return t.hits; });
  page->Rows({"hit_rate", "gauge", "Share of pulled rows that there were, since the start."},
             [](T t) { return t.hit_rate(); });
  page->Rows({"rows_created_total", "counter", "Rows made."}, [](T t) { return t.created; });
  page->Rows({"rows_refused_total", "counter", "Pushes of ids that were not admitted."},
             [](T t) { return t.refused; });
  page->Rows({"rows_evicted_total", "counter", "Rows removed."}, [](T t) { return t.evicted; });
  page->Rows({"rows_no_room_total", "counter",
              "Pushes of ids dropped because the table was full of rows in use."},
             [](T t) { return t.no_room; });
  page->HotKeys({"hot_key_samples", "gauge",
                 "How often at least one lookup in 61 met the id, for the five met most."});
  page->Latencies({"table_pull_seconds", "histogram", "Finding a pull's rows, encoding them."},
                  &PartStats::pull_us);
  page->Latencies({"table_push_seconds", "histogram",
                   "Decoding and applying a push's rows; in sync mode all of a step's."},
                  &PartStats::push_us);
  page->Stalenesses({"table_staleness", "histogram", "Steps that a push's pull was behind."});
}

void AddDense(const PartStats& dense, Page* page) {
  page->Latency({"dense_pull_seconds", "histogram", "A pull's parts of dense variables."},
                dense.pull_us);
  page->Latency({"dense_push_seconds", "histogram",
                 "Applying a push's parts of dense variables; in sync mode all of a step's."},
                dense.push_us);
  page->Staleness({"dense_staleness", "histogram", "Steps that a push's pull was behind."},
                  dense.staleness);
}

void AddWorkers(Page* page) {
  using W = const WorkerStats&;
  page->Workers({"worker_steps", "gauge", "Steps done."}, [](W w) { return w.steps; });
  page->Workers({"worker_active", "gauge", "1: takes part; 0: was evicted."},
                [](W w) { return w.active ? 1 : 0; });
  page->Workers({"worker_generation", "gauge", "Its life; rises with every restart."},
                [](W w) { return w.generation; });
  page->Workers({"worker_pushes_total", "counter", "Pushes applied."},
                [](W w) { return w.pushes; });
  page->Workers({"worker_waits_total", "counter", "Requests that waited for other workers."},
                [](W w) { return w.waits; });
  page->Workers({"worker_waited_seconds_total", "counter", "How long they waited."},
                [](W w) { return w.waited_seconds; });
  page->Workers({"worker_waiting_seconds", "gauge", "How long its oldest request waits by now."},
                [](W w) { return w.waiting_seconds; });
  page->Workers({"worker_duplicates_total", "counter", "Retries that were known already."},
                [](W w) { return w.duplicates; });
}

void AddServer(const ServerStats& s, Page* page) {
  page->Server({"uptime_seconds", "gauge", "Since the server's start."}, s.uptime_seconds);
  page->Server({"applied_steps", "gauge", "Steps that are complete."}, s.applied_steps);
  page->Server({"duplicates_total", "counter", "Pushes known already."}, s.duplicates);
  page->Server({"fenced_total", "counter", "Requests of earlier lives of workers."}, s.fenced);
  page->Server({"late_total", "counter", "Pushes of steps that were complete."}, s.late);
  page->Server({"not_finite_total", "counter", "Pushes refused: NaN or infinite."}, s.not_finite);
  page->Server({"errors_total", "counter", "Requests that failed."}, s.errors);
  page->Server({"waiting", "gauge", "Requests that wait for other workers now."}, s.waiting);
  page->Server({"ids_left_out_total", "counter", "Ids not sent again."}, s.ids_left_out);
  page->Server({"unknown_lists_total", "counter", "Requests that named ids not kept."},
               s.unknown_lists);
  page->Server({"list_bytes", "gauge", "Memory of lists of ids that are kept."}, s.list_bytes);
  page->Server({"log_bytes", "gauge", "Bytes of log that a restart would replay."}, s.log_bytes);
  page->Server({"log_segment", "gauge", "Number of the log's present segment."}, s.log_segment);
  page->Server({"bases_total", "counter", "Copies of its part that the log was begun anew with."},
               s.bases);
  page->Server({"resident_bytes", "gauge", "Memory of the whole process."}, s.resident_bytes);
}

}  // namespace

std::string PrometheusText(const ServerStats& s) {
  Page page(s);
  AddTables(&page);
  AddDense(s.dense, &page);
  AddWorkers(&page);
  page.Staleness({"staleness", "histogram", "Steps that a push's pull was behind."},
                 s.staleness);
  page.Latency({"pull_seconds", "histogram",
                "Time in the server of pulls, waiting for others left out."}, s.pull_us);
  page.Latency({"push_seconds", "histogram",
                "The same of pushes, with or without a pull."}, s.push_us);
  AddServer(s, &page);
  return page.Take();
}

}  // namespace tributary::ps
