// CSVLogger (keras.callbacks.CSVLogger): one line an epoch. A resumed run goes on
// after the last epoch that counts; what an abandoned run wrote beyond is dropped.
// A file that can't be written is worth a warning, not the training.

#include <fstream>

#include "core/base/logging.h"
#include "core/io/env.h"
#include "trainer/callbacks/callback.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

class CsvLogger final : public Callback {
 public:
  CsvLogger(const Options& o, const CallbackContext& context)
      : path_(context.Path(o.String("filename"))), separator_(o.String("separator")),
        append_(o.Bool("append")) {
    set_name("CSVLogger");
  }

  bool chief_only() const override { return true; }

  void OnTrainBegin(Trainer&) override { opened_ = false; }

  void OnEpochEnd(Trainer& trainer, Logs& logs) override {
    if (!opened_) Open(trainer.epoch(), logs);
    std::vector<std::string> cells = {std::to_string(trainer.epoch())};
    for (const std::string& key : keys_) {
      const double* value = logs.Find(key);
      cells.push_back(value ? fmt::format("{}", *value) : "NA");
    }
    lines_.push_back(Join(cells, separator_));
    try {
      if (whole_) {
        Append(lines_.back());
      } else {
        WriteFileAtomically(PosixEnv(), path_, Join(lines_, "\n") + "\n");
      }
      whole_ = true;
      warned_ = false;
    } catch (const std::exception& e) {
      whole_ = false;  // the next epoch writes all again
      if (std::exchange(warned_, true)) return;
      LogWarning("[CSVLogger] {}; training goes on, and the lines that are missing are written "
                 "once they can be", e.what());
    }
  }

 private:
  // Decides what of the file stays, and on the header.
  void Open(int64_t epoch, const Logs& logs) {
    opened_ = true;
    whole_ = false;
    lines_.clear();
    std::ifstream old(path_);
    for (std::string line; std::getline(old, line);) lines_.push_back(line);
    if (!append_ && epoch == 0) lines_.clear();
    // The last run's epochs that come again; those of runs before it stay.
    while (epoch > 0 && lines_.size() > 1 && EpochOf(lines_.back()) >= epoch) lines_.pop_back();
    keys_.clear();
    if (lines_.size() > 1) {
      keys_ = Split(lines_.front(), separator_[0]);
      keys_.erase(keys_.begin());
      return;
    }
    for (const auto& [name, value] : logs) keys_.push_back(name);
    std::ranges::sort(keys_);
    lines_ = {"epoch" + separator_ + Join(keys_, separator_)};
    const std::string folder = DirName(path_);
    if (folder.empty() || PosixEnv()->IsDirectory(folder)) return;
    try {
      PosixEnv()->CreateDirs(folder);
    } catch (const std::exception&) {
      // Writing the file will tell.
    }
  }

  static int64_t EpochOf(const std::string& line) {
    return std::strtoll(line.c_str(), nullptr, 10);
  }

  void Append(const std::string& line) const {
    std::ofstream file(path_, std::ios::app);
    file << line << '\n' << std::flush;
    if (!file) throw PermissionDeniedError("'{}' can't be written", path_);
  }

  std::string path_, separator_;
  bool append_, opened_ = false;
  bool whole_ = false;  // the file holds all of lines_
  bool warned_ = false;
  std::vector<std::string> lines_;  // the header and every epoch
  std::vector<std::string> keys_;
};

REGISTER_CALLBACK(
    OptionTable{"CSVLogger", "Writes the figures of each epoch into a CSV file.",
                {Opt("filename").String().Default("log.csv").Doc("from the run's folder"),
                 Opt("separator").OneOf({",", ";", "\t"}).Default(","),
                 Opt("append").Bool().Default(false).Doc("keep whatever the file holds")}},
    [](const Options& o, const CallbackContext& context) {
      return std::make_shared<CsvLogger>(o, context);
    });

}  // namespace
}  // namespace tributary
