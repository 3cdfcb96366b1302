#pragma once
// Names inside TensorFlow's checkpoint format V2 (tensorflow/core/util/
// tensor_bundle, saved_tensor_slice_util.cc): files, slice keys.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

// "<prefix>.index" and "<prefix>.data-00000-of-00001".
std::string BundleIndexName(const std::string& prefix);
std::string BundleDataName(const std::string& prefix, int shard, int num_shards);
// Part of every temporary name: remainders of a crash contain it.
inline constexpr std::string_view kBundleTempMark = ".tempstate";

// One dimension of a slice; length -1: all of it.
struct SliceExtent {
  int64_t start = 0;
  int64_t length = -1;
};
// The key under which a part of a partitioned variable is stored: OrderedCode
// of 0, name, rank and extents. Begins with a zero byte, as no name does.
std::string EncodeSliceKey(const std::string& name, const std::vector<SliceExtent>& extents);

// Upper bound of dimensions in a file (TensorShape::MaxDimensions).
inline constexpr int kMaxBundleRank = 254;

}  // namespace tributary
