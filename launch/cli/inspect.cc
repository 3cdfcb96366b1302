// tributary inspect PATH: what a checkpoint, an event file or a run holds.

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/strings.h"
#include "core/io/bundle_reader.h"
#include "core/io/env.h"
#include "core/proto/event.pb.h"
#include "core/runtime/report.h"
#include "core/tensor/proto.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "launch/config/paths.h"
#include "trainer/checkpoint/checkpoint_state.h"
#include "trainer/summary/event_file.h"

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string path, tensor, tag;
  bool verify = false, json = false;
};

// --- Checkpoints ------------------------------------------------------------

constexpr char kSuffix[] = "/.ATTRIBUTES/VARIABLE_VALUE";

int InspectTensor(const BundleReader& bundle, const std::string& name) {
  const std::string key = bundle.Has(name) ? name : name + kSuffix;
  fmt::print("{}\n", bundle.Read(key).ToString());
  return kExitOk;
}

int InspectCheckpoint(const std::string& prefix, const Arguments& arguments) {
  const BundleReader bundle(PosixEnv(), prefix);
  if (!arguments.tensor.empty()) return InspectTensor(bundle, arguments.tensor);
  if (arguments.verify) bundle.VerifyAll();
  if (arguments.json) {
    Json tensors = Json::array();
    for (const auto& [name, info] : bundle.tensors()) {
      tensors.push_back({{"name", name}, {"dtype", info.dtype_name},
                         {"shape", info.shape.dims()}, {"bytes", info.bytes}});
    }
    Json json = {{"checkpoint", prefix}, {"shards", bundle.num_shards()},
                 {"total_bytes", bundle.TotalBytes()}, {"tensors", tensors}};
    if (arguments.verify) json["verified"] = true;
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
    return kExitOk;
  }
  size_t width = 4;
  for (const auto& [name, info] : bundle.tensors()) width = std::max(width, name.size());
  width = std::min<size_t>(width, 90);
  fmt::print("{}: {} tensors, {} in {} data file{}{}\n", prefix, bundle.tensors().size(),
             FormatBytes(bundle.TotalBytes()), bundle.num_shards(), bundle.num_shards() == 1 ? "" : "s",
             arguments.verify ? ", all checksums right" : "");
  for (const auto& [name, info] : bundle.tensors()) {
    fmt::print("  {:<{}}  {:<9} {:<16} {}\n", name, width, info.dtype_name,
               info.shape.ToString(), FormatBytes(info.bytes));
  }
  return kExitOk;
}

// --- Event files ------------------------------------------------------------

struct Curve {
  std::string plugin;
  std::vector<std::pair<int64_t, double>> points;  // NaN for what is no number
};

void AddValue(const proto::Summary::Value& value, int64_t step, Curve* curve) {
  double number = std::nan("");
  if (!value.metadata().plugin_data().plugin_name().empty()) {
    curve->plugin = value.metadata().plugin_data().plugin_name();
  }
  if (value.value_case() == proto::Summary::Value::kSimpleValue) {
    number = value.simple_value();
    if (curve->plugin.empty()) curve->plugin = "scalars";
  } else if (value.value_case() == proto::Summary::Value::kTensor) {
    const Tensor tensor = TensorFromProto(value.tensor());
    if (tensor.NumElements() == 1 && tensor.dtype() == DType::kFloat32) {
      number = tensor.item<float>();
    } else if (tensor.NumElements() == 1 && tensor.dtype() == DType::kFloat64) {
      number = tensor.item<double>();
    }
  }
  curve->points.emplace_back(step, number);
}

struct Events {
  std::map<std::string, Curve> curves;
  int64_t records = 0, graphs = 0, starts = 0;
  bool torn = false;
};

Events ReadEvents(const std::vector<std::string>& files) {
  Events events;
  for (const std::string& file : files) {
    EventFileReader reader(PosixEnv(), file);
    proto::Event event;
    while (reader.Read(&event)) {
      ++events.records;
      events.graphs += event.what_case() == proto::Event::kGraphDef;
      if (event.what_case() == proto::Event::kSessionLog &&
          event.session_log().status() == proto::SessionLog::START) {
        ++events.starts;
        // As TensorBoard: what an abandoned run wrote from here on is void.
        for (auto& [tag, curve] : events.curves) {
          std::erase_if(curve.points, [&](const auto& p) { return p.first >= event.step(); });
        }
      }
      for (const proto::Summary::Value& value : event.summary().value()) {
        AddValue(value, event.step(), &events.curves[value.tag()]);
      }
    }
    events.torn |= reader.torn();
  }
  return events;
}

