#pragma once
// What one step says to every server and hears from it: gradients out, weights and rows
// in. Filled, sent by PsClient::Start, done after PsClient::Finish; used again and
// again, without a heap allocation once its lists have grown.

#include <cstdint>
#include <span>
#include <vector>

#include "distribute/ps/key_lists.h"
#include "distribute/ps/protocol.h"
#include "distribute/transport/transport.h"

namespace tributary::ps {

class StepExchange {
 public:
  explicit StepExchange(int servers) : calls_(servers) {}

  // Begins anew. `kind`: kPush, kPushPull or kPull. learning_rate < 0: what the optimizer
  // was created with. `pace` (shard.h) below 0: the step's number, that of who never catches up.
  void Begin(uint16_t kind, int64_t step, double learning_rate, uint32_t flags,
             int64_t pace = -1);

  // How values travel from now on (wire_format.h); parts that are there already keep theirs.
  void SetWireFormat(WireFormat push, WireFormat pull) {
    push_format_ = push;
    pull_format_ = pull;
  }

  // All spans must stay as they are until Finish has returned.
  //
  // `residual` (may be null; as long as the gradient, zeros at first): what is lost on the
  // wire is kept there and goes with the next push. Rows have none: on a model of 5000 rows
  // of 16 weights with Zipf ids, int8 without it came within 0.2 % of float32's loss (SGD,
  // coordinates 1000 times apart in size) and to the same six digits (Adagrad), and a
  // residual for each id a worker meets would be as large as the table.
  void PushDense(int server, uint32_t variable, std::span<const float> gradient,
                 float* residual = nullptr);
  void PushRows(int server, uint32_t table, std::span<const uint64_t> ids,
                std::span<const float> grads);
  // `version` (may be null): what the caller has; then an unchanged part is not sent again,
  // and the number of what is there now is written.
  void PullDense(int server, uint32_t variable, std::span<float> into, uint64_t* version);
  void PullRows(int server, uint32_t table, std::span<const uint64_t> ids, std::span<float> into);
  // The server has had this worker's part of the step already: nothing is pushed to it
  // (pulls and the end of the step remain). Before the pushes.
  void Skip(int server) {
    calls_[server].skip = true;
    calls_[server].control.flags |= kPushedBefore;
  }

  // After Finish. The fewest over all servers that were asked.
  int64_t applied_steps() const { return applied_steps_; }
  // That what was pulled counts as; INT64_MAX: nothing was.
  int64_t pace() const { return pace_; }
  uint32_t reply_flags() const { return reply_flags_; }
  uint64_t bytes_out() const { return bytes_out_; }
  uint64_t bytes_in() const { return bytes_in_; }

 private:
  friend class PsClient;
  // A pulled part that comes encoded, and where its values go.
  struct Landing {
    size_t part;
    WireValues values;
    float* out;
  };
  struct Call {
    StepControl control;
    std::vector<PartControl> push, pull;
    std::vector<uint64_t*> versions;  // one for each pulled part
    bool versioned = false, skip = false, under_way = false;
    bool named = false;  // as it was encoded last, lists were left out
    // One for each part: its ids (rows), and what is pushed.
    std::vector<std::span<const uint64_t>> push_ids, pull_ids;
    std::vector<ConstBytes> push_values;
    std::vector<ConstBytes> payload;
    std::vector<MutableBytes> into;
    std::vector<Landing> landings;
    // Memory of encoded parts, in the order in which a step asks for it.
    std::vector<std::vector<std::byte>> buffers;
    size_t used_buffers = 0;
    std::vector<std::byte> control_bytes;
    uint64_t sequence = 0;
    CallId id = 0;      // 0: is to be sent (again)
    uint64_t life = 0;  // of the channel that it was sent on
  };
  // `bytes` of memory that stay where they are until Begin.
  MutableBytes Buffer(Call* call, uint64_t bytes);
  void AddPull(Call* call, const PartControl& part, const WireValues& values, float* into,
               uint64_t* version);
  // `lists`: what the server has of this worker, and will have; null: it keeps none.
  void Encode(Call* call, RecentLists* lists);
  // Leaves out a list that is there. Returns whether the ids must be sent.
  static bool AddIds(std::span<const uint64_t> ids, RecentLists* lists, PartControl* part);
  void Decode(Call* call, const Reply& reply);

  std::vector<Call> calls_;
  uint16_t kind_ = kPull;
  WireFormat push_format_ = WireFormat::kFloat32, pull_format_ = WireFormat::kFloat32;
  int64_t applied_steps_ = 0, pace_ = 0;
  uint32_t reply_flags_ = 0;
  uint64_t bytes_out_ = 0, bytes_in_ = 0;
};

}  // namespace tributary::ps
