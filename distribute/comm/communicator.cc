#include "distribute/comm/communicator.h"

#include "distribute/comm/slices.h"

namespace tributary {

const char* ReduceOpName(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum: return "sum";
    case ReduceOp::kMean: return "mean";
    case ReduceOp::kMax: return "max";
    case ReduceOp::kMin: return "min";
  }
  return "?";
}

Registry<CommunicatorFactory>& CommunicatorRegistry() {
  static auto* registry = new Registry<CommunicatorFactory>("communicator");
  return *registry;
}

std::vector<std::string> AllGatherStrings(Communicator& comm, const std::string& text) {
  std::vector<int64_t> mine{static_cast<int64_t>(text.size())}, lengths(comm.size());
  comm.AllGather(mine, lengths);
  const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  std::vector<uint8_t> padded(longest), all(longest * comm.size());
  std::copy(text.begin(), text.end(), padded.begin());
  comm.AllGather(padded, all);
  std::vector<std::string> texts;
  for (int r = 0; r < comm.size(); ++r) {
    const auto begin = all.begin() + r * longest;
    texts.emplace_back(begin, begin + lengths[r]);
  }
  return texts;
}

namespace internal {

void CheckReduce(const char* call, ConstDataRef data, ReduceOp op) {
  const bool floating = data.dtype == DType::kFloat32 || data.dtype == DType::kFloat64;
  if (!floating && data.dtype != DType::kInt32 && data.dtype != DType::kInt64) {
    throw UnimplementedError(
        "[comm] {} of {}; expected float32, float64, int32 or int64; cast first", call,
        DTypeName(data.dtype));
  }
  if (op == ReduceOp::kMean && !floating) {
    throw InvalidArgumentError("[comm] {}: the mean of {} is no {}; cast to a float or sum", call,
                               DTypeName(data.dtype), DTypeName(data.dtype));
  }
}

void CheckReduceScatter(ConstDataRef input, ConstDataRef output, ReduceOp op, int rank, int size) {
  CheckReduce("ReduceScatter", input, op);
  const int64_t wanted = SliceOf(input.count, DTypeSize(input.dtype), size, rank).count;
  if (output.dtype != input.dtype || output.count != wanted) {
    throw InvalidArgumentError(
        "[comm] ReduceScatter: output is {} x {}; expected this rank's slice, {} x {}",
        output.count, DTypeName(output.dtype), wanted, DTypeName(input.dtype));
  }
}

void CheckAllGather(ConstDataRef input, ConstDataRef output, int size) {
  if (output.dtype != input.dtype || output.count != input.count * size) {
    throw InvalidArgumentError("[comm] AllGather: output is {} x {}; expected {} x {}",
                               output.count, DTypeName(output.dtype), input.count * size,
                               DTypeName(input.dtype));
  }
}

void CheckPeer(const char* call, int peer, int size) {
  if (peer < 0 || peer >= size) {
    throw InvalidArgumentError("[comm] {}: rank {} is outside of the group of {}", call, peer,
                               size);
  }
}

void CheckTag(const char* call, int tag) {
  if (tag < 0 || tag >= 32767) {
    throw InvalidArgumentError("[comm] {}: tag {} is outside of [0, 32767)", call, tag);
  }
}

}  // namespace internal
}  // namespace tributary