int InspectEvents(const std::string& path, const std::vector<std::string>& files,
                  const Arguments& arguments) {
  const Events events = ReadEvents(files);
  if (!arguments.tag.empty()) {
    const auto it = events.curves.find(arguments.tag);
    if (it == events.curves.end()) {
      std::vector<std::string> tags;
      for (const auto& [tag, curve] : events.curves) tags.push_back(tag);
      throw NotFoundError("[inspect] {} has no tag '{}'{}; tags: {}", path, arguments.tag,
                          DidYouMean(arguments.tag, tags), Join(tags, ", "));
    }
    for (const auto& [step, value] : it->second.points) fmt::print("{}\t{:.9g}\n", step, value);
    return kExitOk;
  }
  if (arguments.json) {
    Json json = {{"path", path}, {"files", files}, {"records", events.records},
                 {"graphs", events.graphs}, {"torn", events.torn}, {"tags", Json::object()}};
    for (const auto& [tag, curve] : events.curves) {
      Json points = Json::array();
      for (const auto& [step, value] : curve.points) points.push_back({step, value});
      json["tags"][tag] = {{"plugin", curve.plugin}, {"points", points}};
    }
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
    return kExitOk;
  }
  fmt::print("{}: {} records in {} file{}, {} graph{}{}\n", path, events.records, files.size(),
             files.size() == 1 ? "" : "s", events.graphs, events.graphs == 1 ? "" : "s",
             events.torn ? ", the last record is torn" : "");
  for (const auto& [tag, curve] : events.curves) {
    if (curve.points.empty()) continue;
    const auto& [step, value] = curve.points.back();
    fmt::print("  {:<36} {:<10} {:>6} points, steps {} to {}{}\n", tag, curve.plugin,
               curve.points.size(), curve.points.front().first, step,
               std::isnan(value) ? "" : fmt::format(", last {:.6g}", value));
  }
  return kExitOk;
}

// --- Folders ----------------------------------------------------------------

bool IsEventFile(const std::string& path) {
  return BaseName(path).find("tfevents") != std::string::npos;
}

int InspectPath(const std::string& path, const Arguments& arguments);

int InspectFolder(const std::string& folder, const Arguments& arguments) {
  Env* env = PosixEnv();
  const std::string latest = LatestCheckpoint(env, folder);
  if (!latest.empty()) {
    if (!arguments.json && arguments.tensor.empty()) {
      const auto numbers = CheckpointNumbers(env, folder, "ckpt");
      fmt::print("{}: {} checkpoint{} ({}); the newest:\n", folder, numbers.size(),
                 numbers.size() == 1 ? "" : "s", fmt::join(numbers, ", "));
    }
    return InspectCheckpoint(latest, arguments);
  }
  const std::vector<std::string> files = ListEventFiles(env, folder);
  if (!files.empty()) return InspectEvents(folder, files, arguments);
  int shown = 0;
  for (const char* part : {"checkpoints", "summaries", "train", "validation"}) {
    const std::string below = JoinPath(folder, part);
    if (!env->IsDirectory(below)) continue;
    if (InspectPath(below, arguments) == kExitOk) ++shown;
  }
  if (shown == 0) {
    throw NotFoundError("[inspect] {} holds neither a checkpoint nor event files", folder);
  }
  return kExitOk;
}

int InspectPath(const std::string& path, const Arguments& arguments) {
  Env* env = PosixEnv();
  if (env->IsDirectory(path)) return InspectFolder(path, arguments);
  if (IsEventFile(path) && env->Exists(path)) return InspectEvents(path, {path}, arguments);
  if (EndsWith(path, ".index")) {
    return InspectCheckpoint(path.substr(0, path.size() - 6), arguments);
  }
  if (env->Exists(path + ".index")) return InspectCheckpoint(path, arguments);
  throw NotFoundError("[inspect] there is no checkpoint, event file or folder '{}'{}", path,
                      NearPath(path));
}

std::function<int()> SetUp(const CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();
  line.Add("PATH", &arguments->path, "A checkpoint, an event file, or a folder of them").Required();
  line.Add("--tensor", &arguments->tensor, "Print one tensor of a checkpoint");
  line.Add("--tag", &arguments->tag, "Print one curve: step and value");
  line.Add("--verify", &arguments->verify, "Check every checksum");
  line.Add("--json", &arguments->json, "One JSON object");
  return [=] { return InspectPath(arguments->path, *arguments); };
}

const CommandRegistrar registrar("inspect", {"Show what a checkpoint or an event file holds", 6,
                                             SetUp, true});

}  // namespace
}  // namespace tributary
