#pragma once
// Random numbers from Philox4x32-10. Element i of a result is a function of (key,
// counter, i): the same bits for any number of threads.
//
// The stateful ops advance a counter on every run: a node its own, eager calls of one op
// with equal attributes (seeds, dtypes) a common one, as in TensorFlow. The stateless ones
// give the same values for the same key and counter, which is what reproducible
// dropout and initialisers use.

#include "ops/int_list.h"

namespace tributary::ops {

// [0, 1). seed and seed2 both 0: a fresh stream (in each process).
Tensor RandomUniform(const IntList& shape, DType dtype = DType::kFloat32, int64_t seed = 0,
                     int64_t seed2 = 0);
// Mean 0, deviation 1.
Tensor RandomStandardNormal(const IntList& shape, DType dtype = DType::kFloat32,
                            int64_t seed = 0, int64_t seed2 = 0);
// RandomStandardNormal within two deviations.
Tensor TruncatedNormal(const IntList& shape, DType dtype = DType::kFloat32, int64_t seed = 0,
                       int64_t seed2 = 0);
// Integers in [minval, maxval): scalars of int32 or int64, whose dtype the result has.
Tensor RandomUniformInt(const IntList& shape, const Tensor& minval, const Tensor& maxval,
                        int64_t seed = 0, int64_t seed2 = 0);

// key: int64 [1]; counter: int64 [2].
Tensor StatelessRandomUniformV2(const IntList& shape, const Tensor& key, const Tensor& counter,
                                DType dtype = DType::kFloat32);
Tensor StatelessRandomNormalV2(const IntList& shape, const Tensor& key, const Tensor& counter,
                               DType dtype = DType::kFloat32);
Tensor StatelessTruncatedNormalV2(const IntList& shape, const Tensor& key,
                                  const Tensor& counter, DType dtype = DType::kFloat32);

}  // namespace tributary::ops
