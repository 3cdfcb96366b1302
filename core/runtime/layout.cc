#include "core/runtime/layout.h"

#include "core/runtime/memory_planner.h"
#include "core/runtime/schedule.h"
#include "core/runtime/variable.h"

namespace tributary {
namespace {

using Kind = MemoryProblem::Kind;
using Output = std::pair<const Node*, int>;

Output OutputOf(const Tensor& tensor) { return {tensor.node(), tensor.index()}; }

size_t DataBytes(const TensorSpec& spec) {
  return spec.shape.NumElements() * DTypeSize(spec.data_dtype());
}

// When a node is active: from its launch until its outputs are there.
struct Active {
  int launch = 0, finish = 0;
};

class LayoutBuilder {
 public:
  LayoutBuilder(const PreparedGraph& graph, const PlanOptions& options)
      : graph_(graph), options_(options) {
    for (const PreparedNode& p : graph_.nodes) prepared_[p.node] = &p;
    for (size_t i = 0; i < graph_.feeds.size(); ++i) {
      if (graph_.feeds[i]) feeds_[graph_.feeds[i]] = static_cast<int>(i);
    }
  }

  Layout Build() {
    FindViews();
    schedule_ = MakeSchedule(*graph_.graph, hints_);
    FindActive();
    FindUses();
    FindCopies();
    AddValues();
    AddWishes();
    Place();
    for (const ScheduledStep& step : schedule_) AddSteps(step);
    AddFetches();
    return std::move(layout_);
  }

 private:
  // Which outputs are a view of a variable, and through which read.
  void FindViews() {
    for (const PreparedNode& p : graph_.nodes) {
      if (p.async) hints_.asynchronous.insert(p.node);
      if (p.only_reads) hints_.reads.insert(p.node);
      for (const auto& forward : p.forwards) {
        const Tensor& input = p.node->input(forward.input);
        const Output out{p.node, forward.output};
        if (input.dtype() == DType::kResource) {
          if (p.node->output(forward.output).dtype != DType::kResource) hints_.views[out] = out;
        } else if (const auto it = hints_.views.find(OutputOf(input));
                   it != hints_.views.end()) {
          const Output read = it->second;
          hints_.views[out] = read;
        }
      }
    }
  }

  void FindActive() {
    for (size_t i = 0; i < schedule_.size(); ++i) {
      const int at = static_cast<int>(i);
      Active& active = active_[schedule_[i].node];
      if (!schedule_[i].finish) active.launch = at;
      active.finish = at;
    }
    end_ = static_cast<int>(schedule_.size());
  }

  void FindUses() {
    for (const PreparedNode& p : graph_.nodes) {
      for (const Tensor& input : p.node->inputs()) {
        int& last = last_use_[OutputOf(input)];
        last = std::max(last, active_.at(p.node).finish);
      }
    }
    for (const Tensor& fetch : graph_.fetches) {
      last_use_[OutputOf(fetch)] = end_;
      fetched_.insert(OutputOf(fetch));
    }
  }

  // A read is a view of the variable's memory, unless somebody writes the
  // variable while the view is still needed.
  void FindCopies() {
    const HandleOverlaps overlaps = FindOverlaps(*graph_.graph);
    std::map<const Node*, std::vector<int>> writes;  // by handle
    for (const PreparedNode& p : graph_.nodes) {
      if (!p.node->schema().stateful || p.only_reads) continue;
      for (const Node* handle : TouchedHandles(*p.node)) {
        for (const Node* other : overlaps.at(handle)) {
          writes[other].push_back(active_.at(p.node).launch);
        }
      }
    }
    std::map<Output, int> needed;  // by read
    for (const auto& [view, read] : hints_.views) {
      int& last = needed[read];
      last = std::max(last, last_use_[view]);
    }
    for (const auto& [read, last] : needed) {
      const int from = active_.at(read.first).launch;
      for (const Node* handle : TouchedHandles(*read.first)) {
        for (const int write : writes[handle]) {
          if (write > from && write <= last) copies_.insert(read);
        }
      }
    }
  }

  int AddValue(const Output& output, MemoryProblem::Value value) {
    const int id = static_cast<int>(problem_.values.size());
    values_[output] = id;
    value.last_use = std::max(value.defined, last_use_[output]);
    value.keep = fetched_.count(output) != 0;
    problem_.values.push_back(value);
    addresses_.push_back({});
    return id;
  }

  void AddFixed(const Node* node, Address address) {
    const TensorSpec& spec = node->output(0);
    const int id = AddValue({node, 0}, {DataBytes(spec), 0, 0, Kind::kFixed, false});
    addresses_[id] = address;
  }

