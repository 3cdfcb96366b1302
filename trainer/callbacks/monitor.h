#pragma once
// What EarlyStopping and its like watch: one figure of the logs, and which way is
// better (keras.callbacks.MonitorCallback).

#include <optional>
#include <string>
#include <vector>

#include "trainer/callbacks/callback.h"

namespace tributary {

class Monitor {
 public:
  // `mode`: min, max, or auto: the larger the better for accuracies and AUC.
  Monitor(std::string name, const std::string& mode, double min_delta = 0);

  static OptionSpec NameOption(const char* fallback);
  static OptionSpec ModeOption();

  const std::string& name() const { return name_; }
  // Empty when this epoch had no validation. Throws NotFoundError for a figure
  // that the run does not have.
  std::optional<double> Read(const Logs& logs) const;
  // NaN never is.
  bool IsBetter(double value, double than) const;
  double Worst() const;

 private:
  std::string name_;
  bool larger_;
  double min_delta_;
};

}  // namespace tributary
