// CSVLogger (keras.callbacks.CSVLogger): one line an epoch. A resumed run goes on
// after the last epoch that counts; what an abandoned run wrote beyond is dropped.

#include <filesystem>
#include <fstream>

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
    std::ofstream file(path_, std::ios::app);
    file << Join(cells, separator_) << '\n' << std::flush;
    if (!file) throw PermissionDeniedError("[CSVLogger] can't write '{}'", path_);
  }

 private:
  // Rewrites the file with the lines of epochs before `epoch` and the header.
  void Open(int64_t epoch, const Logs& logs) {
    opened_ = true;
    std::vector<std::string> kept;
    std::ifstream old(path_);
    std::string line, header;
    if (old && std::getline(old, header) && (append_ || epoch > 0)) {
      while (std::getline(old, line)) {
        if (append_ || std::strtoll(line.c_str(), nullptr, 10) < epoch) kept.push_back(line);
      }
    }
    keys_.clear();
    if (!kept.empty()) {
      keys_ = Split(header, separator_[0]);
      keys_.erase(keys_.begin());
    } else {
      for (const auto& [name, value] : logs) keys_.push_back(name);
      std::ranges::sort(keys_);
    }
    const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
    if (!folder.empty()) std::filesystem::create_directories(folder);
    std::ofstream file(path_, std::ios::trunc);
    file << "epoch" << separator_ << Join(keys_, separator_) << '\n';
    for (const std::string& row : kept) file << row << '\n';
    if (!file) throw PermissionDeniedError("[CSVLogger] can't write '{}'", path_);
  }

  std::string path_, separator_;
  bool append_, opened_ = false;
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