  void AddValues() {
    for (const auto& owner : graph_.graph->nodes()) {
      const Node* node = owner.get();
      if (const auto feed = feeds_.find(node); feed != feeds_.end()) {
        AddFixed(node, {nullptr, feed->second});
      } else if (const Tensor* constant = node->constant()) {
        layout_.constant_bytes += constant->bytes();
        layout_.keep_alive.push_back(constant->buffer());
        AddFixed(node, {constant->raw_data(), -1});
      } else if (node->variable()) {
        const auto& variable = node->variable();
        variable->Pin();
        layout_.keep_alive.push_back(variable);
        layout_.variable_bytes += variable->storage().bytes();
        AddFixed(node, {variable->storage().raw_data(), -1});
      } else {
        AddOutputs(*prepared_.at(node));
      }
    }
  }

  void AddOutputs(const PreparedNode& p) {
    const int defined = active_.at(p.node).launch;
    for (int i = 0; i < p.node->num_outputs(); ++i) {
      const TensorSpec& spec = p.node->output(i);
      const Output output{p.node, i};
      const int id = AddValue(output, {DataBytes(spec), defined, 0, Kind::kArena, false});
      // An asynchronous node writes until it has finished.
      problem_.values[id].last_use =
          std::max(problem_.values[id].last_use, active_.at(p.node).finish);
      const auto forward = std::find_if(p.forwards.begin(), p.forwards.end(),
                                        [i](const auto& f) { return f.output == i; });
      if (forward != p.forwards.end() && !copies_.count(output)) {
        problem_.aliases.push_back({id, values_.at(OutputOf(p.node->input(forward->input)))});
      } else if (spec.dtype == DType::kString) {
        SetMemory(id, Kind::kFixed, Buffer::Strings(spec.shape.NumElements()));
      } else if (spec.dtype == DType::kResource) {
        throw UnimplementedError("[plan] node '{}' ({}) makes a resource handle", p.node->name(),
                                 p.node->op());
      } else if (i == 0) {
        AddBucket(*p.node, id);
      }
    }
  }

  void SetMemory(int value, Kind kind, std::shared_ptr<Buffer> buffer) {
    problem_.values[value].kind = kind;
    addresses_[value].data = buffer->data();
    layout_.keep_alive.push_back(std::move(buffer));
  }

  void AddBucket(const Node& node, int value) {
    const std::string bucket = node.attrs().GetOr<std::string>("bucket", "");
    if (bucket.empty()) return;
    if (!buckets_.insert(bucket).second) {
      throw InvalidArgumentError("[plan] node '{}': bucket '{}' is the output of another node too",
                                 node.name(), bucket);
    }
    const size_t bytes = problem_.values[value].bytes;
    std::shared_ptr<Buffer> buffer =
        options_.bucket_memory ? options_.bucket_memory(bucket, bytes)
                               : Buffer::Allocate(bytes, options_.device->allocator());
    TRB_CHECK(buffer && buffer->bytes() >= bytes);
    if (bytes) std::memset(buffer->data(), 0, bytes);
    layout_.bucket_bytes += bytes;
    SetMemory(value, Kind::kBucket, std::move(buffer));
  }

  void AddWishes() {
    for (const ScheduledStep& step : schedule_) {
      const auto it = prepared_.find(step.node);
      if (step.finish || it == prepared_.end()) continue;
      const PreparedNode& p = *it->second;
      const int until = active_.at(p.node).finish;
      for (const auto& place : p.places) {
        problem_.places.push_back({values_.at(OutputOf(p.node->input(place.input))),
                                   values_.at({p.node, 0}), place.byte_offset, until});
      }
      for (const auto& pair : p.in_place) {
        MemoryProblem::InPlace wish{values_.at({p.node, pair.output}),
                                    values_.at(OutputOf(p.node->input(pair.input))), until, {}};
        for (int i = 0; i < p.node->num_inputs(); ++i) {
          if (i != pair.input) wish.others.push_back(values_.at(OutputOf(p.node->input(i))));
        }
        in_place_of_.push_back(p.node);
        problem_.in_place.push_back(std::move(wish));
      }
    }
    // One scratch serves all that run one after another.
    for (const PreparedNode& p : graph_.nodes) {
      if (!p.scratch_bytes) continue;
      if (!p.async) {
        layout_.scratch_bytes = std::max(layout_.scratch_bytes, p.scratch_bytes);
        continue;
      }
      const Active& a = active_.at(p.node);
      scratch_[p.node] = static_cast<int>(problem_.values.size());
      problem_.values.push_back({p.scratch_bytes, a.launch, a.finish, Kind::kArena, false});
    }
    shared_scratch_ = static_cast<int>(problem_.values.size());
    problem_.values.push_back({layout_.scratch_bytes, 0, end_, Kind::kArena, true});
  }

  void Place() {
    problem_.reuse = options_.reuse_memory;
    plan_ = PlanMemory(problem_);
    for (size_t i = 0; i < in_place_of_.size(); ++i) {
      if (plan_.in_place[i]) in_place_.insert(in_place_of_[i]);
    }
    layout_.arena_bytes = plan_.arena_bytes;
    layout_.naive_bytes = plan_.naive_bytes;
    arena_ = Buffer::Allocate(std::max<size_t>(plan_.arena_bytes, kArenaAlignment),
                              options_.device->allocator());
    layout_.keep_alive.push_back(arena_);
  }

