#include "trainer/callbacks/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/logging.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

bool IsTerminal(std::FILE* out) {
  const char* term = std::getenv("TERM");
  return isatty(fileno(out)) && term && std::string_view(term) != "dumb";
}

int TerminalWidth(std::FILE* out) {
  winsize size{};
  return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// 84021.4 -> "84,021"; small numbers keep a digit.
std::string Rate(double rate) {
  if (rate < 100) return fmt::format("{:.1f}", rate);
  std::string digits = fmt::format("{:.0f}", rate);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(at, ",");
  return digits;
}

std::string Duration(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
}

class Progress final : public Callback {
 public:
  explicit Progress(ProgressOptions options)
      : out_(options.out), log_(GetLogFormat() == LogFormat::kJson),
        terminal_(!log_ && options.terminal.value_or(IsTerminal(options.out))),
        width_(options.width > 0 ? options.width : TerminalWidth(options.out)),
        every_(terminal_ ? Interval{0.1, Interval::Unit::kSeconds} : options.every,
               options.clock) {
    set_name("Progress");
  }
  ~Progress() override { EndLine(); }

  bool chief_only() const override { return true; }

  void OnEpochBegin(Trainer& trainer) override {
    start_ = mark_ = every_.Now();
    start_examples_ = mark_examples_ = trainer.examples();
    rate_ = 0;
  }

  int64_t FirstStep(Trainer& trainer) override { return every_.FirstStep(trainer.step()); }

  int64_t OnStep(Trainer& trainer) override {
    bool due = false;
    const int64_t wait = every_.OnStep(trainer.step(), &due);
    if (due) Show(trainer);
    return wait;
  }

  void OnEpochEnd(Trainer& trainer, Logs& logs) override {
    const double seconds = every_.Now() - start_;
    const double rate = (trainer.examples() - start_examples_) / std::max(seconds, 1e-9);
    Print(fmt::format("Epoch {}/{}  {} steps  {:.2f}s  {} examples/s{}", trainer.epoch() + 1,
                      trainer.total_epochs(), trainer.step_in_epoch(), seconds, Rate(rate),
                      Figures(logs)),
          true, trainer, rate, logs);
    every_.Restart();
  }

  void OnTrainEnd(Trainer&) override { EndLine(); }

 private:
  void Show(Trainer& trainer) {
    const double now = every_.Now();
    if (now > mark_) {
      const double rate = (trainer.examples() - mark_examples_) / (now - mark_);
      rate_ = rate_ == 0 ? rate : 0.7 * rate_ + 0.3 * rate;
    }
    mark_ = now;
    mark_examples_ = trainer.examples();
    const int64_t step = trainer.step_in_epoch(), steps = trainer.steps_per_epoch();
    const double left = (steps - step) * static_cast<double>(trainer.global_batch());
    const Logs logs = trainer.CurrentLogs();
    Print(fmt::format("Epoch {}/{}  {}%  {}/{}  ETA {}  {} examples/s{}", trainer.epoch() + 1,
                      trainer.total_epochs(), 100 * step / std::max<int64_t>(steps, 1), step,
                      steps, rate_ > 0 ? Duration(left / rate_) : "?", Rate(rate_),
                      Figures(logs)),
          false, trainer, rate_, logs);
  }

  static std::string Figures(const Logs& logs) {
    std::string text;
    for (const auto& [name, value] : logs) {
      const bool plain = value == 0 || (std::abs(value) >= 1e-3 && std::abs(value) < 1e6);
      text += plain ? fmt::format("  {}: {:.4f}", name, value)
                    : fmt::format("  {}: {:.4e}", name, value);
    }
    return text;
  }

  static LogFields Fields(Trainer& trainer, double rate, const Logs& logs) {
    LogFields fields = {{"epoch", trainer.epoch() + 1},
                        {"epochs", trainer.total_epochs()},
                        {"step", trainer.step()},
                        {"examples_per_second", rate}};
    for (const auto& [name, value] : logs) fields.emplace_back(name, value);
    return fields;
  }

  void Print(std::string line, bool last, Trainer& trainer, double rate, const Logs& logs) {
    if (log_) return LogEvent(LogLevel::kInfo, line, Fields(trainer, rate, logs));
    if (!terminal_) {
      fmt::print(out_, "{}\n", line);
    } else {
      if (static_cast<int>(line.size()) >= width_ && !last) line.resize(width_ - 1);
      fmt::print(out_, "\r{}\x1b[K{}", line, last ? "\n" : "");
      open_line_ = !last;
    }
    std::fflush(out_);
  }

  void EndLine() {
    if (open_line_) fmt::print(out_, "\n");
    open_line_ = false;
  }

  std::FILE* out_;
  const bool log_;
  bool terminal_, open_line_ = false;
  int width_;
  Every every_;
  double start_ = 0, mark_ = 0, rate_ = 0;
  int64_t start_examples_ = 0, mark_examples_ = 0;
};

REGISTER_CALLBACK(
    OptionTable{"Progress", "Shows how far the training is.",
                {Opt("every").Every().Default("10 s").Doc("between lines, off a terminal")}},
    [](const Options& o, const CallbackContext&) {
      return MakeProgress({.every = o.Every("every")});
    });

}  // namespace

CallbackPtr MakeProgress(ProgressOptions options) {
  return std::make_shared<Progress>(std::move(options));
}

}  // namespace tributary
