#pragma once

namespace tributary {

class Trainer;

// Whether this process was started with SIGHUP ignored, by nohup: it stays so.
bool IgnoresHangUp();

// While it lives, SIGTERM, SIGINT, SIGUSR1 (what mpirun passes on at once) and SIGHUP
// (the terminal is gone; not under nohup) ask `trainer` to stop after the present step;
// the callbacks then save. A second signal ends the process as usual. One at a time.
class StopSignals {
 public:
  explicit StopSignals(Trainer* trainer);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;

  // The signal that came, or 0.
  int received() const;
};

}  // namespace tributary