  Address AddressOf(int value) const {
    const MemoryPlan::Location& location = plan_.locations[value];
    Address address;
    if (location.base >= 0) address = addresses_[location.base];
    if (location.base < 0) address.data = arena_->data();
    if (address.feed < 0) address.data = static_cast<char*>(address.data) + location.offset;
    return address;
  }
  Address AddressOf(const Output& output) const { return AddressOf(values_.at(output)); }

  void AddSteps(const ScheduledStep& scheduled) {
    const auto it = prepared_.find(scheduled.node);
    if (it == prepared_.end()) return;
    const PreparedNode& p = *it->second;
    for (const auto& forward : p.forwards) {
      if (scheduled.finish || !copies_.count({p.node, forward.output})) continue;
      AddCopy(AddressOf(OutputOf(p.node->input(forward.input))),
              AddressOf(Output{p.node, forward.output}), p.node->output(forward.output),
              p.node->name());
    }
    if (!p.kernel) return;
    LayoutStep step;
    step.kind = scheduled.finish ? LayoutStep::Kind::kFinish : LayoutStep::Kind::kLaunch;
    step.prepared = &p;
    step.name = p.node->name();
    step.in_place = in_place_.count(p.node) != 0;
    for (const Tensor& input : p.node->inputs()) step.in.push_back(AddressOf(OutputOf(input)));
    for (int i = 0; i < p.node->num_outputs(); ++i) {
      step.out.push_back(AddressOf(Output{p.node, i}));
    }
    if (p.node->num_outputs() > 0) {
      const MemoryPlan::Location& location = plan_.locations[values_.at({p.node, 0})];
      step.output = p.node->output(0).ToString();
      step.bytes = DataBytes(p.node->output(0));
      if (location.base < 0) step.arena_offset = location.offset;
    }
    if (p.scratch_bytes) {
      step.scratch = AddressOf(p.async ? scratch_.at(p.node) : shared_scratch_).data;
    }
    layout_.steps.push_back(std::move(step));
  }

  void AddCopy(Address from, Address to, const TensorSpec& spec, const std::string& name) {
    LayoutStep step;
    step.kind = LayoutStep::Kind::kCopy;
    step.in = {from};
    step.out = {to};
    step.name = name;
    step.output = spec.ToString();
    step.bytes = DataBytes(spec);
    step.strings = spec.dtype == DType::kString;
    layout_.steps.push_back(std::move(step));
  }

  // Views of plan memory that keep what they point into alive. A fetched feed is
  // copied: its memory may be gone after the run.
  void AddFetches() {
    const auto keep = std::make_shared<std::vector<std::shared_ptr<void>>>(layout_.keep_alive);
    for (const Tensor& fetch : graph_.fetches) {
      const TensorSpec spec = fetch.spec();
      if (spec.dtype == DType::kResource) {
        layout_.fetches.push_back(Tensor::Resource(HandleOf(fetch.node())->variable()));
        continue;
      }
      const Address address = AddressOf(OutputOf(fetch));
      if (address.feed < 0) {
        const auto buffer = Buffer::Wrap(address.data, DataBytes(spec), keep);
        layout_.fetches.push_back(Tensor(spec.dtype, spec.shape, buffer));
        continue;
      }
      const Tensor copy = Tensor::Empty(spec.dtype, spec.shape);
      AddCopy(address, {copy.raw_data(), -1}, spec, fetch.node()->name());
      layout_.fetches.push_back(copy);
    }
  }

  static const Node* HandleOf(const Node* node) {
    while (!node->variable() && node->num_inputs() > 0) node = node->input(0).node();
    if (!node->variable()) {
      throw UnimplementedError("[plan] '{}' can't be fetched: it is a handle from outside",
                               node->name());
    }
    return node;
  }

  const PreparedGraph& graph_;
  const PlanOptions& options_;
  std::unordered_map<const Node*, const PreparedNode*> prepared_;
  std::unordered_map<const Node*, int> feeds_;
  ScheduleHints hints_;
  std::vector<ScheduledStep> schedule_;
  int end_ = 0;
  std::unordered_map<const Node*, Active> active_;
  std::map<Output, int> last_use_, values_;
  std::set<Output> fetched_, copies_;
  std::set<std::string> buckets_;
  MemoryProblem problem_;
  std::vector<Address> addresses_;  // of values whose memory lies elsewhere
  std::vector<const Node*> in_place_of_;
  std::unordered_set<const Node*> in_place_;
  std::unordered_map<const Node*, int> scratch_;
  int shared_scratch_ = 0;
  MemoryPlan plan_;
  std::shared_ptr<Buffer> arena_;
  Layout layout_;
};

}  // namespace

Layout MakeLayout(const PreparedGraph& prepared, const PlanOptions& options) {
  return LayoutBuilder(prepared, options).Build();
}

}  // namespace tributary
