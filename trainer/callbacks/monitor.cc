#include "trainer/callbacks/monitor.h"

#include <limits>

namespace tributary {

Monitor::Monitor(std::string name, const std::string& mode, double min_delta)
    : name_(std::move(name)), min_delta_(std::abs(min_delta)) {
  const std::string lower = ToLower(name_);
  larger_ = mode == "max" || (mode == "auto" && (lower.find("acc") != std::string::npos ||
                                                 lower.find("auc") != std::string::npos));
}

OptionSpec Monitor::NameOption(const char* fallback) {
  return Opt("monitor").String().Default(fallback).Doc("a figure of the logs");
}

OptionSpec Monitor::ModeOption() {
  return Opt("mode").OneOf({"auto", "min", "max"}).Default("auto").Doc(
      "whether less or more is better");
}

std::optional<double> Monitor::Read(const Logs& logs) const {
  if (const double* value = logs.Find(name_)) return *value;
  const bool validated = logs.Find("val_loss") != nullptr;
  if (StartsWith(name_, "val_") && !validated) return std::nullopt;
  return logs.Get(name_);
}

bool Monitor::IsBetter(double value, double than) const {
  return larger_ ? value - min_delta_ > than : value + min_delta_ < than;
}

double Monitor::Worst() const {
  const double infinity = std::numeric_limits<double>::infinity();
  return larger_ ? -infinity : infinity;
}

}  // namespace tributary
