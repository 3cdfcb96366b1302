#pragma once
// Builders of ops that turn features into ids, and ids into rows of tables. Where a
// builder's name differs from the node's op, the op stands in the comment.

#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace tributary::ops {

// --- Categories as ids; none has a gradient ---------------------------------------
// Strings to int64 in [0, num_buckets): Fingerprint64 modulo num_buckets.
Tensor StringToHashBucketFast(const Tensor& input, int64_t num_buckets);
// The same of the decimal digits of int32 or int64. Op "_IntegerToHashBucket".
Tensor IntegerToHashBucket(const Tensor& input, int64_t num_buckets);
// The combination of element i of all inputs (string, int32 or int64, one shape), hashed
// into [0, num_buckets). Op "_HashedCross".
Tensor HashedCross(const std::vector<Tensor>& inputs, int64_t num_buckets);
// num_oov_indices + the place of each key (string or int64) in `vocabulary`, which must be
// constant; a key that is not there gets a hash of it in [0, num_oov_indices), or, when
// that is 0, throws InvalidArgumentError. Op "_VocabularyLookup".
Tensor VocabularyLookup(const Tensor& keys, const Tensor& vocabulary, int64_t num_oov_indices);
// How many of the ascending boundaries each number has reached (int32).
Tensor Bucketize(const Tensor& input, const std::vector<float>& boundaries);

// --- Ids as rows -------------------------------------------------------------------
// Rows of `table` (a resource of shape [rows, width]) for ids [batch, k] (int32 or int64),
// combined bag by bag: bag s holds the next lengths[s] ids of an example (their sum is k).
// [batch, bags, width]. Negative ids are not there: they add nothing and don't count in a
// mean. combiner: "sum", "mean", or "sqrtn" (the sum over the root of the count). An id
// beyond the table throws InvalidArgumentError when the kernel runs. The gradient of the
// table is sparse. Op "_EmbeddingBags".
Tensor EmbeddingBags(const Tensor& table, const Tensor& ids, const std::vector<int64_t>& lengths,
                     const std::string& combiner = "sum");

// x: [batch, features, width]. The dot products of each two features of an example,
// [batch, features * (features - 1) / 2], ordered (1,0), (2,0), (2,1), (3,0), ...
// Op "_DotInteraction".
Tensor DotInteraction(const Tensor& x);

}  // namespace tributary::ops
