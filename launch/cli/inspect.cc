// tributary inspect PATH: what a checkpoint, an event file or a run holds.

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>

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

// The elements in order, as JSON has them.
Json Values(const Tensor& tensor) {
  Json values = Json::array();
  if (tensor.dtype() == DType::kString) {
    for (int64_t i = 0; i < tensor.NumElements(); ++i) values.push_back(tensor.data<std::string>()[i]);
    return values;
  }
  DispatchPlain(tensor.dtype(), "inspect", [&](auto zero) {
    using T = decltype(zero);
    const T* data = tensor.data<T>();
    for (int64_t i = 0; i < tensor.NumElements(); ++i) {
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        values.push_back(static_cast<float>(data[i]));
      } else {
        values.push_back(data[i]);
      }
    }
  });
  return values;
}

Json TensorJson(const std::string& prefix, const std::string& name) {
  const BundleReader bundle(PosixEnv(), prefix);
  const Tensor tensor = bundle.Read(bundle.Has(name) ? name : name + kSuffix);
  return {{"checkpoint", prefix}, {"tensor", name}, {"dtype", DTypeName(tensor.dtype())},
          {"shape", tensor.shape().dims()}, {"values", Values(tensor)}};
}

void PrintTensor(const std::string& prefix, const std::string& name) {
  const BundleReader bundle(PosixEnv(), prefix);
  fmt::print("{}\n", bundle.Read(bundle.Has(name) ? name : name + kSuffix).ToString());
}

Json CheckpointJson(const BundleReader& bundle, bool verified) {
  Json tensors = Json::array();
  for (const auto& [name, info] : bundle.tensors()) {
    tensors.push_back({{"name", name}, {"dtype", info.dtype_name},
                       {"shape", info.shape.dims()}, {"bytes", info.bytes}});
  }
  Json json = {{"checkpoint", bundle.prefix()}, {"shards", bundle.num_shards()},
               {"total_bytes", bundle.TotalBytes()}, {"tensors", tensors}};
  if (verified) json["verified"] = true;
  if (const std::string mistake = bundle.DataMistake(); !mistake.empty()) json["damage"] = mistake;
  return json;
}

void PrintCheckpoint(const BundleReader& bundle, bool verified) {
  size_t width = 4;
  for (const auto& [name, info] : bundle.tensors()) width = std::max(width, name.size());
  width = std::min<size_t>(width, 90);
  fmt::print("{}: {} tensors, {} in {} data file{}{}\n", bundle.prefix(), bundle.tensors().size(),
             FormatBytes(bundle.TotalBytes()), bundle.num_shards(),
             bundle.num_shards() == 1 ? "" : "s", verified ? ", all checksums right" : "");
  if (const std::string mistake = bundle.DataMistake(); !mistake.empty()) {
    fmt::print("  ! {}\n", mistake);
  }
  for (const auto& [name, info] : bundle.tensors()) {
    fmt::print("  {:<{}}  {:<9} {:<16} {}\n", name, width, info.dtype_name,
               info.shape.ToString(), FormatBytes(info.bytes));
  }
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

Json PointsJson(const Curve& curve) {
  Json points = Json::array();
  for (const auto& [step, value] : curve.points) points.push_back({step, value});
  return points;
}

Json EventsJson(const std::string& path, const std::vector<std::string>& files,
                const Events& events) {
  Json json = {{"path", path}, {"files", files}, {"records", events.records},
               {"graphs", events.graphs}, {"torn", events.torn}, {"tags", Json::object()}};
  for (const auto& [tag, curve] : events.curves) {
    json["tags"][tag] = {{"plugin", curve.plugin}, {"points", PointsJson(curve)}};
  }
  return json;
}

void PrintEvents(const std::string& path, const std::vector<std::string>& files,
                 const Events& events) {
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
}

// --- What lies at a path ----------------------------------------------------

// One checkpoint, or the event files of one folder.
struct Part {
  std::string path;
  std::vector<std::string> event_files;  // none: a checkpoint, `path` is its prefix
  std::string note;                      // what is said before it
};

bool IsEventFile(const std::string& path) {
  return BaseName(path).find("tfevents") != std::string::npos;
}

void AddFolder(const std::string& folder, std::vector<Part>* parts) {
  Env* env = PosixEnv();
  if (const std::string latest = LatestCheckpoint(env, folder); !latest.empty()) {
    const auto numbers = CheckpointNumbers(env, folder, "ckpt");
    parts->push_back({latest, {},
                      fmt::format("{}: {} checkpoint{} ({}); the newest:\n", folder,
                                  numbers.size(), numbers.size() == 1 ? "" : "s",
                                  fmt::join(numbers, ", "))});
    return;
  }
  if (const auto files = ListEventFiles(env, folder); !files.empty()) {
    return parts->push_back({folder, files, ""});
  }
  for (const char* name : {"checkpoints", "summaries", "train", "validation", "evaluator"}) {
    const std::string below = JoinPath(folder, name);
    if (env->IsDirectory(below)) AddFolder(below, parts);
  }
}

std::vector<Part> PartsOf(const std::string& path) {
  Env* env = PosixEnv();
  if (env->IsDirectory(path)) {
    std::vector<Part> parts;
    AddFolder(path, &parts);
    if (!parts.empty()) return parts;
    throw NotFoundError("[inspect] {} holds neither a checkpoint nor event files", path);
  }
  if (IsEventFile(path) && env->Exists(path)) return {{path, {path}, ""}};
  if (EndsWith(path, ".index")) return {{path.substr(0, path.size() - 6), {}, ""}};
  if (env->Exists(path + ".index")) return {{path, {}, ""}};
  if (env->Exists(path)) {
    throw InvalidArgumentError("[inspect] '{}' is no checkpoint, no event file and no folder; "
                               "expected checkpoints/ckpt-N, its .index, or *.tfevents.*", path);
  }
  throw NotFoundError("[inspect] there is no checkpoint, event file or folder '{}'{}", path,
                      NearPath(path));
}

// One object as it is, several as a list.
void PrintJson(const std::string& path, const std::vector<Json>& objects) {
  const Json json = objects.size() == 1 ? objects[0] : Json{{"path", path}, {"parts", objects}};
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

int InspectTensor(const std::vector<Part>& parts, const Arguments& arguments) {
  for (const Part& part : parts) {
    if (!part.event_files.empty()) continue;
    if (arguments.json) {
      PrintJson(arguments.path, {TensorJson(part.path, arguments.tensor)});
    } else {
      PrintTensor(part.path, arguments.tensor);
    }
    return kExitOk;
  }
  throw InvalidArgumentError("[inspect] {} has no checkpoint, and --tensor is for one; take --tag "
                             "for the curves of event files", arguments.path);
}

int InspectTag(const std::vector<Part>& parts, const Arguments& arguments) {
  std::vector<std::pair<std::string, Curve>> found;
  std::set<std::string> tags;
  bool any = false;
  for (const Part& part : parts) {
    if (part.event_files.empty()) continue;
    any = true;
    for (auto& [tag, curve] : ReadEvents(part.event_files).curves) {
      tags.insert(tag);
      if (tag == arguments.tag) found.emplace_back(part.path, curve);
    }
  }
  if (!any) {
    throw InvalidArgumentError("[inspect] {} has no event files, and --tag is for those; take "
                               "--tensor for what a checkpoint holds", arguments.path);
  }
  if (found.empty()) {
    const std::vector<std::string> names(tags.begin(), tags.end());
    throw NotFoundError("[inspect] {} has no tag '{}'{}; tags: {}", arguments.path, arguments.tag,
                        DidYouMean(arguments.tag, names), Join(names, ", "));
  }
  std::vector<Json> objects;
  for (const auto& [path, curve] : found) {
    if (arguments.json) {
      objects.push_back({{"path", path}, {"tag", arguments.tag}, {"points", PointsJson(curve)}});
      continue;
    }
    if (found.size() > 1) fmt::print("# {}\n", path);
    for (const auto& [step, value] : curve.points) fmt::print("{}\t{:.9g}\n", step, value);
  }
  if (arguments.json) PrintJson(arguments.path, objects);
  return kExitOk;
}

int Inspect(const Arguments& arguments) {
  const std::vector<Part> parts = PartsOf(arguments.path);
  if (!arguments.tensor.empty()) return InspectTensor(parts, arguments);
  if (!arguments.tag.empty()) return InspectTag(parts, arguments);
  int code = kExitOk;
  std::vector<Json> objects;
  for (const Part& part : parts) {
    if (!part.event_files.empty()) {
      const Events events = ReadEvents(part.event_files);
      if (arguments.json) objects.push_back(EventsJson(part.path, part.event_files, events));
      else PrintEvents(part.path, part.event_files, events);
      continue;
    }
    const BundleReader bundle(PosixEnv(), part.path);
    if (arguments.verify) bundle.VerifyAll();
    if (!bundle.DataMistake().empty()) code = kExitData;
    if (arguments.json) {
      objects.push_back(CheckpointJson(bundle, arguments.verify));
    } else {
      fmt::print("{}", part.note);
      PrintCheckpoint(bundle, arguments.verify);
    }
  }
  if (arguments.json) PrintJson(arguments.path, objects);
  return code;
}

std::function<int()> SetUp(const CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();
  line.Add("PATH", &arguments->path, "A checkpoint, an event file, or a folder of them").Required();
  const Argument tensor =
      line.Add("--tensor", &arguments->tensor, "Print one tensor of a checkpoint");
  line.Add("--tag", &arguments->tag, "Print one curve: step and value").Excludes(tensor);
  line.Add("--verify", &arguments->verify, "Check every checksum");
  line.Add("--json", &arguments->json, "One JSON object");
  return [=] { return Inspect(*arguments); };
}

const CommandRegistrar registrar("inspect", {"Show what a checkpoint or an event file holds", 6,
                                             SetUp, true});

}  // namespace
}  // namespace tributary
